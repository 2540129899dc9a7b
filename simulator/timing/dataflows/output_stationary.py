"""Outputs (C) stay in the elements: rows of A on the rows, columns of B on the columns."""

from simulator.hardware.accelerator import Accelerator
from simulator.timing.dataflows.dataflow import Accesses, Axes, Dims
from simulator.timing.dataflows.phases import OVERLAPS, with_stationary_outputs
from simulator.units import ceil_div


class OutputStationary:
    """Sums stay until they are complete: nothing is preloaded, outputs drain behind the skew."""

    name = "os"
    axes = Axes(row="m", col="n", stream="k")

    def fold_cycles(self, array: Accelerator, stream: int) -> int:
        """Return the cycles from one fold to the next."""
        return OVERLAPS[array.overlap].fold(with_stationary_outputs(array, stream))

    def fill_cycles(self, array: Accelerator) -> int:
        """Return the cycles of the first skew that later folds hide."""
        return OVERLAPS[array.overlap].fill(with_stationary_outputs(array))

    def accesses(self, array: Accelerator, dims: Dims) -> Accesses:
        """Return SCALE-Sim's SRAM counts: both operands stream, sums leave once."""
        m, n, k = dims
        a_reads, b_reads = m * k * ceil_div(n, array.cols), k * n * ceil_div(m, array.rows)
        return Accesses(a_reads, b_reads, m * n)

    def weight_gradient(self, filters: int, channels: int, pixels: int) -> Dims:
        """Return the gradient's rows as channels: an element keeps the gradient of the weight
        that it holds in a weight-stationary forward pass.
        """
        return Dims(channels, filters, pixels)
