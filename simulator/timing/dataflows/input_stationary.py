"""Inputs (A) stay in the elements: reductions on the rows, rows of A on the columns."""

from simulator.hardware.accelerator import Accelerator
from simulator.timing.dataflows.dataflow import Accesses, Axes, Dims
from simulator.timing.dataflows.phases import OVERLAPS, with_stationary_operand
from simulator.units import ceil_div


class InputStationary:
    """The mirror of weight-stationary: weights stream past the inputs."""

    name = "is"
    axes = Axes(row="k", col="m", stream="n")

    def fold_cycles(self, array: Accelerator, stream: int) -> int:
        """Return the cycles from one fold to the next."""
        return OVERLAPS[array.overlap].fold(with_stationary_operand(array, stream))

    def fill_cycles(self, array: Accelerator) -> int:
        """Return the cycles of the first fill that later folds hide."""
        return OVERLAPS[array.overlap].fill(with_stationary_operand(array))

    def accesses(self, array: Accelerator, dims: Dims) -> Accesses:
        """Return SCALE-Sim's SRAM counts: B streams once per fold of A's rows."""
        m, n, k = dims
        b_reads = k * n * ceil_div(m, array.cols)
        return Accesses(m * k, b_reads, m * n * ceil_div(k, array.rows * array.dot_width))

    def weight_gradient(self, filters: int, channels: int, pixels: int) -> Dims:
        """Return the gradient's rows as filters: A is the output's gradient, B the map."""
        return Dims(filters, channels, pixels)
