"""Results of ops that PyTorch's fakes lack, or give other sizes than its CPU kernels.

A kernel runs once per form of its arguments, on zeros, if that is cheap; then the forms of its
results are known.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from workloads.capture.calls import tensors_in
from workloads.capture.ops import OpSchema

_LARGEST_BYTES = 1 << 26  # of all arguments together; a guess
_MOST_FLOPS = 2e9  # a fifth of a second on one core; a guess


class KernelResults:
    """Forms of results, by kernel and arguments; `unknown` names ops that were too large to run."""

    def __init__(self, mode: FakeTensorMode) -> None:
        """Start with none."""
        self.unknown: dict[str, None] = {}
        self._mode = mode
        self._forms: dict[Any, Any] = {}

    def knows(self, op: OpSchema, args: Any) -> bool:
        """Return whether `imagine` handles a call."""
        if op.name == "_pack_padded_sequence":
            return not isinstance(args[1], FakeTensor)
        if op.name not in _PROBED:
            return False
        size = sum(tensor.numel() * tensor.itemsize for tensor in tensors_in(args))
        if size <= _LARGEST_BYTES and _PROBED[op.name](args) <= _MOST_FLOPS:
            return True
        self.unknown[op.name] = None
        return False

    def imagine(self, op: OpSchema, args: Any, kwargs: Any) -> Any:
        """Return the results of a call that touches fakes."""
        with _disable_current_modes():
            if op.name == "_pack_padded_sequence":
                return self._pack(op.func, *args)
            key = op.func, _form(args), _form(kwargs)
            if key not in self._forms:
                self._forms[key] = _form(op.func(*_zeros(args), **_zeros(kwargs)))
            return tuple(self._fake(form) for form in self._forms[key])

    def _pack(self, func: Any, padded: FakeTensor, lengths: torch.Tensor, first: bool) -> Any:
        """Pack a padded batch: lengths are data, so the size of the result is known."""
        rows, sizes = func(torch.zeros(*padded.shape[:2], 1), lengths, first)
        return padded.new_empty((len(rows), *padded.shape[2:])), sizes

    def _fake(self, form: Any) -> FakeTensor:
        shape, stride, dtype, size = form
        whole = torch.empty(size // dtype.itemsize, dtype=dtype, device="meta")
        part = whole.as_strided(shape, stride).detach()
        return FakeTensor(self._mode, part, torch.device("cpu"))


def _recurrent(args: Any) -> float:
    weights = args[1].numel() + args[2].numel()
    return float(2 * prod(args[0].shape[:-1]) * weights)


def _recurrent_backward(args: Any) -> float:
    return 2 * _recurrent(args)


def _summing(args: Any) -> float:
    return float(args[1].numel() * args[0].shape[-1])


_PROBED: dict[str, Callable[[Any], float]] = {
    "mkldnn_rnn_layer": _recurrent,
    "mkldnn_rnn_layer_backward": _recurrent_backward,
    "_embedding_bag": _summing,
    "_embedding_bag_forward_only": _summing,
}


def _form(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.stride(), value.dtype, value.untyped_storage().nbytes()
    if isinstance(value, list | tuple):
        return tuple(map(_form, value))
    return tuple(sorted((k, _form(v)) for k, v in value.items())) if type(value) is dict else value


def _zeros(value: Any) -> Any:
    if isinstance(value, FakeTensor):
        zeros = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
        return zeros.zero_()
    if isinstance(value, list | tuple):
        return type(value)(map(_zeros, value))
    return {k: _zeros(v) for k, v in value.items()} if isinstance(value, dict) else value
