"""Time of the vector unit of an accelerator: operations over lanes, pipes and clock."""

from collections.abc import Iterable

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.vector import VectorCosts
from simulator.timing.kernels import KernelCost
from simulator.units import Clock, ceil_div


def vector_ps(array: Accelerator, operations: int) -> int:
    """Return the time in ps of so many operations of lanes, whole cycles of all of them."""
    if not operations:
        return 0
    vector = array.vector
    assert vector is not None, "lowering gives operations to a vector unit that is there"
    cycles = ceil_div(operations, vector.lanes * vector.pipes)
    return Clock(vector.clock or array.clock).cycles_to_ps(cycles)


def millioperations(costs: VectorCosts, kernels: Iterable[KernelCost]) -> int:
    """Return the operations per element of kernels in a row, in thousandths."""
    return sum(getattr(costs, kernel.cost) * kernel.permille for kernel in kernels)
