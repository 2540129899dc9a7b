"""What a search for a mapping minimises: a cost of its time and of what it moves.

Every cost grows with both, so that of their lower bounds it is one itself.
"""

from collections.abc import Callable

from simulator.hardware.dram import Dram

MappingCost = tuple[int, int]
"""What a search minimises, and what decides among equals."""

Objective = Callable[[int, int], MappingCost]
"""The cost of a mapping by its time in ps and the bytes that it moves in one repeat."""


def by_time(time_ps: int, moved_bytes: int) -> MappingCost:
    """Return time, then traffic."""
    return time_ps, moved_bytes


def by_traffic(time_ps: int, moved_bytes: int) -> MappingCost:
    """Return traffic, then time."""
    return moved_bytes, time_ps


def _by_energy(dram: Dram, repeats: int, *, delay: bool = False) -> Objective:
    """Return the objective of the memory's energy, or of its product with the delay."""
    byte_aj, ps_aj = memory_energy(dram)
    byte_aj *= repeats

    def cost(time_ps: int, moved_bytes: int) -> MappingCost:
        energy_aj = byte_aj * moved_bytes + ps_aj * time_ps
        return energy_aj * time_ps if delay else energy_aj, time_ps

    return cost


OBJECTIVES: dict[str, Callable[[Dram, int], Objective]] = {
    "time": lambda _dram, _repeats: by_time,
    "traffic": lambda _dram, _repeats: by_traffic,
    "energy": _by_energy,
    "edp": lambda dram, repeats: _by_energy(dram, repeats, delay=True),
}
"""Values of `accelerator.mapping` that are searches, of so many repeats on a memory."""


def objective_of(name: str, dram: Dram, repeats: int) -> Objective:
    """Return the objective of a value of `accelerator.mapping`; a rule of a machine's own that has
    no mapping for a shape searches by time.
    """
    return OBJECTIVES.get(name, OBJECTIVES["time"])(dram, repeats)


def memory_energy(dram: Dram) -> tuple[int, int]:
    """Return the energy of the memory that a mapping decides, in aJ: per byte that moves, a burst
    read from an open row, and per ps that it takes, all channels on standby.

    An ideal memory has none but in traffic: 1 per byte.
    """
    device = dram.device
    if device is None:
        return 1, 0
    energy = device.energy
    burst_aj = energy.read + 8 * device.granule * energy.io_read
    return burst_aj // device.granule, device.channels * energy.standby  # 1 uW is 1 aJ/ps
