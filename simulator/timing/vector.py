"""Time of the vector unit of an accelerator: operations over lanes, pipes and clock."""

from collections.abc import Iterable

from simulator.activity import sequential
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.vector import VectorCosts
from simulator.timing.dma import STREAMS
from simulator.timing.kernels import KernelCost
from simulator.timing.pricing import EnginePricing
from simulator.units import Clock, ceil_div


def vector_ps(array: Accelerator, operations: int) -> int:
    """Return the time in ps of so many operations of lanes, whole cycles of all of them."""
    if not operations:
        return 0
    vector = array.vector
    assert vector is not None, "lowering gives operations to a vector unit that is there"
    cycles = ceil_div(operations, vector.lanes * vector.pipes)
    return Clock(vector.clock or array.clock).cycles_to_ps(cycles)


def vector_port_ps(
    array: Accelerator,
    engine: EnginePricing,
    reads: Iterable[int],
    writes: Iterable[int],
    out_bits: int,
    width: int = 0,
) -> int:
    """Return the time in ps of tensors of these bytes at the accelerator's DMA engine.

    Loads and stores take turns where the engine has one stream, or tiles have no second buffer.
    Stores leave row by row of all lanes, `out_bits` each. Blocks of rows of a matrix that is
    `width` bytes wide, where that is more than a request, move a request of each row in turn.
    """
    assert array.vector is not None, "a vector unit loads and stores"
    row = ceil_div(array.vector.lanes * out_bits, 8)
    request = array.dma.request
    wide = width if width > request else 0
    loads = [sequential(size, write=False)._replace(row=wide) for size in reads]
    stores = [sequential(size, write=True)._replace(row=row) for size in writes]
    if wide:
        stores = [each._replace(run=request, pitch=wide) for each in stores]
    loads_ps, stores_ps = (sum(map(engine.port_ps, each)) for each in (loads, stores))
    side_by_side = STREAMS[array.dma.streams].duplex and array.vector.buffers > 1
    return max(loads_ps, stores_ps) if side_by_side else loads_ps + stores_ps


def millioperations(costs: VectorCosts, kernels: Iterable[KernelCost]) -> int:
    """Return the operations per element of kernels in a row, in thousandths."""
    return sum(getattr(costs, kernel.cost) * kernel.permille for kernel in kernels)
