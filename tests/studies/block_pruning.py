"""Blocks of zeros on an FPGA and on a phone: what is skipped, and what time that spares.

`python -m tests.studies.block_pruning` prints, for VGG-16 and ResNet-18 with a batch of 1, by block
and density, what the forward GEMMs skip, and the bytes of their weights and of indices;
`--plot FILE` draws the times. An array skips a tile of rows x cols weights where no block is in
it: blocks that cover tiles spare what they leave out, smaller ones (1 - d)^n of n blocks to a
tile. A block-sparse kernel on a CPU skips every block, at a part of the dense rate: 50 %, a guess,
as the descriptions of cores have none measured.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

from simulator.activity import Stage
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.unit import ACCELERATOR
from simulator.lowering.lower import Carry, Lowering
from simulator.lowering.placement import Placement
from simulator.lowering.works import Templates
from simulator.mapping.layout import layout
from simulator.sparsity import BlockPattern, index_bits_of
from simulator.trace.op import Phase, Role
from simulator.trace.passes.overlay import laid_over
from simulator.trace.passes.treatment import Method, Treatment
from simulator.trace.trace import Step

SIDE = 16
DENSITIES = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))
BLOCKS = {"tile": SIDE, "half a tile": SIDE // 2, "4 x 4": 4, "unstructured": 1}
EFFICIENCY = Fraction(1, 2)
NETWORKS = ("vgg16", "resnet18")
FPGA = Path(__file__).with_name("codesign-fpga.yaml")


class Skipped(NamedTuple):
    """Shares of the MACs and of the time of forward GEMMs that are skipped, and bytes of weights:
    kept values in int8, their indices, and all values.
    """

    macs: float
    time: float
    kept_bytes: float
    index_bytes: float
    dense_bytes: int


def fpga() -> Hardware:
    """Return an array of 16 x 16 at 100 MHz that leaves out empty tiles."""
    sizes = {"accelerator.rows": SIDE, "accelerator.cols": SIDE}
    return load_hardware(FPGA, {**sizes, "accelerator.sparsity.blocks": True})


def phone() -> Hardware:
    """Return four cores of a phone with block-sparse kernels."""
    return load_hardware("pixel-3", {"cpu.sparse_efficiency": f"{100 * EFFICIENCY} %"})


def pruned(step: Step, pattern: BlockPattern) -> Step:
    """Return a step all of whose weights have zeros."""
    return laid_over(step, Method("m", (("*", Treatment(settings=(("sparsity", pattern),))),)))


def on_array(step: Step, pattern: BlockPattern, soc: Hardware) -> Skipped:
    """Return what an array skips of the forward GEMMs of a step."""
    templates, native = Templates(soc), Placement(ACCELERATOR, soc.accelerator.precision)
    dense = useful = computing = spared = 0
    for op in pruned(step, pattern).ops:
        for gemm in op.gemms:
            if gemm.role is not Role.FORWARD:
                continue
            work = templates.array_gemm(gemm, layout(gemm, soc.accelerator), native, 8)
            dense, useful = dense + gemm.dense_macs, useful + work.counts.macs
            computing, spared = computing + work.compute_ps, spared + work.skipped_ps
    return Skipped(1 - useful / dense, spared / (computing + spared), *_weights(step, pattern))


def on_cores(step: Step, pattern: BlockPattern, soc: Hardware) -> Skipped:
    """Return what the kernels of a CPU skip of the forward GEMMs of a step."""
    macs, time = (_of_cores(each, soc) for each in (step, pruned(step, pattern)))
    shares = [1 - after / before for before, after in zip(macs, time, strict=True)]
    return Skipped(*shares, *_weights(step, pattern))


def _of_cores(step: Step, soc: Hardware) -> tuple[int, int]:
    """Return the MACs that the forward GEMMs of a step execute, and how long they compute."""
    tasks, _ = Lowering(soc).lower(step, Carry())
    works = [
        t.work for t in tasks if t.phase is Phase.FORWARD and t.work.stage is Stage.GEMM
    ]  # fmt: skip
    return sum(w.counts.macs_issued for w in works), sum(w.compute_ps for w in works)


def _weights(step: Step, pattern: BlockPattern) -> tuple[float, float, int]:
    sizes = [(g.k, g.n, g.batch) for op in step.ops for g in op.gemms if g.role is Role.FORWARD]
    values = sum(k * n * batch for k, n, batch in sizes)
    bits = sum(k * n * batch * index_bits_of(pattern, k, n) for k, n, batch in sizes)
    return float(values * pattern.density), float(bits * pattern.density / 8), values


def covered(side: int, density: Fraction, rows: int = SIDE) -> float:
    """Return the time that is spared in tiles of `rows` x SIDE, made of blocks of this side."""
    blocks = -(-rows // side) * -(-SIDE // side)
    return (1 - float(density)) ** blocks


def on_phone(density: Fraction) -> float:
    """Return the time that a block-sparse kernel spares: nothing where a dense one is faster."""
    return max(0.0, float(1 - density / EFFICIENCY))


@cache
def captured(name: str) -> Step:
    """Return the training step of a network on one image, by shapes."""
    from workloads.models import MODELS
    from workloads.models.step import capture_step

    return capture_step(MODELS[name], 1).steps[0]


def table(name: str) -> Iterator[tuple[str, Fraction, Skipped, Skipped]]:
    """Yield block, density, and what array and phone skip."""
    array, cores = fpga(), phone()
    for block, side in BLOCKS.items():
        for density in DENSITIES:
            pattern = BlockPattern(side, side, density)
            step = captured(name)
            yield block, density, on_array(step, pattern, array), on_cores(step, pattern, cores)


def draw(path: Path) -> None:
    """Draw the time that is spared against the density, a line per block, a panel per machine."""
    from simulator.views.plots.canvas import BLUE, GREEN, INK, ORANGE, VERMILLION, canvas, styled

    with styled():
        figure = canvas(
            "Only blocks that cover the array's tiles spare an FPGA what they leave out",
            "VGG-16, forward GEMMs, batch 1. FPGA: 16 x 16 elements, empty tiles skipped. Phone: "
            "block-sparse kernels at half the dense rate (a guess), whatever the block.",
            4.2,
        )
        panels = figure.subplots(1, 2, sharey=True)
        rows = list(table("vgg16"))
        marks = zip(BLOCKS, (BLUE, ORANGE, GREEN, VERMILLION), "osDv", strict=True)
        for block, colour, mark in marks:
            own = [row for row in rows if row[0] == block]
            for axes, place in zip(panels, (2, 3), strict=True):
                spared = [100 * row[place].time for row in own]
                kept = [100 * float(row[1]) for row in own]
                axes.plot(kept, spared, marker=mark, color=colour, label=block, ms=6, lw=1.5)
        for axes, title in zip(panels, ("FPGA array", "phone, four cores"), strict=True):
            axes.plot([0, 100], [100, 0], ls="--", color=INK, lw=1, label="MACs skipped")
            axes.set_title(title)
            axes.set_xlabel("weights kept (%)")
            axes.grid(visible=True)
        panels[0].set_ylabel("time spared (%)")
        panels[0].legend(title="block")
        figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table, or draw it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    if given.plot:
        draw(given.plot)
        return
    for name in NETWORKS:
        print(
            f"\n| {name}: block | kept | MACs skipped | FPGA time | phone time | weights | index |"
        )
        print("|---|---|---|---|---|---|---|")
        for block, density, array, cores in table(name):
            print(
                f"| {block} | {density} | {array.macs:.1%} | {array.time:.1%} | {cores.time:.1%} | "
                f"{array.kept_bytes / 1e6:.2f} MB | {array.index_bytes / 1e6:.3f} MB |"
            )


if __name__ == "__main__":
    main()
