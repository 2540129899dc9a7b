"""Convolutions of all libraries as im2col GEMMs, forward and in both gradients."""

from typing import Any

from simulator.trace.gemms.product import Args, Formula, Product, Products, words
from simulator.trace.op import Conv, Role

_INPUTS = ("input", "self", "X", "qx")
_WEIGHTS = ("weight", "W", "qw")


def _first(args: Args, names: tuple[str, ...]) -> str:
    return next(name for name in names if hasattr(args.get(name), "shape"))


def _per_dim(args: Args, name: str, dims: int, default: int) -> tuple[int, ...]:
    """Return a setting of a convolution for each spatial dimension.

    The default if the op has no such argument. Raises TypeError for an unknown value.
    """
    values = tuple(int(item) for item in args[name]) if name in args else (default,)
    return values if len(values) == dims else values * dims


def _geometry(
    args: Args, x: tuple[int, ...], weight: tuple[int, ...], y: tuple[int, ...], transposed: bool
) -> Conv:
    dims = len(weight) - 2
    in_channels = x[-dims - 1]
    # A transposed weight is [in, out / groups, kernel], an ordinary one [out, in / groups, kernel].
    groups = int(args["groups"]) if transposed and "groups" in args else 1
    groups = groups if transposed else in_channels // weight[1]
    return Conv(
        images=x[0] if len(x) == len(weight) else 1,
        in_channels=in_channels,
        out_channels=weight[1] * groups if transposed else weight[0],
        input=tuple(x[-dims:]),
        output=tuple(y[-dims:]),
        kernel=tuple(weight[2:]),
        stride=_per_dim(args, "stride", dims, 1),
        padding=_per_dim(args, "padding", dims, 0),
        dilation=_per_dim(args, "dilation", dims, 1),
        groups=groups,
        transposed=transposed,
    )


def _output(
    args: Args, x: tuple[int, ...], weight: tuple[int, ...], transposed: bool
) -> tuple[int, ...]:
    kernel = weight[2:]
    dims = len(kernel)
    stride, padding = _per_dim(args, "stride", dims, 1), _per_dim(args, "padding", dims, 0)
    dilation = _per_dim(args, "dilation", dims, 1)
    extra = _per_dim(args, "output_padding", dims, 0) if transposed else ()
    spatial = []
    for i, length in enumerate(x[-dims:]):
        span = dilation[i] * (kernel[i] - 1)
        if transposed:
            spatial.append((length - 1) * stride[i] - 2 * padding[i] + span + extra[i] + 1)
        else:
            spatial.append((length + 2 * padding[i] - span - 1) // stride[i] + 1)
    return tuple(spatial)


def _forward(transposed: bool | None = None) -> Formula:
    """Return the formula of a forward convolution; None: an argument says if it is transposed."""

    def formula(args: Args) -> Products:
        # A file may have any number there.
        flipped = bool(args["transposed"]) if transposed is None else transposed
        source, weight = _first(args, _INPUTS), _first(args, _WEIGHTS)
        x, w = tuple(args[source].shape), tuple(args[weight].shape)
        conv = _geometry(args, x, w, _output(args, x, w, flipped), flipped)
        dims = conv.product(Role.FORWARD)
        return (Product(None, conv.groups, *dims, source, weight, 0, conv),)

    return formula


def _temporal(args: Args) -> Products:
    """conv_tbc: input [time, batch, in], weight [taps, in, out]."""
    steps, images, channels = args["self"].shape
    taps, _, outputs = args["weight"].shape
    rows = (steps + 2 * int(args["pad"]) - taps + 1) * images
    return (Product(None, 1, rows, outputs, channels * taps, "self", "weight", 0),)


def _backward(transposed: bool | None = None) -> Formula:
    def formula(args: Args) -> Products:
        flipped = bool(args["transposed"]) if transposed is None else transposed
        source = "input" if "input" in args else "self"
        x, y = tuple(args[source].shape), tuple(args["grad_output"].shape)
        conv = _geometry(args, x, tuple(args["weight"].shape), y, flipped)
        return tuple(_gradients(conv, source, args["output_mask"]))

    return formula


def _gradients(conv: Conv, source: str, mask: Any) -> list[Product]:
    needs_data, needs_weight = mask[:2]
    operands = (source, "grad_output") if conv.transposed else ("grad_output", source)
    gemms = []
    if needs_data:
        dims = conv.product(Role.DGRAD)
        gemms.append(Product(Role.DGRAD, conv.groups, *dims, "grad_output", "weight", 0, conv))
    if needs_weight:
        dims = conv.product(Role.WGRAD)
        gemms.append(Product(Role.WGRAD, conv.groups, *dims, *operands, int(needs_data), conv))
    return gemms


_ORDINARY = words(
    "cudnn_convolution cudnn_convolution_relu cudnn_convolution_add_relu miopen_convolution "
    "miopen_convolution_relu miopen_convolution_add_relu miopen_depthwise_convolution "
    "mkldnn_convolution _mps_convolution _nnpack_spatial_convolution _conv_depthwise2d "
    "conv_depthwise3d thnn_conv2d _slow_conv2d_forward slow_conv3d slow_conv3d_forward "
    "slow_conv_dilated2d slow_conv_dilated3d conv1d conv2d conv3d "
    "mkldnn::_convolution_pointwise "
    "onednn::qconv_pointwise onednn::qconv1d_pointwise onednn::qconv2d_pointwise "
    "onednn::qconv3d_pointwise"
)
_TRANSPOSED = words(
    "cudnn_convolution_transpose miopen_convolution_transpose _mps_convolution_transpose "
    "slow_conv_transpose2d slow_conv_transpose3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d mkldnn::_convolution_transpose_pointwise"
)
_EITHER = ("convolution", "_convolution", "convolution_overrideable")
FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(_EITHER, _forward()),
    **dict.fromkeys(_ORDINARY, _forward(transposed=False)),
    **dict.fromkeys(_TRANSPOSED, _forward(transposed=True)),
    "conv_tbc": _temporal,
    **dict.fromkeys(("convolution_backward", "convolution_backward_overrideable"), _backward()),
    **dict.fromkeys(("_slow_conv2d_backward", "mps_convolution_backward"), _backward(False)),
    "mps_convolution_transpose_backward": _backward(True),
}
