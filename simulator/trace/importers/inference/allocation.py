"""The result of an op as the size of what it allocates, where no argument tells it."""

from simulator.trace.importers.inference.result import Result, element_type, sizes
from simulator.trace.importers.nodes import Node
from simulator.trace.op import Tensor

_MISFITS = (TypeError, ValueError, IndexError)


def allocated(node: Node) -> Result | None:
    """Return size and type of the first tensor that the op allocated, None if there is none.

    A lookup by index allocates nothing that is seen, but first stretches its table to the result.
    """
    tensor = next((value for value in node.inputs if isinstance(value, Tensor)), None)
    default = tensor.dtype if tensor else "float32"
    looks_up = node.base in ("index", "_unsafe_index")
    found = (_stretched(child) if looks_up else _empty(child, default) for child in node.children)
    size = next(filter(None, found), None)
    return (size[0], size[1] or default) if size else None


def _empty(child: Node, default: str) -> Result | None:
    """aten::empty(size, dtype, ...), and empty_strided(size, stride, dtype, ...)."""
    place = {"empty": 1, "empty_strided": 2}.get(child.base)
    if place is None:
        return None
    try:
        return sizes(child.inputs[0]), element_type(child.inputs[place], default)
    except _MISFITS:
        return None


def _stretched(child: Node) -> Result | None:
    try:
        return (sizes(child.inputs[1]), "") if child.base == "as_strided" else None
    except _MISFITS:
        return None
