"""Arrays of GEMMs: which products they take, and the stages of a call."""

from collections.abc import Iterable
from typing import ClassVar

from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.runtime import Driver
from simulator.lowering.backends.array.stages import ArrayStages
from simulator.lowering.binding import Binding
from simulator.lowering.outline import UnitOutline
from simulator.lowering.placement import Placement, on_array
from simulator.lowering.requests import WorkRequest
from simulator.trace.op import Gemm, Op


class ArrayBackend:
    """An array as lowering sees it."""

    takes_ops: ClassVar[bool] = False
    by_rule: ClassVar[bool] = False

    def __init__(self, unit: str, outline: UnitOutline) -> None:
        """Lower for the array called `unit`."""
        assert isinstance(outline.interface, ArrayInterface), "the outline is an array's"
        self._unit, self._outline, self._array = unit, outline, outline.interface

    @property
    def driver(self) -> Driver:
        """What handing GEMMs to it costs."""
        return self._outline.driver

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return how it runs `gemm` of `op`; it runs nothing but GEMMs."""
        return None if gemm is None else on_array(self._unit, self._array, op, gemm)

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> ArrayStages:
        """Return what appends its calls to one step; `engines` are built already."""
        return ArrayStages(binding, self._unit, self._outline, engines)
