"""Results of lookups, and of ops that join or split tensors."""

from collections.abc import Iterator

from simulator.trace.importers.inference.result import (
    Args,
    ResultRule,
    TensorType,
    broadcast,
    dtype_of_code,
    like,
    sized,
    with_size,
)
from simulator.trace.importers.values import tensors_in


def _embedding(args: Args) -> Iterator[TensorType]:
    yield (*args["indices"].shape, *args["weight"].shape[1:]), args["weight"].dtype


def _embedding_backward(args: Args) -> Iterator[TensorType]:
    grad = args["grad_output"]
    yield (int(args["num_weights"]), grad.shape[-1]), grad.dtype


def _bag(args: Args) -> Iterator[TensorType]:
    """Sums of table rows, the bag of each row, bag sizes, largest rows."""
    weight, bags = args["weight"], args["offsets"].shape[0]
    bags -= bool(args.get("include_last_offset"))
    yield (bags, weight.shape[1]), weight.dtype
    yield args["indices"].shape, "int64"
    yield (bags,), "int64"
    yield (bags,), "int64"


def _index(args: Args) -> Iterator[TensorType]:
    """Indices of the first dimensions; how many elements a mask selects is unknown."""
    table = args["self"]
    picks = list(tensors_in(args["indices"]))
    if not picks or any(pick.dtype in ("bool", "uint8") for pick in picks):
        raise ValueError("which elements a mask selects is not in the file")
    yield (*broadcast(*(p.shape for p in picks)), *table.shape[len(picks) :]), table.dtype


def _gather(args: Args) -> Iterator[TensorType]:
    yield args["index"].shape, args["self"].dtype


def _index_select(args: Args) -> Iterator[TensorType]:
    table = args["self"]
    yield with_size(table.shape, int(args["dim"]), args["index"].elements), table.dtype


def _cat(args: Args) -> Iterator[TensorType]:
    parts = [tensor for tensor in tensors_in(args["tensors"]) if tensor.shape]
    longest = max(parts, key=lambda part: len(part.shape)).shape  # legacy: empty vectors among them
    dim = int(args.get("dim") or 0)
    joined = sum(part.shape[dim] for part in parts if len(part.shape) == len(longest))
    yield with_size(longest, dim, joined), parts[0].dtype


def _stack(args: Args) -> Iterator[TensorType]:
    parts = list(tensors_in(args["tensors"]))
    dim = int(args.get("dim") or 0) % (len(parts[0].shape) + 1)
    shape = list(parts[0].shape)
    shape.insert(dim, len(parts))
    yield tuple(shape), parts[0].dtype


def _cast(args: Args) -> Iterator[TensorType]:
    yield args["self"].shape, dtype_of_code(args.get("dtype"), args["self"].dtype)


def _where(args: Args) -> Iterator[TensorType]:
    picked = [args[name] for name in ("self", "other")]
    shape = broadcast(args["condition"].shape, *(tensor.shape for tensor in picked))
    yield shape, next((t.dtype for t in picked if t.is_float), picked[0].dtype)


def _distances(args: Args) -> Iterator[TensorType]:
    first, second = args["x1"].shape, args["x2"].shape
    yield (*broadcast(first[:-2], second[:-2]), first[-2], second[-2]), args["x1"].dtype


def _outer(args: Args) -> Iterator[TensorType]:
    yield (args["vec1"].shape[0], args["vec2"].shape[0]), args["self"].dtype


def _cell(args: Args) -> Iterator[TensorType]:
    """An LSTM cell of given gates: output, state, and the gates that backward reads."""
    gates, state = args["input_gates"], args["cx"]
    yield from ((state.shape, state.dtype), (state.shape, state.dtype), (gates.shape, gates.dtype))


def _gru_cell(args: Args) -> Iterator[TensorType]:
    state = args["hx"]
    yield state.shape, state.dtype
    yield (state.shape[0], 5 * state.shape[1]), state.dtype


def _gathered(args: Args) -> Iterator[TensorType]:
    first, *rest = args["input"].shape
    yield (first * int(args["group_size"]), *rest), args["input"].dtype


def _scattered(args: Args) -> Iterator[TensorType]:
    first, *rest = args["input"].shape
    yield (first // int(args["group_size"]), *rest), args["input"].dtype


RULES: dict[str, ResultRule] = {
    "_c10d_functional::all_gather_into_tensor": _gathered,
    "_c10d_functional::reduce_scatter_tensor": _scattered,
    "embedding": _embedding,
    "embedding_dense_backward": _embedding_backward,
    "_embedding_bag": _bag,
    "_embedding_bag_forward_only": _bag,
    "index": _index,
    "_unsafe_index": _index,
    "gather": _gather,
    "take": _gather,
    "index_select": _index_select,
    **dict.fromkeys(
        ("scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill",
         "index_put", "masked_scatter", "slice_scatter", "select_scatter", "put"),
        like("self"),
    ),
    "select_backward": sized("input_sizes"),
    "slice_backward": sized("input_sizes"),
    "diagonal_backward": sized("input_sizes"),
    "unfold_backward": sized("input_sizes", "grad_in"),
    "cat": _cat,
    "stack": _stack,
    "_to_copy": _cast,
    "where": _where,
    "_cdist_forward": _distances,
    "addr": _outer,
    "_thnn_fused_lstm_cell": _cell,
    "_thnn_fused_gru_cell": _gru_cell,
}  # fmt: skip
