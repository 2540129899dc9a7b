"""Inputs (A) stay in the elements: reductions on the rows, rows of A on the columns."""

from simulator.hardware.accelerator import Accelerator
from simulator.timing.dataflows.dataflow import Accesses, Axes, Dims
from simulator.timing.dataflows.phases import PreloadedOperand
from simulator.units import ceil_div


class InputStationary(PreloadedOperand):
    """The mirror of weight-stationary: weights stream past the inputs."""

    name = "is"
    axes = Axes(row="k", col="m", stream="n")

    def accesses(self, array: Accelerator, dims: Dims) -> Accesses:
        """Return SCALE-Sim's SRAM counts: B streams once per fold of A's rows."""
        m, n, k = dims
        b_reads = k * n * ceil_div(m, array.cols)
        return Accesses(m * k, b_reads, m * n * ceil_div(k, array.rows * array.dot_width))
