"""Which matrix products an op stands for: C[m,n] += A[m,k] B[k,n], `batch` times.

A convolution is its im2col product, forward and in both gradients; attention and fused recurrent
layers are the products that they hide. `a` and `b` are named by argument, `c` by the position of
the result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from simulator.trace.op import Conv, Role


@dataclass(frozen=True, slots=True)
class Product:
    """A GEMM whose operands are argument names, "" for a temporary; role None: by context."""

    role: Role | None
    batch: int
    m: int
    n: int
    k: int
    a: str = ""
    b: str = ""
    c: int = -1
    conv: Conv | None = None


Args = dict[str, Any]


def products(name: str, args: Args) -> tuple[Product, ...]:
    """Return the matrix products of a call of `name`; none if it is no GEMM."""
    formula = _FORMULAS.get(name)
    return formula(args) if formula else ()


# Matrix products as such


def _matrix(first: str, second: str) -> Callable[[Args], tuple[Product, ...]]:
    def formula(args: Args) -> tuple[Product, ...]:
        *lead, m, k = args[first].shape
        n = args[second].shape[-1]
        return (Product(None, prod(lead), m, n, k, first, second, 0),)

    return formula


def _vector(first: str, second: str) -> Callable[[Args], tuple[Product, ...]]:
    def formula(args: Args) -> tuple[Product, ...]:
        *lead, k = args[first].shape
        return (Product(None, 1, prod(lead), 1, k, first, second, 0),)

    return formula


def _addbmm(args: Args) -> tuple[Product, ...]:
    batch, m, k = args["batch1"].shape
    n = args["batch2"].shape[-1]
    return (Product(None, 1, m, n, batch * k, "batch1", "batch2", 0),)


def _linear(args: Args) -> tuple[Product, ...]:
    *lead, k = args["input"].shape
    n = args["weight"].shape[0] if len(args["weight"].shape) > 1 else 1
    return (Product(None, 1, prod(lead), n, k, "input", "weight", 0),)


# Convolutions


def _geometry(args: Args, x: tuple[int, ...], y: tuple[int, ...]) -> Conv:
    weight, groups = args["weight"].shape, args["groups"]
    transposed = bool(args["transposed"])  # a file may have any number there
    # A transposed weight is [in, out / groups, kernel], an ordinary one [out, in / groups, kernel].
    outputs = weight[1] * groups if transposed else weight[0]
    dims = len(weight) - 2
    return Conv(
        images=x[0] if len(x) == len(weight) else 1,
        in_channels=x[-dims - 1],
        out_channels=outputs,
        input=tuple(x[-dims:]),
        output=tuple(y[-dims:]),
        kernel=tuple(weight[2:]),
        stride=_per_dim(args["stride"], dims),
        padding=_per_dim(args["padding"], dims),
        dilation=_per_dim(args["dilation"], dims),
        groups=groups,
        transposed=transposed,
    )


def _per_dim(value: Any, dims: int) -> tuple[int, ...]:
    given = tuple(int(item) for item in value)
    return given if len(given) == dims else given * dims


def _convolution(args: Args) -> tuple[Product, ...]:
    conv = _geometry(args, tuple(args["input"].shape), _output_shape(args))
    dims = conv.product(Role.FORWARD)
    return (Product(None, conv.groups, *dims, "input", "weight", 0, conv),)


def _output_shape(args: Args) -> tuple[int, ...]:
    size, kernel = args["input"].shape, args["weight"].shape[2:]
    dims = len(kernel)
    stride, padding = _per_dim(args["stride"], dims), _per_dim(args["padding"], dims)
    dilation, extra = _per_dim(args["dilation"], dims), _per_dim(args["output_padding"], dims)
    spatial = []
    for i, length in enumerate(size[-dims:]):
        span = dilation[i] * (kernel[i] - 1)
        if args["transposed"]:
            spatial.append((length - 1) * stride[i] - 2 * padding[i] + span + extra[i] + 1)
        else:
            spatial.append((length + 2 * padding[i] - span - 1) // stride[i] + 1)
    return tuple(spatial)


def _convolution_backward(args: Args) -> tuple[Product, ...]:
    conv = _geometry(args, tuple(args["input"].shape), tuple(args["grad_output"].shape))
    needs_data, needs_weight = args["output_mask"][:2]
    operands = ("input", "grad_output") if conv.transposed else ("grad_output", "input")
    found = []
    if needs_data:
        dims = conv.product(Role.DGRAD)
        found.append(Product(Role.DGRAD, conv.groups, *dims, "grad_output", "weight", 0, conv))
    if needs_weight:
        dims = conv.product(Role.WGRAD)
        found.append(Product(Role.WGRAD, conv.groups, *dims, *operands, int(needs_data), conv))
    return tuple(found)


# Attention: the fused kernels read Q, K and V and keep the scores to themselves


def _attention_sizes(args: Args) -> tuple[int, int, int, int, int]:
    *lead, queries, width = args["query"].shape
    return prod(lead), queries, args["key"].shape[-2], width, args["value"].shape[-1]


def _attention(args: Args) -> tuple[Product, ...]:
    batch, s, t, d, dv = _attention_sizes(args)
    return (
        Product(None, batch, s, t, d, "query", "key"),
        Product(None, batch, s, dv, t, "", "value", 0),
    )


def _attention_backward(args: Args) -> tuple[Product, ...]:
    batch, s, t, d, dv = _attention_sizes(args)
    grad = "grad_out" if "grad_out" in args else "grad_out_"
    return (
        Product(Role.DGRAD, batch, s, t, d, "query", "key"),  # the scores again
        Product(Role.DGRAD, batch, s, t, dv, grad, "value"),
        Product(Role.DGRAD, batch, t, dv, s, "", grad, 2),
        Product(Role.DGRAD, batch, s, d, t, "", "key", 0),
        Product(Role.DGRAD, batch, t, d, s, "", "query", 1),
    )


def _fused_self_attention(args: Args, source: str, heads: int, last: int) -> tuple[Product, ...]:
    images, tokens, width = args[source].shape
    rows, each = images * tokens, width // heads
    return (
        Product(None, 1, rows, 3 * width, width, source, "qkv_weight"),
        Product(None, images * heads, tokens, tokens, each),
        Product(None, images * heads, tokens, each, tokens),
        Product(None, 1, rows, width, width, "", "proj_weight", last),
    )


def _is_nested(tensor: Any) -> bool:
    """Tell whether rows have several lengths: no one shape tells the products of such tensors."""
    return bool(getattr(tensor, "is_nested", False))


def _multihead(args: Args) -> tuple[Product, ...]:
    if _is_nested(args["query"]):
        return ()
    return _fused_self_attention(args, "query", args["num_head"], 0)


def _encoder_layer(args: Args) -> tuple[Product, ...]:
    if _is_nested(args["src"]):
        return ()
    (hidden, width), rows = args["ffn_weight_1"].shape, prod(args["src"].shape[:2])
    return (
        *_fused_self_attention(args, "src", args["num_heads"], -1),
        Product(None, 1, rows, hidden, width, "", "ffn_weight_1"),
        Product(None, 1, rows, width, hidden, "", "ffn_weight_2", 0),
    )


# Fused recurrent layers: one product for the inputs of all time steps, one per step for the state


def _recurrent_sizes(args: Args, inner: str, outer: str) -> tuple[int, int, int, int, int]:
    first, second, _ = args["input"].shape
    steps, images = (second, first) if args.get("batch_first") else (first, second)
    gates, inputs = args[inner].shape
    return steps, images, gates, inputs, args[outer].shape[-1]


def _recurrent(args: Args) -> tuple[Product, ...]:
    steps, images, gates, inputs, state = _recurrent_sizes(args, "weight0", "weight1")
    return (
        Product(None, 1, steps * images, gates, inputs, "input", "weight0"),
        Product(None, steps, images, gates, state, "", "weight1", 0),
    )


def _recurrent_backward(args: Args) -> tuple[Product, ...]:
    steps, images, gates, inputs, state = _recurrent_sizes(args, "weight1", "weight2")
    return (
        Product(Role.DGRAD, 1, steps * images, inputs, gates, "", "weight1", 0),
        Product(Role.DGRAD, steps, images, state, gates, "", "weight2"),
        Product(Role.WGRAD, 1, gates, inputs, steps * images, "", "input", 1),
        Product(Role.WGRAD, 1, gates, state, steps * images, "", "output", 2),
    )


_ATTENTIONS = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
_FORMULAS: dict[str, Callable[[Args], tuple[Product, ...]]] = {
    "mm": _matrix("self", "mat2"),
    "_scaled_mm": _matrix("self", "mat2"),
    "addmm": _matrix("mat1", "mat2"),
    "bmm": _matrix("self", "mat2"),
    "baddbmm": _matrix("batch1", "batch2"),
    "addbmm": _addbmm,
    "mv": _vector("self", "vec"),
    "addmv": _vector("mat", "vec"),
    "dot": _vector("self", "tensor"),
    "vdot": _vector("self", "other"),
    "linear": _linear,
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "convolution_backward": _convolution_backward,
    "_native_multi_head_attention": _multihead,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _recurrent,
    "mkldnn_rnn_layer_backward": _recurrent_backward,
    **dict.fromkeys(_ATTENTIONS, _attention),
    **{f"{name}_backward": _attention_backward for name in _ATTENTIONS},
}
