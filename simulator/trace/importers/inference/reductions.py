"""Results of reductions, sorts, losses and normalisations."""

from collections.abc import Iterator
from math import prod
from typing import Any

from simulator.trace.gemms.product import words
from simulator.trace.importers.inference.result import (
    Args,
    ResultRule,
    TensorShape,
    TensorType,
    broadcast,
    dtype_of_code,
    like,
    with_size,
)
from simulator.trace.op import Tensor


def reduced(shape: TensorShape, dims: Any, keep: bool) -> TensorShape:
    """Return a shape without some dimensions; `dims` None or empty means all."""
    if isinstance(dims, bool):  # var(self, unbiased)
        dims = None
    if isinstance(dims, int):
        dims = (dims,)
    chosen = tuple(dims or ()) or range(len(shape))
    gone = {int(dim) % len(shape) for dim in chosen} if shape else set()
    return tuple(1 if i in gone else n for i, n in enumerate(shape) if keep or i not in gone)


def _total(args: Args) -> Iterator[TensorType]:
    """sum(self, *, dtype) or sum(self, dim, keepdim, *, dtype)."""
    x = args["self"]
    dims, code = (args.get("dim"), args.get("dtype")) if len(args) > 2 else (None, args.get("dim"))
    shape = reduced(x.shape, dims, args.get("keepdim") is True)
    yield shape, dtype_of_code(code, x.dtype if x.is_float else "int64")


def _along(results: tuple[str, ...], keepdim: str = "keepdim") -> ResultRule:
    """Return the rule of a reduction: one result per element type, "" for the argument's own."""

    def rule(args: Args) -> Iterator[TensorType]:
        x = args["self"]
        shape = reduced(x.shape, args.get("dim"), args.get(keepdim) is True)
        yield from ((shape, dtype or x.dtype) for dtype in results)

    return rule


def _extreme(args: Args) -> Iterator[TensorType]:
    """max(self), max(self, dim, keepdim), or the larger of two."""
    x, dim = args["self"], args.get("dim")
    if isinstance(dim, Tensor):
        yield broadcast(x.shape, dim.shape), x.dtype
        return
    shape = reduced(x.shape, dim, args.get("keepdim") is True)
    yield shape, x.dtype
    if isinstance(dim, int):
        yield shape, "int64"


def _chosen(args: Args) -> Iterator[TensorType]:
    """kthvalue(self, k, dim, keepdim)."""
    shape = reduced(args["self"].shape, int(args["dim"]), args.get("keepdim") is True)
    yield shape, args["self"].dtype
    yield shape, "int64"


def _sorted(args: Args) -> Iterator[TensorType]:
    yield args["self"].shape, args["self"].dtype
    yield args["self"].shape, "int64"


def _topk(args: Args) -> Iterator[TensorType]:
    dim = int(args["dim"] if args.get("dim") is not None else -1)
    shape = with_size(args["self"].shape, dim, int(args["k"]))
    yield shape, args["self"].dtype
    yield shape, "int64"


def _bins(args: Args) -> Iterator[TensorType]:
    yield (int(args["bins"]),), args["self"].dtype


def _scalar(args: Args) -> Iterator[TensorType]:
    yield (), args["self"].dtype


# Losses: with `reduction` 0 one per element


def _loss(args: Args) -> Iterator[TensorType]:
    x = args["self"]
    yield (x.shape if int(args["reduction"]) == 0 else ()), x.dtype


def _nll(args: Args) -> Iterator[TensorType]:
    x = args["self"]
    yield (args["target"].shape if args.get("reduction") == 0 else ()), x.dtype
    yield (), x.dtype


def _dropout(args: Args) -> Iterator[TensorType]:
    yield args["input"].shape, args["input"].dtype
    yield args["input"].shape, "bool"


# Normalisations


def _norm(args: Args) -> Iterator[TensorType]:
    x, weight = args["input"], args.get("weight")
    yield x.shape, x.dtype
    if "normalized_shape" in args:
        statistics = x.elements // max(1, prod(args["normalized_shape"]))
    elif "group" in args:
        statistics = x.shape[0] * int(args["group"])
    else:
        statistics = weight.shape[0] if weight is not None else x.shape[1]
    yield (statistics,), "float32"
    yield (statistics,), "float32"


def _norm_backward(args: Args) -> Iterator[TensorType]:
    mask = args.get("output_mask") or (True, True, True)
    yield args["input"].shape, args["input"].dtype
    weight = args.get("weight")
    if weight is not None:
        yield from ((weight.shape, weight.dtype) for needed in mask[1:] if needed)


_LOSSES = words(
    "mse_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits "
    "soft_margin_loss"
)
RULES: dict[str, ResultRule] = {
    **dict.fromkeys(("sum", "nansum", "prod", "mean"), _total),
    "count_nonzero": _along(("int64",)),
    **dict.fromkeys(("amax", "amin", "logsumexp", "norm", "linalg_vector_norm"), _along(("",))),
    **dict.fromkeys(("var", "std"), _along(("",))),
    **dict.fromkeys(("var_mean", "std_mean", "aminmax"), _along(("", ""))),
    **dict.fromkeys(("any", "all"), _along(("bool",))),
    **dict.fromkeys(("argmax", "argmin"), _along(("int64",))),
    **dict.fromkeys(("max", "min", "median", "nanmedian"), _extreme),
    "mode": _along(("", "int64")),
    "kthvalue": _chosen,
    "sort": _sorted,
    "topk": _topk,
    "histc": _bins,
    **dict.fromkeys(("trace", "dist"), _scalar),
    **dict.fromkeys(("cumsum", "cumprod", "_logcumsumexp", "logcumsumexp"), like("self")),
    **dict.fromkeys(("cummax", "cummin"), _sorted),
    "renorm": like("self"),
    **dict.fromkeys(_LOSSES, _loss),
    **{f"{base}_backward": like("self") for base in _LOSSES},
    "nll_loss_forward": _nll,
    "nll_loss2d_forward": _nll,
    "native_dropout": _dropout,
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"), _norm),
    **dict.fromkeys(("native_group_norm", "native_layer_norm"), _norm),
    **{
        f"{base}_backward": _norm_backward
        for base in ("native_batch_norm", "native_group_norm", "native_layer_norm")
    },
}
