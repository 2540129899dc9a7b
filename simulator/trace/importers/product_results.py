"""What matrix products, convolutions, attention and recurrent layers return: shapes and types."""

from collections.abc import Iterator, Sequence
from typing import Any

from simulator.trace.gemms import Product
from simulator.trace.importers.calls import tensors_in

Shape = tuple[int, ...]
Result = tuple[Shape, str]
Args = dict[str, Any]


def product_results(base: str, args: Args, found: Sequence[Product]) -> Iterator[Result]:
    """Yield shape and element type of the results of an op that stands for these products."""
    dtype = next(tensor.dtype for value in args.values() for tensor in tensors_in(value))
    first = found[0]
    if base == "convolution_backward":
        sizes = (args["input"].shape, args["weight"].shape, tuple(args["bias_sizes"] or ()))
        kept = zip(sizes, args["output_mask"], strict=True)
        yield from ((size, dtype) for size, needed in kept if needed)
    elif first.conv:
        yield (first.conv.images, first.conv.out_channels, *first.conv.output), dtype
    elif "attention" in base and base.endswith("_backward"):
        yield from ((args[name].shape, dtype) for name in ("query", "key", "value"))
    elif "attention" in base:
        lead = args["query"].shape[:-1]
        yield (*lead, args["value"].shape[-1]), dtype
        yield lead, "float32"
    elif "rnn" in base:
        names = ("input", "weight1", "weight2", "weight3", "weight4")
        back = base.endswith("_backward")
        state = (*args["input"].shape[:-1], args["weight2" if back else "weight1"].shape[-1])
        shapes = [args[name].shape for name in names if args.get(name)] if back else [state]
        yield from ((shape, dtype) for shape in shapes)
    elif base == "linear":
        yield (*args["input"].shape[:-1], first.n), dtype
    elif base in ("mv", "addmv"):
        yield (first.m,), dtype
    elif base in ("dot", "vdot"):
        yield (), dtype
    else:
        yield ((first.batch, first.m, first.n) if "bmm" in base else (first.m, first.n)), dtype
