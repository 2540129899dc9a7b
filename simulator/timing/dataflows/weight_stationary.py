"""Weights (B) stay in the elements: reductions on the rows, columns of B on the columns."""

from simulator.hardware.accelerator import Accelerator
from simulator.timing.dataflows.dataflow import Accesses, Axes, Dims
from simulator.timing.dataflows.phases import PreloadedOperand
from simulator.units import ceil_div


class WeightStationary(PreloadedOperand):
    """The dataflow of the TPU and of Gemmini's `WS`."""

    name = "ws"
    axes = Axes(row="k", col="n", stream="m")

    def accesses(self, array: Accelerator, dims: Dims) -> Accesses:
        """Return SCALE-Sim's SRAM counts: A streams once per fold of columns."""
        m, n, k = dims
        a_reads = m * k * ceil_div(n, array.cols)
        return Accesses(a_reads, k * n, m * n * ceil_div(k, array.rows * array.dot_width))
