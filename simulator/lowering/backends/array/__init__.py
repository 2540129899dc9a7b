"""Accelerators: which products and ops they take, what they fuse, and the stages of a call."""

from collections.abc import Iterable
from typing import ClassVar

from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.runtime import Driver
from simulator.lowering.backends.array.call import call_of
from simulator.lowering.backends.array.stages import ArrayStages
from simulator.lowering.backends.array.vector import computes, takes_whole
from simulator.lowering.binding import Binding, Site
from simulator.lowering.epilogue import can_ride
from simulator.lowering.outline import UnitOutline
from simulator.lowering.placement import Placement, on_array
from simulator.lowering.requests import WorkRequest
from simulator.trace.op import Gemm, Op, Role


class ArrayBackend:
    """An array as lowering sees it, with its vector unit if there is one."""

    by_rule: ClassVar[bool] = False

    def __init__(self, unit: str, outline: UnitOutline) -> None:
        """Lower for the array called `unit`."""
        assert isinstance(outline.interface, ArrayInterface), "the outline is an array's"
        self._unit, self._outline, self._array = unit, outline, outline.interface

    @property
    def takes_ops(self) -> bool:
        """Whether its vector unit may take ops that are no GEMMs."""
        vector = self._array.vector
        return bool(vector and vector.ops) and self.driver.copies == "none"

    @property
    def driver(self) -> Driver:
        """What handing work to it costs."""
        return self._outline.driver

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return how it runs `gemm` of `op`; without one, how its vector unit runs all of `op`."""
        if gemm is not None:
            return on_array(self._unit, self._array, op, gemm)
        vector = self._array.vector
        if not self.takes_ops or vector is None or op.gemms or not takes_whole(vector, op):
            return None
        return Placement(self._unit, "")

    def fuses(self, head: Op, rider: Op) -> bool:
        """Return whether `rider` can follow `head`: a product whose outputs pass the vector unit
        right from the array, or an op that the unit takes whole.
        """
        if not head.gemms:
            return self.takes(rider, None) is not None
        vector, driver = self._array.vector, self.driver
        if vector is None or not can_ride(rider) or not computes(vector, rider):
            return False
        if driver.copies != "none" or driver.reshape.takes_time:
            return False
        feeding = [each for each in head.gemms if _feeds(head, each, rider)] or head.gemms[:1]
        gemm = feeding[0]
        if len(feeding) > 1 or gemm.c < 0:
            return False
        sizes = {tensor.elements for tensor in rider.outputs if tensor.elements}
        return sizes == {gemm.result_elements} and self._leaves_complete(head, gemm)

    def _leaves_complete(self, op: Op, gemm: Gemm) -> bool:
        """Return whether outputs of the array are results, each element made once."""
        placement = self.takes(op, gemm)
        driver = self.driver
        if placement is None or (gemm.role is Role.WGRAD and driver.rearrange.wgrad):
            return False
        site, conversions = Site(0, op.phase, op.layer), driver.conversions
        call = call_of(
            site, op, gemm, placement, self._array,
            by_unit=conversions == "unit", by_vector=conversions == "vector",
        )  # fmt: skip
        target = call.target
        return target is not None and not call.is_raw and target.elements == gemm.result_elements

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> ArrayStages:
        """Return what appends its calls to one step; `engines` are built already."""
        return ArrayStages(binding, self._unit, self._outline, engines)


def _feeds(head: Op, gemm: Gemm, rider: Op) -> bool:
    made = head.outputs[gemm.c].storage if gemm.c >= 0 else -1
    return made in {tensor.storage for tensor in rider.inputs}
