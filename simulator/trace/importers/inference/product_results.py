"""Shapes and types of the results of products, convolutions, attention and recurrent layers."""

from collections.abc import Iterator, Sequence
from typing import Any

from simulator.trace.gemms import Product
from simulator.trace.importers.inference.result import Args, TensorType, dtype_of_code, first_tensor


def product_results(base: str, args: Args, products: Sequence[Product]) -> Iterator[TensorType]:
    """Yield shape and element type of the results of an op with these products.

    Raises one of many errors if the arguments do not determine them.
    """
    first = products[0]
    dtype = "int32" if base == "_int_mm" else first_tensor(args).dtype
    dtype = dtype_of_code(args.get("out_dtype"), dtype)
    if "rnn" in base or "lstm" in base:
        yield from _recurrent(base, args, dtype)
    elif base.endswith("_backward"):
        yield from _gradients(args, dtype)
    elif first.conv:
        yield (first.conv.images, first.conv.out_channels, *first.conv.output), dtype
    elif "attention" in base or "attn" in base:
        yield from _attention(args, dtype)
    elif base == "_transformer_encoder_layer_fwd":
        yield args["src"].shape, dtype
    elif base == "_foreach_mm":
        yield from (((product.m, product.n), dtype) for product in products)
    else:
        yield _plain(base, args, products), dtype


def _plain(base: str, args: Args, products: Sequence[Product]) -> tuple[int, ...]:
    """Return the rows of the first operand by the columns of the second."""
    first = products[0]
    if base in ("dot", "vdot"):
        return ()
    if base in ("mv", "addmv"):
        return (first.m,)
    lead = args[first.a].shape[:-1] if first.a else (first.m,)
    if base == "addbmm" or lead[-1:] != (first.m,):
        flat = len(lead) > 1 and base != "addbmm"
        return (*lead, first.n) if flat else (first.m, first.n)
    if "grouped" in base and len(args["self"].shape) == len(args["mat2"].shape) == 2:
        return (args["offs"].shape[0], first.m, first.n)
    return (*lead, first.n)


def _argument(args: Args, *names: str) -> Any:
    """Return the first of these arguments that is present; raises StopIteration if none is."""
    return next(args[name] for name in names if name in args)


def _attention(args: Args, dtype: str) -> Iterator[TensorType]:
    """The result, and the log-sum-exp of each row of scores."""
    query, value = _argument(args, "query", "q"), _argument(args, "value", "v")
    yield (*query.shape[:-1], value.shape[-1]), dtype
    yield query.shape[:-1], "float32"


def _gradients(args: Args, dtype: str) -> Iterator[TensorType]:
    if "query" in args or "q" in args:
        names = ("query", "key", "value") if "query" in args else ("q", "k", "v")
        yield from ((args[name].shape, dtype) for name in names)
        return
    source, second = _argument(args, "input", "self"), _argument(args, "weight", "other")
    mask = args.get("output_mask", args.get("mask")) or (True, True, True)
    shapes = (source.shape, second.shape, tuple(args.get("bias_sizes") or second.shape[:1]))
    yield from ((shape, dtype) for shape, needed in zip(shapes, mask, strict=False) if needed)


def _recurrent(base: str, args: Args, dtype: str) -> Iterator[TensorType]:
    back = base.endswith("_backward")
    if base.startswith("mkldnn"):
        names = ("input", "weight1", "weight2", "weight3", "weight4")
        state = (*args["input"].shape[:-1], args["weight2" if back else "weight1"].shape[-1])
        shapes = [args[name].shape for name in names if args.get(name)] if back else [state]
        yield from ((shape, dtype) for shape in shapes)
        return
    state = args["hx"]
    shapes = [args["input"].shape, state.shape, *([state.shape] if args.get("cx") else [])]
    if back:
        weights = args["weight"] or (args["weight_buf"],)
        yield from ((shape, dtype) for shape in (*shapes, *(w.shape for w in weights)))
        return
    width = state.shape[-1] * (2 if args.get("bidirectional") is True else 1)
    yield (*args["input"].shape[:-1], width), dtype
    yield from ((shape, dtype) for shape in shapes[1:])
