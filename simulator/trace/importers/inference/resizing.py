"""Results of ops that resize images or other tensors: pools, padding, upsampling."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from simulator.trace.gemms.product import words
from simulator.trace.importers.inference.result import (
    Args,
    ResultRule,
    TensorShape,
    TensorType,
    at,
    like,
    sized,
    sizes,
    with_size,
)
from simulator.trace.kinds import SHAPE_ONLY

# Pools


def _pooled(args: Args) -> TensorShape:
    x, kernel = args["self"], sizes(args["kernel_size"])
    spatial = x.shape[-len(kernel) :]
    outputs = [_windows(args, i, length) for i, length in enumerate(spatial)]
    return (*x.shape[: -len(kernel)], *sizes(outputs))


def _windows(args: Args, i: int, length: int) -> int:
    """Return how many windows a pool has along spatial dimension `i`."""
    kernel = sizes(args["kernel_size"])
    stride, padding = at(tuple(args["stride"] or kernel), i), at(args["padding"] or (0,), i)
    extent = at(args.get("dilation", (1,)), i) * (at(kernel, i) - 1) + 1
    free = length + 2 * padding - extent
    if not args.get("ceil_mode"):
        return free // stride + 1
    count = -(-free // stride) + 1
    # A window that starts in the padding behind the image does not count.
    return count - 1 if (count - 1) * stride >= length + padding else count


def _pool(args: Args) -> Iterator[TensorType]:
    yield _pooled(args), args["self"].dtype


def _pool_with_indices(args: Args) -> Iterator[TensorType]:
    shape = _pooled(args)
    yield shape, args["self"].dtype
    yield shape, "int64"


def _adaptive(args: Args) -> Iterator[TensorType]:
    size = sizes(args["output_size"])
    yield (*args["self"].shape[: -len(size)], *size), args["self"].dtype


def _adaptive_with_indices(args: Args) -> Iterator[TensorType]:
    for shape, dtype in _adaptive(args):
        yield shape, dtype
        yield shape, "int64"


# Upsampling: to a size, or by factors


def _upsampled(args: Args) -> Iterator[TensorType]:
    x = args["self"]
    dims = len(x.shape) - 2
    size = args["output_size"]
    if size is None:
        factors = next(value for value in list(args.values())[2:] if isinstance(value, tuple))
        pairs = zip(x.shape[-dims:], factors, strict=True)
        size = tuple(int(length * scale) for length, scale in pairs)
    yield (*x.shape[:2], *sizes(size)), x.dtype


_UPSAMPLING = words(
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d "
    "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d _upsample_bilinear2d_aa "
    "_upsample_bicubic2d_aa"
)


# Windows and padding


def _unfolded(args: Args) -> Iterator[TensorType]:
    x, kernel = args["self"], sizes(args["kernel_size"])
    columns = 1
    for i, length in enumerate(x.shape[-2:]):
        extent = at(args["dilation"], i) * (at(kernel, i) - 1) + 1
        columns *= (length + 2 * at(args["padding"], i) - extent) // at(args["stride"], i) + 1
    taps = at(kernel, 0) * at(kernel, 1)
    yield (*x.shape[:-3], x.shape[-3] * taps, columns), x.dtype


def _folded(args: Args) -> Iterator[TensorType]:
    x, kernel = args["self"], sizes(args["kernel_size"])
    channels = x.shape[-2] // (at(kernel, 0) * at(kernel, 1))
    yield (*x.shape[:-2], channels, *sizes(args["output_size"])), x.dtype


def _padded(args: Args) -> Iterator[TensorType]:
    """`padding` has two numbers for each dimension, the last dimension first."""
    x, padding = args["self"], args["pad"] if "pad" in args else args["padding"]
    shape = list(x.shape)
    for i, (before, after) in enumerate(list(pairwise(padding))[::2]):
        shape[-1 - i] += int(before) + int(after)
    yield sizes(shape), x.dtype


def _repeated(args: Args) -> Iterator[TensorType]:
    x, repeats = args["self"], sizes(args["repeats"])
    shape = (1,) * (len(repeats) - len(x.shape)) + tuple(x.shape)
    yield tuple(size * times for size, times in zip(shape, repeats, strict=True)), x.dtype


def _interleaved(args: Args) -> Iterator[TensorType]:
    x, times, dim = args["self"], int(args["repeats"]), args.get("dim")
    if dim is None:
        yield (x.elements * times,), x.dtype
    else:
        yield with_size(x.shape, int(dim), x.shape[int(dim)] * times), x.dtype


# Channels and pixels


def _halved(args: Args) -> Iterator[TensorType]:
    x, dim = args["self"], int(args["dim"])
    yield with_size(x.shape, dim, x.shape[dim] // 2), x.dtype


def _shuffled(args: Args) -> Iterator[TensorType]:
    *lead, channels, height, width = args["self"].shape
    r = int(args["upscale_factor"])
    yield (*lead, channels // (r * r), height * r, width * r), args["self"].dtype


def _unshuffled(args: Args) -> Iterator[TensorType]:
    *lead, channels, height, width = args["self"].shape
    r = int(args["downscale_factor"])
    yield (*lead, channels * r * r, height // r, width // r), args["self"].dtype


def _sampled(args: Args) -> Iterator[TensorType]:
    x, grid = args["input"], args["grid"]
    yield (*x.shape[:2], *grid.shape[1:-1]), x.dtype


def _grid(args: Args) -> Iterator[TensorType]:
    images, _, *spatial = sizes(args["size"])
    yield (images, *spatial, len(spatial)), args["theta"].dtype


def _one_hot(args: Args) -> Iterator[TensorType]:
    yield (*args["self"].shape, int(args["num_classes"])), "int64"


def _fourier(args: Args) -> Iterator[TensorType]:
    x, last = args["self"], int(args["dim"][-1])
    half = x.shape[last] // 2 + 1 if args["onesided"] else x.shape[last]
    dtype: Any = {"float64": "complex128", "float16": "complex32"}.get(x.dtype, "complex64")
    yield with_size(x.shape, last, half), dtype


def _fourier_back(args: Args) -> Iterator[TensorType]:
    x, last = args["self"], int(args["dim"][-1])
    dtype = {"complex128": "float64", "complex32": "float16"}.get(x.dtype, "float32")
    yield with_size(x.shape, last, int(args["last_dim_size"])), dtype


_PADDINGS = words(
    "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
    "replication_pad2d replication_pad3d"
)
RULES: dict[str, ResultRule] = {
    **{base: like(argument) for base, argument in SHAPE_ONLY.items()},
    **{f"{base}_backward": like("self") for base in _PADDINGS},
    **dict.fromkeys(("avg_pool2d", "avg_pool3d", "max_pool1d"), _pool),
    **dict.fromkeys(("max_pool2d", "max_pool3d"), _pool),
    "max_pool2d_with_indices": _pool_with_indices,
    "max_pool3d_with_indices": _pool_with_indices,
    "_adaptive_avg_pool2d": _adaptive,
    "_adaptive_avg_pool3d": _adaptive,
    "adaptive_max_pool2d": _adaptive_with_indices,
    "adaptive_max_pool3d": _adaptive_with_indices,
    **dict.fromkeys(_UPSAMPLING, _upsampled),
    **{f"{base}_backward": sized("input_size") for base in _UPSAMPLING},
    "im2col": _unfolded,
    "col2im": _folded,
    **dict.fromkeys(_PADDINGS, _padded),
    "repeat": _repeated,
    "repeat_interleave": _interleaved,
    "glu": _halved,
    "glu_backward": like("self"),
    "pixel_shuffle": _shuffled,
    "pixel_unshuffle": _unshuffled,
    "grid_sampler_2d": _sampled,
    "grid_sampler_3d": _sampled,
    "grid_sampler_2d_backward": like("input", "grid"),
    "grid_sampler_3d_backward": like("input", "grid"),
    "affine_grid_generator": _grid,
    "one_hot": _one_hot,
    "_fft_r2c": _fourier,
    "_fft_c2r": _fourier_back,
}
