"""Blocks of zeros on a network: MACs fall by the density, time only where blocks cover tiles."""

from functools import cache

import pytest

from simulator.sparsity import BlockPattern
from simulator.trace.op import Op, OpKind, Phase, convolution, valid_convolution
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder
from tests.studies import block_pruning
from tests.studies.block_pruning import BLOCKS, DENSITIES, covered, on_array, on_phone


@cache
def one_layer():
    """Return a step of a convolution of 32 channels with 48 filters of 3 x 3."""
    builder = StepBuilder()
    conv = valid_convolution(32, 48, (34, 34), (3, 3), 1)
    gemm = convolution(conv)
    x, y = builder.tensor(1, 32, 34, 34), builder.tensor(1, 48, 32, 32)
    w = builder.tensor(48, 32, 3, 3, kind=StorageKind.PARAMETER, name="conv.weight")
    builder.ops.append(
        Op("aten.convolution", OpKind.GEMM, Phase.FORWARD, "conv", (x, w), (y,), (gemm,))
    )
    return builder.step()


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("side", BLOCKS.values())
def test_a_layer(side, density):
    pattern = BlockPattern(side, side, density)
    skipped = on_array(one_layer(), pattern, block_pruning.fpga())
    assert skipped.macs == 1 - density
    # the first fill of the array stays, and a tile's cycles are rounded up
    assert skipped.time == pytest.approx(covered(side, density), abs=2e-3)
    blocks = (288 // side) * (48 // side)  # K = 32 x 9, N = 48
    bits = (48 // side - 1).bit_length()  # which block of its row
    assert skipped.index_bytes == pytest.approx(blocks * float(density) * bits / 8)
    assert skipped.kept_bytes == 288 * 48 * density


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", ["vgg16", "resnet18"])
def test_a_network_on_an_fpga_and_on_a_phone(name):
    """The first layers' K of 27 or 147 ends within a tile, which has fewer blocks, so that smaller
    blocks spare a little more than in whole tiles; and their indices need fewer bits.
    """
    pytest.importorskip("torch")
    for block, density, array, cores in block_pruning.table(name):
        assert array.macs == pytest.approx(1 - density, abs=1e-9)
        assert array.time == pytest.approx(covered(BLOCKS[block], density), abs=0.02)
        if block == "tile":
            assert array.time == pytest.approx(1 - density, abs=1e-3)
        skips = density < block_pruning.EFFICIENCY
        assert cores.time == pytest.approx(on_phone(density), abs=0.005)
        assert cores.macs == pytest.approx(1 - density if skips else 0, abs=0.005)
        assert array.kept_bytes == array.dense_bytes * density
