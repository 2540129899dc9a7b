"""Cycles of the tiles of an operation on one array, each size counted once."""

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Sizes
from simulator.mapping.problem import ProblemShape


class TileCycles:
    """Cycles of tiles, and those that the first one takes besides."""

    def __init__(self, array: Accelerator, shape: ProblemShape) -> None:
        """Count for tiles of `shape` on `array`."""
        self._array, self._shape = array, shape
        self.fill = shape.dataflow.fill_cycles(array)
        self._cycles: dict[Sizes, int] = {}

    def of(self, sizes: Sizes) -> int:
        """Return the cycles of a tile."""
        cycles = self._cycles.get(sizes)
        if cycles is None:
            cycles = self._cycles[sizes] = self._shape.cycles(self._array, sizes)
        return cycles
