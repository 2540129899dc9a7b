"""How masters share the memory: what share of its time each activity sees."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from simulator.activity import DRAM_ACTIVATES, DRAM_WRITE_BURSTS, Work
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import DramDevice
from simulator.hardware.soc import Hardware
from simulator.memo import Memo, remember
from simulator.timing.arbitration import POLICIES, Master
from simulator.timing.dram.cost import (
    LINE,
    DeviceSamples,
    TrafficShape,
    idle_ps,
    samples_of,
    traffic_of,
)
from simulator.timing.shares import WHOLE, max_min_fair
from simulator.units import PS_PER_S, ceil_div

_QUEUE = 32  # requests that a DMA without a limit of its own has in flight: a read queue
_MOST_DIVISIONS = 16_384
_MOST_WORKS = 2048  # a guess: works of some tens of designs that meet others at the memory


class Want(NamedTuple):
    """An activity of a master: the share of the memory's time that it uses alone, and for what."""

    unit: str
    demand: int
    traffic: TrafficShape | None = None


class Sharing:
    """Divides the memory's time among masters first, then among the streams of each.

    Masters that disturb each other's rows, or turn the bus around, have less to divide.
    """

    def __init__(
        self,
        arbitration: str = "fair",
        masters: Mapping[str, Master] = MappingProxyType({}),
        device: DramDevice | None = None,
    ) -> None:
        """Arbitrate among `masters`, who disturb each other at `device`, without one not at all."""
        self._samples: DeviceSamples | None = samples_of(device) if device else None
        self._policy, self._masters = POLICIES[arbitration], masters
        self._traffic: Memo[TrafficShape] = Memo("traffic of works", _MOST_WORKS)
        self._shares: Memo[tuple[int, ...]] = Memo("divisions of a memory", _MOST_DIVISIONS)

    def traffic(self, work: Work) -> TrafficShape | None:
        """Return what stands for the memory traffic of `work`, if it has any."""
        counts = work.counts
        if self._samples is None or not counts.dram_bursts:
            return None
        device = self._samples.device
        return self._traffic.get(
            work,
            lambda: traffic_of(
                device, counts.dram_bursts, counts[DRAM_WRITE_BURSTS], counts[DRAM_ACTIVATES]
            ),
        )

    def shares(self, wants: tuple[Want, ...]) -> tuple[int, ...]:
        """Return the share that each activity sees while it transfers."""
        shares = self._shares.find(wants)
        return self._shares.keep(wants, self._divide(wants)) if shares is None else shares

    def _divide(self, wants: tuple[Want, ...]) -> tuple[int, ...]:
        if len(wants) == 1:
            return (WHOLE,)
        units = list(dict.fromkeys(want.unit for want in wants))
        if len(units) == 1:
            return tuple(max_min_fair([want.demand for want in wants]))
        streams = {unit: [want for want in wants if want.unit == unit] for unit in units}
        demands = [min(WHOLE, sum(want.demand for want in streams[unit])) for unit in units]
        masters = [self._masters.get(unit, Master()) for unit in units]
        whole = self._whole([streams[unit][0].traffic for unit in units], demands)
        granted = dict(zip(units, self._policy(demands, masters, whole), strict=True))
        parts = {
            unit: iter(max_min_fair([want.demand for want in mine], granted[unit]))
            if len(mine) > 1
            else iter([granted[unit]])
            for unit, mine in streams.items()
        }
        return tuple(next(parts[want.unit]) for want in wants)

    def _whole(self, traffic: Sequence[TrafficShape | None], demands: Sequence[int]) -> int:
        """Return the memory's time, less what masters lose to each other."""
        if self._samples is None:
            return WHOLE
        grants = max_min_fair(demands)
        lost = {pair: self._lost_permille(*(traffic[i] for i in pair)) for pair in _pairs(traffic)}
        stretch = 1000 * sum(grants) + interference(grants, lost)
        return WHOLE * 1000 * sum(grants) // stretch

    def _lost_permille(self, one: TrafficShape | None, other: TrafficShape | None) -> int:
        """Return what two masters lose to each other that move as much at once."""
        if self._samples is None or one is None or other is None:
            return 0
        return self._samples.stretch_permille(one, other) - 1000


def sharing_of(hardware: Hardware) -> Sharing:
    """Return how the masters of `hardware` share its memory; equal ones share one object."""
    device, fabric = hardware.dram.device, hardware.interconnect
    return _sharing(fabric.arbitration, tuple(masters_of(hardware).items()), device)


@remember("ways to share a memory", most=64)
def _sharing(
    arbitration: str, masters: tuple[tuple[str, Master], ...], device: DramDevice | None
) -> Sharing:
    return Sharing(arbitration, dict(masters), device)


def interference(grants: Sequence[int], lost_permille: Mapping[tuple[int, int], int]) -> int:
    """Return the time, in permille of the unit of `grants`, that masters lose to each other.

    Each master meets the sum of the others: a mixture of them in proportion to their grants, and no
    more of it than it moves itself. `lost_permille` is what the masters i < j lose to each other
    where both move as much. Of two masters the loss is 2 min(grants) of it.
    """
    total, all_others = 0, sum(grants)
    for master, grant in enumerate(grants):
        others = all_others - grant
        if others:
            mixed = sum(
                other_grant * lost_permille[min(master, other), max(master, other)]
                for other, other_grant in enumerate(grants)
                if other != master
            )
            total += min(grant, others) * mixed // others
    return total


def _pairs(masters: Sequence[object]) -> list[tuple[int, int]]:
    return list(combinations(range(len(masters)), 2))


def masters_of(hardware: Hardware) -> dict[str, Master]:
    """Return what the arbiter knows of each unit of `hardware`, by name.

    A core fills as many lines at once as hide its round trip, unless `misses` limits it (Little's
    law).
    """
    ports = hardware.ports
    return {
        name: Master(port.weight, port.first, requests_in_flight(hardware, name))
        for name, port in ports.items()
    }


def requests_in_flight(hardware: Hardware, unit: str) -> int:
    """Return how many requests of a unit wait for the memory at a time."""
    cpu, limit = hardware.units[unit], hardware.ports[unit].outstanding
    if limit or not isinstance(cpu, Cpu):
        return limit or _QUEUE
    round_trip_ps = hardware.interconnect.latency + idle_ps(hardware.dram)
    fills = cpu.misses or ceil_div(cpu.bandwidth_per_core * round_trip_ps, LINE * PS_PER_S)
    return max(1, cpu.cores * fills)
