"""What a profile does not say: shape and type of what ops return, from their arguments."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from simulator.trace.gemms import products
from simulator.trace.importers.calls import tensors_in
from simulator.trace.importers.names import kind_by_name, words
from simulator.trace.importers.product_results import Args, Result, Shape, product_results
from simulator.trace.kinds import SHAPE_ONLY
from simulator.trace.op import OpKind

_CODES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32",
    7: "float64", 11: "bool", 15: "bfloat16",
}  # fmt: skip
"""c10::ScalarType as the profiler prints it."""
_COMPARISONS = words("eq ne lt le gt ge isnan isinf logical_not logical_and logical_or logical_xor")
_FACTORIES = words("zeros ones full rand randn randperm new_zeros new_ones new_full")


def infer(base: str, args: Args) -> list[Result]:
    """Return shape and element type of what an op returns, as far as its arguments tell.

    An op in place returns its argument, which is no result of its own.
    """
    if base.endswith("_") and not base.startswith("__"):
        return []
    found = products(base, args) if kind_by_name(base) is OpKind.GEMM else ()
    if found:
        return list(product_results(base, args, found))
    rule = _RULES.get(base)
    if rule is not None:
        return list(rule(args))
    if kind_by_name(base) is OpKind.SYNC:
        return []
    if kind_by_name(base) is OpKind.REDUCTION:
        return _reduced(base, args)
    return _like_arguments(base, args)


# Ops whose results are not shaped like their arguments


def _pool(args: Args) -> Iterator[Result]:
    x = args["self"]
    kernel = tuple(args["kernel_size"])
    stride = tuple(args.get("stride") or kernel)
    padding, dilation = args.get("padding") or (0,), args.get("dilation") or (1,)
    spatial = x.shape[-len(kernel) :]
    sizes = []
    for i, length in enumerate(spatial):
        reach = _at(dilation, i) * (kernel[i] - 1)
        left = length + 2 * _at(padding, i) - reach - 1
        step = _at(stride, i)
        sizes.append((-(-left // step) if args.get("ceil_mode") else left // step) + 1)
    yield (*x.shape[: -len(kernel)], *sizes), x.dtype


def _at(value: Any, index: int) -> int:
    given = value if isinstance(value, tuple) else (value,)
    return int(given[index] if index < len(given) else given[0])


def _pool_with_indices(args: Args) -> Iterator[Result]:
    for shape, dtype in _pool(args):
        yield shape, dtype
        yield shape, "int64"


def _adaptive(args: Args) -> Iterator[Result]:
    size = tuple(args["output_size"])
    yield (*args["self"].shape[: -len(size)], *size), args["self"].dtype


def _like(name: str) -> Callable[[Args], Iterator[Result]]:
    def rule(args: Args) -> Iterator[Result]:
        yield args[name].shape, args[name].dtype

    return rule


def _norm(args: Args) -> Iterator[Result]:
    x, weight = args["input"], args.get("weight")
    yield x.shape, x.dtype
    if "normalized_shape" in args:
        count = x.elements // max(1, prod(args["normalized_shape"]))
    elif "group" in args:
        count = int(args["N"]) * int(args["group"])
    else:
        count = weight.shape[0] if weight is not None else x.shape[1]
    yield (count,), "float32"
    yield (count,), "float32"


def _norm_backward(args: Args) -> Iterator[Result]:
    mask = args.get("output_mask") or (True, True, True)
    yield args["input"].shape, args["input"].dtype
    weight = args.get("weight")
    if weight is not None:
        yield from ((weight.shape, weight.dtype) for needed in mask[1:] if needed)


def _embedding(args: Args) -> Iterator[Result]:
    yield (*args["indices"].shape, *args["weight"].shape[1:]), args["weight"].dtype


def _embedding_backward(args: Args) -> Iterator[Result]:
    grad = args["grad_output"]
    yield (int(args["num_weights"]), grad.shape[-1]), grad.dtype


def _index(args: Args) -> Iterator[Result]:
    table = args["self"]
    picks = [
        tensor for value in (args.get("indices"), args.get("index")) for tensor in tensors_in(value)
    ]
    shape = picks[0].shape if picks else table.shape
    yield shape, table.dtype


def _index_select(args: Args) -> Iterator[Result]:
    shape, dim = list(args["self"].shape), int(args["dim"])
    shape[dim] = args["index"].elements
    yield tuple(shape), args["self"].dtype


def _cat(args: Args) -> Iterator[Result]:
    parts = [tensor for tensor in tensors_in(args["tensors"]) if tensor.shape]
    if not parts:
        return
    dim = int(args.get("dim") or 0)
    shape = list(max(parts, key=lambda part: len(part.shape)).shape)
    shape[dim] = sum(part.shape[dim] for part in parts if len(part.shape) == len(shape))
    yield tuple(shape), parts[0].dtype


def _stack(args: Args) -> Iterator[Result]:
    parts = list(tensors_in(args["tensors"]))
    yield (len(parts), *parts[0].shape), parts[0].dtype


def _cast(args: Args) -> Iterator[Result]:
    code = args.get("dtype")
    dtype = _CODES.get(code, "float32") if isinstance(code, int) else args["self"].dtype
    yield args["self"].shape, dtype


def _topk(args: Args) -> Iterator[Result]:
    shape, dim = list(args["self"].shape), int(args["dim"] if args.get("dim") is not None else -1)
    shape[dim] = int(args["k"])
    yield tuple(shape), args["self"].dtype
    yield tuple(shape), "int64"


def _dropout(args: Args) -> Iterator[Result]:
    yield args["input"].shape, args["input"].dtype
    yield args["input"].shape, "bool"


def _nll(args: Args) -> Iterator[Result]:
    yield (), args["self"].dtype
    yield (), args["self"].dtype


_RULES: dict[str, Callable[[Args], Iterator[Result]]] = {
    **{base: _like(argument) for base, argument in SHAPE_ONLY.items()},
    "_adaptive_avg_pool2d": _adaptive,
    "_to_copy": _cast,
    "avg_pool2d": _pool,
    "cat": _cat,
    "cudnn_batch_norm": _norm,
    "embedding": _embedding,
    "embedding_dense_backward": _embedding_backward,
    "gather": _index,
    "index": _index,
    "index_select": _index_select,
    "max_pool2d_with_indices": _pool_with_indices,
    "native_batch_norm": _norm,
    "native_batch_norm_backward": _norm_backward,
    "native_dropout": _dropout,
    "native_group_norm": _norm,
    "native_group_norm_backward": _norm_backward,
    "native_layer_norm": _norm,
    "native_layer_norm_backward": _norm_backward,
    "nll_loss2d_forward": _nll,
    "nll_loss_forward": _nll,
    "stack": _stack,
    "take": _index,
    "topk": _topk,
}


def _reduced(base: str, args: Args) -> list[Result]:
    """Return what a reduction over the dimensions in its second argument leaves."""
    x = next((tensor for value in args.values() for tensor in tensors_in(value)), None)
    if x is None:
        return []
    dims = args.get("other")
    keep = args.get("third") is True
    if isinstance(dims, int) and not isinstance(dims, bool) and base not in ("norm",):
        dims = (dims,)
    if not isinstance(dims, tuple) or not all(isinstance(dim, int) for dim in dims):
        dims = tuple(range(len(x.shape)))
    gone = {dim % len(x.shape) for dim in dims} if x.shape else set()
    sizes = [1 if i in gone else n for i, n in enumerate(x.shape) if keep or i not in gone]
    return [(tuple(sizes), "int64" if base.startswith("arg") else x.dtype)]


def _like_arguments(base: str, args: Args) -> list[Result]:
    """Return the arguments' common shape, as for an elementwise op, or the size that is asked."""
    tensors = [tensor for value in args.values() for tensor in tensors_in(value)]
    if base in _FACTORIES or not tensors:
        sizes = next((v for v in args.values() if isinstance(v, tuple) and _whole(v)), None)
        return [] if sizes is None else [(sizes, tensors[0].dtype if tensors else "float32")]
    if base.startswith("_foreach_"):
        return [(tensor.shape, tensor.dtype) for tensor in tensors_in(args["self"])]
    shape: Shape = ()
    for tensor in tensors:
        shape = _broadcast(shape, tensor.shape)
    if base in _COMPARISONS:
        return [(shape, "bool")]
    full = [tensor.dtype for tensor in tensors if len(tensor.shape) == len(shape)]
    wanted = [tensor.dtype for tensor in tensors if tensor.is_float] or full
    return [(shape, wanted[0])]


def _whole(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _broadcast(first: Shape, second: Shape) -> Shape:
    """Return the shape that both are stretched to; the larger one where they do not fit."""
    if len(first) < len(second):
        first, second = second, first
    short = (1,) * (len(first) - len(second)) + tuple(second)
    return tuple(max(a, b) for a, b in zip(first, short, strict=True))
