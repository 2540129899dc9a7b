"""Decides by sizes alone whether the networks of a fake capture still run for real.

A fake op takes 0.2 ms whatever its size; a small real one takes a tenth of that, and its numbers
are exact. So networks run for real until one of the limits below is exceeded, and never again. Time
plays no part, so that the same program always takes the same path. All limits are guesses.
"""

import weakref
from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from workloads.capture.calls import tensors_in
from workloads.capture.ops import OpSchema

PARAMETERS = 1 << 20
"""Elements of all parameters alive together: 4 MiB of fp32. 0 makes every network fake."""
INPUT = 1 << 20
"""Elements in the inputs of one network call: 4 MiB of fp32."""
NEW_TENSOR = 1 << 24
"""Elements of one new tensor: 64 MiB of fp32."""
CALL_S = 0.2
"""Seconds of a network call with its loss, backward pass and update: the time of about a thousand
fake ops, at the rates below.
"""
_FLOPS_PER_S = 1e10  # one core with vectors of eight fp32
_BYTES_PER_S = 2e9  # one core writing memory that is new to the process


class Budget:
    """The real work so far; once `exceeded`, networks are fake.

    `counts` is False in a call whose like, by module and input, was counted before.
    """

    def __init__(self) -> None:
        """Start with no work."""
        self.exceeded = False
        self.counts = True
        self.largest = 0
        self.real: dict[int, weakref.ref[torch.Tensor]] = {}
        self._elements = 0
        self._seconds = 0.0
        self._call: tuple[int, int, bool] | None = None
        self._cheap: set[tuple[int, int, bool] | None] = set()
        self._opener: Callable[[], Any] = _nothing

    def meet(self, parameters: Iterable[torch.Tensor]) -> None:
        """Add new parameters; they are in `real` if they run for real."""
        new = [p for p in parameters if id(p) not in self.real and not is_lazy(p)]
        elements = self._elements + sum(p.numel() for p in {id(p): p for p in new}.values())
        if elements > PARAMETERS or any(p.is_meta for p in new):
            self.exceeded = True
        if self.exceeded:
            return
        self._elements = elements
        self.largest = max(self.largest, elements)
        for parameter in new:
            self.real[id(parameter)] = weakref.ref(parameter, self._forgets(parameter))

    def call(self, module: torch.nn.Module, inputs: Any) -> None:
        """Note that a network, or a part of one, is about to run on `inputs`."""
        elements = sum(tensor.numel() for tensor in tensors_in(inputs))
        if elements > INPUT:
            self.exceeded = True
        if self._opener() in (None, module):
            self._cheap.add(self._call)
            self._call = id(module), elements, torch.is_grad_enabled()
            self._seconds = 0.0
            self.counts = self._call not in self._cheap
            self._opener = weakref.ref(module)

    def update(self) -> None:
        """Note that an optimizer is about to step: the next network call counts again."""
        self._opener = _nothing

    def spend(self, op: OpSchema, args: Any, kwargs: Any, result: Any) -> None:
        """Add the work of an op that ran for real."""
        results = (result,) if type(result) is torch.Tensor else tensors_in(result)
        self._seconds += sum(t.numel() * t.itemsize for t in results) / _BYTES_PER_S
        if op.flops is not None:
            work = op.flops(*map(_shape, args), **kwargs, out_shape=_shape(result))
            self._seconds += work / _FLOPS_PER_S
        if self._seconds > CALL_S:
            self.exceeded = True

    def alive(self) -> list[torch.Tensor]:
        """Return the `real` parameters that still exist."""
        return [tensor for ref in list(self.real.values()) if (tensor := ref()) is not None]

    def _forgets(self, parameter: torch.Tensor) -> Callable[[Any], None]:
        key, elements = id(parameter), parameter.numel()

        def forget(_: Any) -> None:
            if self.real.pop(key, None) is not None:
                self._elements -= elements

        return forget


def too_large(args: Any) -> bool:
    """Return whether arguments start with the sizes of a new tensor above the limit."""
    if not args or type(args[0]) not in (list, tuple, torch.Size):
        return False
    sizes = args[0]
    return all(isinstance(size, int) for size in sizes) and prod(sizes) > NEW_TENSOR


def _shape(value: Any) -> Any:
    if isinstance(value, tuple) and not isinstance(value, torch.Size):
        return tuple(map(_shape, value))
    return value.shape if isinstance(value, torch.Tensor) else value


def _nothing() -> None:
    return None
