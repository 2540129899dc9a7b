"""Draws the random numbers that fake ops would draw, so that later ones are those of a real run.

The order of shuffled data depends on every earlier draw: initial weights, dropout.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from simulator.memo import remember
from workloads.capture.calls import signature_of, tensors_in
from workloads.capture.kinds import draws
from workloads.capture.ops import OpSchema

_MOST = 1 << 28  # numbers in a whole capture: about a second; a guess
_CHUNK = 1 << 16  # numbers at once; PyTorch draws normal ones in blocks of 16
_FILLS = frozenset({"uniform_", "normal_", "random_", "bernoulli_", "exponential_"})
_BY_VALUES = frozenset(
    {"poisson", "binomial", "_standard_gamma", "_sample_dirichlet", "rrelu_with_noise"}
)


class Draws:
    """The draws so far; `exact` is False once they differ from a real run's."""

    def __init__(self) -> None:
        """Start with no draw."""
        self.exact = True
        self._count = 0

    def repeat(self, op: OpSchema, args: Any, kwargs: Any) -> None:
        """Draw what a call on fakes, or of a tensor above the limit, would draw."""
        if not op.seeded or not draws(signature_of(op.func).named(args, kwargs)):
            return
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        count = max((t.numel() for t in tensors), default=0) or _made(args)
        if self._count + count > _MOST or op.name in _BY_VALUES:
            self.exact = False
            return
        self._count += count
        with _disable_current_modes():
            _draw(op, args, kwargs, count)


def _draw(op: OpSchema, args: Any, kwargs: Any, count: int) -> None:
    if op.name in _FILLS and args[0].is_contiguous() and len([*tensors_in(args)]) == 1:
        for size in _chunks(min(count, 1) if _seeds_only(op.func) else count):
            scratch = torch.empty(size, dtype=args[0].dtype)
            op.func(scratch, *_ones(args[1:]), **_ones(kwargs))
    else:
        op.func(*_ones(args), **_ones(kwargs))


def _chunks(count: int) -> Iterator[int]:
    # The last chunk is the longest, as PyTorch draws less than 16 numbers in another way.
    whole = max(count // _CHUNK - 1, 0)
    yield from [_CHUNK] * whole
    yield count - whole * _CHUNK


@remember("ops that draw a seed", most=128)
def _seeds_only(func: Any) -> bool:
    """Return whether an op draws one number however many it fills, as MKL's generators do."""
    states = []
    for size in (1, 1000):
        generator = torch.Generator().manual_seed(0)
        func(torch.empty(size), generator=generator)
        states.append(generator.get_state())
    return torch.equal(*states)


def _made(args: Any) -> int:
    """Return how many elements a factory op creates, from the sizes or the count in `args`."""
    sizes = [value for value in args if isinstance(value, list | tuple)]
    return prod(sizes[0]) if sizes else next((v for v in args[::-1] if isinstance(v, int)), 0)


def _ones(value: Any) -> Any:
    if isinstance(value, FakeTensor):
        ones = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
        return ones.fill_(1)
    if isinstance(value, list | tuple):
        return type(value)(map(_ones, value))
    return {k: _ones(v) for k, v in value.items()} if isinstance(value, dict) else value
