# ruff: noqa: E402 - without torch nothing here can be imported
"""A profile says what ops are given; what they return is inferred as PyTorch returns it."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F
from torch.profiler import profile, record_function

from simulator.trace.importers import IMPORTERS
from simulator.trace.op import OpKind

pytestmark = pytest.mark.torch

torch.manual_seed(0)
IMAGES, VOLUMES, SIGNALS = torch.rand(2, 4, 9, 8), torch.rand(2, 3, 5, 6, 7), torch.rand(2, 3, 10)
TABLE, INDICES = torch.rand(11, 6), torch.tensor([[1, 2, 3], [4, 5, 6]])
MATRIX, SQUARE = torch.rand(6, 10), torch.rand(3, 5, 4)
SPECTRUM = torch.rand(2, 3, 7, dtype=torch.complex64)
GRID = torch.rand(2, 5, 6, 2)
"""Operands: small, and of sizes that no two dimensions share."""

RETURNED = {
    # factories
    "zeros": lambda: torch.zeros(30, 40),
    "ones": lambda: torch.ones(5, dtype=torch.int64),
    "full": lambda: torch.full((4, 5), 1.5),
    "full of bfloat16": lambda: torch.full((4, 5), 1.5, dtype=torch.bfloat16),
    "rand": lambda: torch.rand(6, 7),
    "randn": lambda: torch.randn(6, 7, dtype=torch.float64),
    "randint": lambda: torch.randint(9, (6, 7)),
    "randperm": lambda: torch.randperm(12),
    "arange": lambda: torch.arange(30),
    "arange from": lambda: torch.arange(3, 30, 4),
    "arange of floats": lambda: torch.arange(0, 1, 0.1),
    "linspace": lambda: torch.linspace(0, 1, 17),
    "eye": lambda: torch.eye(5),
    "tril_indices": lambda: torch.tril_indices(5, 4),
    "new_zeros": lambda: IMAGES.new_zeros(3, 5),
    "new_full": lambda: IMAGES.new_full((3, 5), 1.0),
    "zeros_like": lambda: torch.zeros_like(IMAGES),
    # sizes that change
    "upsample_nearest2d": lambda: F.interpolate(IMAGES, scale_factor=2),
    "upsample_nearest2d to a size": lambda: F.interpolate(IMAGES, size=(20, 24)),
    "upsample_bilinear2d": lambda: F.interpolate(IMAGES, scale_factor=1.5, mode="bilinear"),
    "upsample_bicubic2d": lambda: F.interpolate(IMAGES, size=(12, 4), mode="bicubic"),
    "upsample_linear1d": lambda: F.interpolate(SIGNALS, size=25, mode="linear"),
    "upsample_trilinear3d": lambda: F.interpolate(VOLUMES, size=(9, 8, 3), mode="trilinear"),
    "im2col": lambda: F.unfold(IMAGES, (3, 2), padding=1, stride=2),
    "col2im": lambda: F.fold(torch.rand(2, 12, 36), (7, 8), (2, 3)),
    "constant_pad_nd": lambda: F.pad(IMAGES, (1, 2, 3, 4)),
    "reflection_pad2d": lambda: F.pad(IMAGES, (1, 2, 3, 0), mode="reflect"),
    "replication_pad1d": lambda: F.pad(SIGNALS, (4, 2), mode="replicate"),
    "repeat": lambda: SIGNALS.repeat(3, 2, 1),
    "repeat by a new dimension": lambda: MATRIX.repeat(3, 1, 2),
    "repeat_interleave": lambda: MATRIX.repeat_interleave(3, 0),
    "one_hot": lambda: F.one_hot(INDICES, 9),
    "glu": lambda: F.glu(IMAGES, 1),
    "pixel_shuffle": lambda: F.pixel_shuffle(IMAGES, 2),
    "pixel_unshuffle": lambda: F.pixel_unshuffle(torch.rand(1, 2, 6, 4), 2),
    "grid_sampler_2d": lambda: F.grid_sample(IMAGES, GRID, align_corners=False),
    "affine_grid": lambda: F.affine_grid(torch.rand(2, 2, 3), (2, 1, 4, 5), align_corners=False),
    "rfft": lambda: torch.fft.rfft(SIGNALS),
    "irfft": lambda: torch.fft.irfft(SPECTRUM),
    "fft": lambda: torch.fft.fft(SPECTRUM),
    "max_pool2d": lambda: F.max_pool2d(IMAGES, 3, 2, 1),
    "max_pool2d rounded up": lambda: F.max_pool2d(IMAGES, 2, ceil_mode=True),
    "max_pool2d with a window in the padding": lambda: F.max_pool2d(
        torch.rand(1, 1, 5, 5), 2, 3, 1, ceil_mode=True
    ),
    "max_pool3d": lambda: F.max_pool3d(VOLUMES, 2),
    "avg_pool1d": lambda: F.avg_pool1d(SIGNALS, 3),
    "avg_pool2d": lambda: F.avg_pool2d(IMAGES, (2, 3)),
    "avg_pool3d": lambda: F.avg_pool3d(VOLUMES, 2, padding=1),
    "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(IMAGES, (3, 5)),
    "adaptive_avg_pool3d": lambda: F.adaptive_avg_pool3d(VOLUMES, 2),
    "adaptive_max_pool2d": lambda: F.adaptive_max_pool2d(IMAGES, 3),
    # reductions
    "sum": IMAGES.sum,
    "sum over dimensions": lambda: IMAGES.sum((0, 2)),
    "sum in another type": lambda: IMAGES.sum(dtype=torch.float64),
    "sum of integers": lambda: INDICES.int().sum(1),
    "mean": lambda: IMAGES.mean((2, 3), keepdim=True),
    "var": lambda: IMAGES.var((0, 2)),
    "var_mean": lambda: torch.var_mean(IMAGES, 1),
    "max": IMAGES.max,
    "max over a dimension": lambda: IMAGES.max(1),
    "maximum": lambda: torch.max(IMAGES, IMAGES[0]),
    "argmax": lambda: IMAGES.argmax(1),
    "amax": lambda: IMAGES.amax((1, 2)),
    "aminmax": lambda: torch.aminmax(IMAGES, dim=1),
    "any": lambda: (INDICES > 3).any(1),
    "count_nonzero": lambda: INDICES.count_nonzero(1),
    "logsumexp": lambda: IMAGES.logsumexp(1),
    "norm": lambda: torch.linalg.vector_norm(IMAGES, dim=1),
    "prod": lambda: IMAGES.prod(1),
    "median": lambda: IMAGES.median(1),
    "cumsum": lambda: IMAGES.cumsum(1),
    "cumprod": lambda: IMAGES.cumprod(1),
    "logcumsumexp": lambda: IMAGES.logcumsumexp(1),
    "sort": lambda: IMAGES.sort(1),
    "topk": lambda: IMAGES.topk(3, 1),
    "kthvalue": lambda: IMAGES.kthvalue(2, 1),
    "mse_loss": lambda: F.mse_loss(IMAGES, IMAGES),
    "mse_loss of each": lambda: F.mse_loss(IMAGES, IMAGES, reduction="none"),
    "smooth_l1_loss": lambda: F.smooth_l1_loss(IMAGES, IMAGES),
    "binary_cross_entropy": lambda: F.binary_cross_entropy(IMAGES, IMAGES),
    "nll_loss of each": lambda: F.nll_loss(MATRIX, torch.arange(6), reduction="none"),
    "layer_norm": lambda: F.layer_norm(IMAGES, (9, 8)),
    "group_norm": lambda: F.group_norm(IMAGES, 2),
    # lookups
    "embedding": lambda: F.embedding(INDICES, TABLE),
    "index": lambda: TABLE[INDICES],
    "index of pairs": lambda: SQUARE[torch.tensor([0, 2]), torch.tensor([1, 1])],
    "index_select": lambda: SQUARE.index_select(1, torch.tensor([3, 0])),
    "gather": lambda: MATRIX.gather(1, INDICES),
    "scatter": lambda: MATRIX.scatter(1, INDICES, 0.0),
    "cat": lambda: torch.cat([MATRIX, MATRIX, MATRIX[:, :3]], 1),
    "stack": lambda: torch.stack([MATRIX, MATRIX], 1),
    "where": lambda: torch.where(MATRIX > 0, MATRIX, MATRIX[0]),
    "to": lambda: MATRIX.to(torch.bfloat16),
    "cdist": lambda: torch.cdist(SQUARE, SQUARE[:, :2], p=1.0),
    "eq": lambda: IMAGES.eq(IMAGES[0]),
    "add stretched": lambda: IMAGES[:, :1] + IMAGES[:1],
    "dropout": lambda: F.dropout(IMAGES, 0.5, True),
    "flip": lambda: IMAGES.flip(1),
    # products
    "mm": lambda: MATRIX @ TABLE.new_ones(10, 3),
    "bmm": lambda: torch.bmm(SQUARE, SQUARE.mT.contiguous()),
    "mv": lambda: torch.mv(MATRIX, torch.ones(10)),
    "dot": lambda: torch.dot(torch.ones(7), torch.ones(7)),
    "addbmm": lambda: torch.addbmm(torch.ones(5, 5), SQUARE, SQUARE.mT),
    "conv2d": lambda: F.conv2d(IMAGES, torch.rand(6, 2, 3, 3), stride=2, padding=1, groups=2),
    "conv_transpose2d": lambda: F.conv_transpose2d(IMAGES, torch.rand(4, 3, 2, 2), stride=2),
    "attention": lambda: F.scaled_dot_product_attention(*torch.rand(3, 1, 2, 8, 4)),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Return for each case what its last op returns in the trace, and what PyTorch returned.

    Each case is a step of its own, with a product, for which it is taken for one.
    """
    returned, path = {}, tmp_path_factory.mktemp("results") / "profile.json"
    with profile(record_shapes=True) as profiler, torch.no_grad():
        for number, (name, call) in enumerate(RETURNED.items()):
            with record_function(f"ProfilerStep#{number}"):
                torch.mm(MATRIX, MATRIX.mT)
                result = call()
            returned[name] = [result] if isinstance(result, torch.Tensor) else list(result)
    profiler.export_chrome_trace(str(path))
    trace = IMPORTERS["kineto"](path)
    order = [trace.steps[part.step] for part in trace.segments for _ in range(part.count)]
    last = [next(op for op in step.ops[::-1] if op.kind is not OpKind.VIEW) for step in order]
    return dict(zip(RETURNED, last, strict=True)), returned, trace.origin


@pytest.mark.parametrize("name", RETURNED)
def test_results_are_those_of_pytorch(imported, name):
    op, returned, _ = imported
    mine = [(tensor.elements, tensor.dtype) for tensor in op[name].outputs]
    theirs = [(t.numel(), str(t.dtype).removeprefix("torch.")) for t in returned[name]]
    assert mine[: len(theirs)] == theirs, op[name].name


def test_nothing_is_guessed(imported):
    assert not {"unknown_ops", "unknown_products"} & imported[2].keys(), imported[2]
