"""Blocks of zeros on a network: MACs fall by the density, time only where blocks cover tiles."""

from fractions import Fraction
from functools import cache

import pytest

from simulator.hardware.unit import ACCELERATOR
from simulator.lowering.placement import Placement
from simulator.lowering.works import Templates
from simulator.mapping.layout import layout
from simulator.sparsity import BlockPattern
from simulator.trace.op import Op, OpKind, Phase, Role, convolution, valid_convolution
from simulator.trace.passes.overlay import laid_over
from simulator.trace.passes.treatment import Method, Treatment
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine

SIDE = 16
DENSITIES = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))
BLOCKS = {"tile": SIDE, "half a tile": SIDE // 2, "4 x 4": 4, "unstructured": 1}


def skipped_of(step, pattern):
    """Return the fractions of MACs and of time on the array that zeros of all weights spare in the
    forward products.
    """
    soc = machine("edge-16x16", accelerator__sparsity__blocks=True)
    method = Method("m", (("*", Treatment(settings=(("sparsity", pattern),))),))
    templates, native = Templates(soc), Placement(ACCELERATOR, soc.accelerator.precision)
    dense = useful = computing = spared = 0
    for op in laid_over(step, method).ops:
        for gemm in op.gemms:
            if gemm.role is not Role.FORWARD:
                continue
            lie = layout(gemm, soc.accelerator)
            work = templates.array_gemm(gemm, lie, native, 8)
            dense, useful = dense + gemm.dense_macs, useful + work.counts.macs
            computing, spared = computing + work.compute_ps, spared + work.skipped_ps
    return 1 - useful / dense, spared / (computing + spared)


def expected(side, density, rows):
    """Return what time is spared in tiles of `rows` x SIDE, made of blocks of this side."""
    blocks = -(-rows // side) * (SIDE // side)
    return (1 - float(density)) ** blocks


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
    macs, time = skipped_of(one_layer(), BlockPattern(side, side, density))
    assert macs == 1 - density
    # the first fill of the array stays, and a tile's cycles are rounded up
    assert time == pytest.approx(expected(side, density, SIDE), abs=2e-3)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", ["vgg16", "resnet18"])
def test_a_network(name):
    """Forward products. The first layers' K of 27 or 147 ends within a tile, which has fewer
    blocks, so that smaller blocks spare a little more than in whole tiles.
    """
    step = captured(name)
    print(f"\n{name}: skipped MACs, then skipped time of the array by block")
    print("density     MACs  " + "  ".join(f"{each:>12}" for each in BLOCKS))
    for density in DENSITIES:
        rows = [skipped_of(step, BlockPattern(side, side, density)) for side in BLOCKS.values()]
        times = [time for _, time in rows]
        print(f"{density!s:>7} {rows[0][0]:8.2%}  " + "  ".join(f"{t:12.3%}" for t in times))
        assert all(macs == pytest.approx(1 - density, abs=1e-9) for macs, _ in rows)
        wanted = [expected(side, density, SIDE) for side in BLOCKS.values()]
        assert times[0] == pytest.approx(1 - density, abs=1e-3)
        assert times == sorted(times, reverse=True)
        assert times == pytest.approx(wanted, abs=0.02)


@cache
def captured(name):
    """Return the training step of a network on one image, by shapes."""
    pytest.importorskip("torch")
    from workloads.models import MODELS
    from workloads.models.step import capture_step

    return capture_step(MODELS[name], 1).steps[0]
