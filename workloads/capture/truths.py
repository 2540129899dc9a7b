"""Truth of conditions on fake tensors: certain, or as if every number in them were 1."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes


class Truth(NamedTuple):
    """Whether a condition holds everywhere in a tensor or nowhere; `sure` if for any numbers."""

    holds: bool
    sure: bool


def truth_of(name: str, args: Sequence[Any]) -> Truth | None:
    """Return the truth of an op's result by the op's base name; None if it is no condition."""
    if name in ("isnan", "isinf"):
        return Truth(holds=False, sure=True)
    if name in _COMPARED and len(args) > 1:
        return _compared(name, args[0], args[1])
    combine = _COMBINED.get(name)
    tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
    truths = [truth for arg in tensors if (truth := getattr(arg, "truth", None)) is not None]
    if combine is None or not truths or len(truths) < len(tensors):
        return None
    holds = combine([truth.holds for truth in truths])
    return None if holds is None else Truth(holds, all(truth.sure for truth in truths))


def _compared(name: str, left: Any, right: Any) -> Truth | None:
    infinite = isinstance(right, float) and math.isinf(right)
    if name in ("eq", "ne") and (left is right or infinite):
        return Truth((name == "eq") is (left is right), sure=True)
    values = _value(left), _value(right)
    if None in values:
        return None
    return Truth(bool(_COMPARED[name](*values)), sure=False)


def _value(operand: Any) -> Any:
    if isinstance(operand, FakeTensor):
        return 1
    if not isinstance(operand, torch.Tensor):
        return operand
    with _disable_current_modes():
        return operand.item() if operand.numel() == 1 else None


_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")
}
_COMBINED: dict[str, Callable[[list[bool]], bool | None]] = {
    **dict.fromkeys(("any", "all", "detach", "mul", "logical_and", "bitwise_and"), all),
    **dict.fromkeys(("_is_any_true", "_is_all_true", "_to_copy", "clone", "view"), all),
    **dict.fromkeys(("logical_or", "bitwise_or"), any),
    **dict.fromkeys(("logical_not", "bitwise_not"), lambda truths: not truths[0]),
    "sum": lambda truths: None if truths[0] else False,
}
