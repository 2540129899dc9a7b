"""The result of an op as the tensor that it allocates, where no argument determines it."""

from simulator.trace.importers.inference.result import TensorType, dtype_of_code, sizes
from simulator.trace.importers.nodes import Node
from simulator.trace.op import Tensor

_MALFORMED = (TypeError, ValueError, IndexError)


def allocated(node: Node) -> TensorType | None:
    """Return size and type of the first tensor that an op allocated, None if there is none.

    A lookup by index shows no allocation, but expands its table to the size of the result.
    """
    tensor = next((value for value in node.inputs if isinstance(value, Tensor)), None)
    default = tensor.dtype if tensor else "float32"
    looks_up = node.base in ("index", "_unsafe_index")
    candidates = (
        _stretched(child) if looks_up else _empty(child, default) for child in node.children
    )
    size = next(filter(None, candidates), None)
    return (size[0], size[1] or default) if size else None


def _empty(child: Node, default: str) -> TensorType | None:
    """aten::empty(size, dtype, ...), and empty_strided(size, stride, dtype, ...)."""
    place = {"empty": 1, "empty_strided": 2}.get(child.base)
    if place is None:
        return None
    try:
        return sizes(child.inputs[0]), dtype_of_code(child.inputs[place], default)
    except _MALFORMED:
        return None


def _stretched(child: Node) -> TensorType | None:
    try:
        return (sizes(child.inputs[1]), "") if child.base == "as_strided" else None
    except _MALFORMED:
        return None
