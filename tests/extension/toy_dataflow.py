"""A dataflow as another package would bring it: an output-stationary array with a wide bus.

All elements of a fold get their operands at once and keep their sums, which leave in `DRAIN` cycles
after every fold; an operation begins with `BEGIN` cycles. Nothing overlaps.
"""

from simulator.hardware.accelerator import Accelerator
from simulator.timing.dataflows import Accesses, Axes, Dims

DRAIN, BEGIN = 5, 3


class Toy:
    """sum over folds of (K + DRAIN), + BEGIN; ceil(M / R) x ceil(N / C) folds."""

    name = "toy"
    axes = Axes(row="m", col="n", stream="k")

    def fold_cycles(self, _array: Accelerator, stream: int) -> int:
        return stream + DRAIN

    def fill_cycles(self, _array: Accelerator) -> int:
        return BEGIN

    def accesses(self, _array: Accelerator, dims: Dims) -> Accesses:
        m, n, k = dims
        return Accesses(m * n * k, m * n * k, m * n)

    def weight_gradient(self, filters: int, channels: int, pixels: int) -> Dims:
        return Dims(channels, filters, pixels)


TOY = Toy()
