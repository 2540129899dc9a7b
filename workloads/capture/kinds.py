"""Kind of a dispatched op: from the table of names, or from PyTorch's tags."""

from typing import Any

import torch

from simulator.trace.kinds import listed_kind
from simulator.trace.op import OpKind

_REDUCTION = getattr(torch.Tag, "reduction", None)  # a tag that older PyTorch lacks


def base_name(func: Any) -> str:
    """Return "addmm" for `aten.addmm.default`; ops of other libraries keep their namespace."""
    schema = getattr(func, "_schema", None)
    name = schema.name if schema is not None else str(func)
    return str(name).removeprefix("aten::")


def kind_of(func: Any, name: str) -> OpKind:
    """Return the kind of an op by its name, else by its tags, else OTHER."""
    tags = getattr(func, "tags", ())
    if torch.Tag.inplace_view in tags:
        return OpKind.VIEW
    kind = listed_kind(name)
    if kind is not None:
        return kind
    if torch.Tag.nondeterministic_seeded in tags:
        return OpKind.RANDOM
    if torch.Tag.pointwise in tags or name.startswith("_foreach_"):
        return OpKind.ELEMENTWISE
    if _REDUCTION in tags:
        return OpKind.REDUCTION
    return OpKind.OTHER


def is_seeded(func: Any) -> bool:
    """Return whether an op can draw from the random number generator."""
    return torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())


def draws(args: dict[str, Any]) -> bool:
    """Return whether a call of a seeded op draws numbers: dropout with p = 0, or in evaluation,
    does not.
    """
    drops = args.get("dropout_p", args.get("dropout", 1)) != 0
    return drops and args.get("train", args.get("training", True)) is not False
