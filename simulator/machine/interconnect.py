"""The arbiter between masters: what share of the memory's time each of them has."""

from typing import NamedTuple

from simulator.activity import Unit, Work
from simulator.hardware.soc import Hardware
from simulator.timing.arbitration import POLICIES, Master
from simulator.timing.dram.cost import LINE, Samples, Traffic, idle_ps, samples_of, traffic_of
from simulator.timing.shares import WHOLE, max_min_fair
from simulator.units import PS_PER_S, ceil_div

_QUEUE = 32  # requests that a DMA without a limit of its own has in flight: a read queue
_REMEMBERED = 65536


class Want(NamedTuple):
    """An activity of a master: the share of the memory's time that it uses alone, and for what."""

    unit: Unit
    demand: int
    traffic: Traffic | None = None


class Interconnect:
    """Divides the memory's time among masters first, then among the streams of each.

    Masters that disturb each other's rows, or turn the bus around, have less to divide.
    """

    def __init__(self, hardware: Hardware | None = None) -> None:
        """Arbitrate as `hardware` says; without one, fairly and undisturbed."""
        device = hardware.dram.device if hardware else None
        self._samples: Samples | None = samples_of(device) if device else None
        self._policy = POLICIES[hardware.interconnect.arbitration if hardware else "fair"]
        self._masters = _masters(hardware) if hardware else dict.fromkeys(Unit, Master())
        self._traffic: dict[Work, Traffic | None] = {}
        self._shares: dict[tuple[Want, ...], tuple[int, ...]] = {}

    def traffic(self, work: Work) -> Traffic | None:
        """Return what stands for the memory traffic of `work`, if it has any."""
        if work not in self._traffic:
            counts, found = work.counts, None
            bursts = counts.dram_read_bursts + counts.dram_write_bursts
            if self._samples and bursts:
                written = counts.dram_write_bursts
                device = self._samples.device
                found = traffic_of(device, bursts, written, counts.dram_activates)
            self._traffic[work] = found
        return self._traffic[work]

    def shares(self, wants: tuple[Want, ...]) -> tuple[int, ...]:
        """Return the share that each activity sees while it transfers."""
        shares = self._shares.get(wants)
        if shares is None:
            if len(self._shares) >= _REMEMBERED:
                self._shares.clear()
            shares = self._shares[wants] = self._divide(wants)
        return shares

    def _divide(self, wants: tuple[Want, ...]) -> tuple[int, ...]:
        if len(wants) == 1:
            return (WHOLE,)
        units = list(dict.fromkeys(want.unit for want in wants))
        if len(units) == 1:
            return tuple(max_min_fair([want.demand for want in wants]))
        streams = {unit: [want for want in wants if want.unit is unit] for unit in units}
        wanted = [min(WHOLE, sum(want.demand for want in streams[unit])) for unit in units]
        masters = [self._masters[unit] for unit in units]
        whole = self._whole([streams[unit][0].traffic for unit in units], wanted)
        granted = dict(zip(units, self._policy(wanted, masters, whole), strict=True))
        parts = {
            unit: iter(max_min_fair([want.demand for want in mine], granted[unit]))
            if len(mine) > 1
            else iter([granted[unit]])
            for unit, mine in streams.items()
        }
        return tuple(next(parts[want.unit]) for want in wants)

    def _whole(self, traffic: list[Traffic | None], wanted: list[int]) -> int:
        """Return the memory's time, less what masters lose to each other.

        What two that move as much lose is sampled; the less one of them moves, the less is lost.
        """
        one, other = traffic[0], traffic[1]
        if self._samples is None or one is None or other is None:
            return WHOLE
        grants = max_min_fair(wanted)
        lost = self._samples.stretch_permille(one, other) - 1000
        stretch = 1000 * sum(grants) + lost * 2 * min(grants)
        return WHOLE * 1000 * sum(grants) // stretch


def _masters(hardware: Hardware) -> dict[Unit, Master]:
    cpu, array, fabric = hardware.cpu, hardware.accelerator, hardware.interconnect
    round_trip_ps = fabric.latency + idle_ps(hardware.dram)
    fills = cpu.misses or ceil_div(cpu.bandwidth_per_core * round_trip_ps, LINE * PS_PER_S)
    requests = (array.dma.outstanding if array else None) or _QUEUE
    return {
        Unit.CPU: Master(fabric.cpu_weight, fabric.first == "cpu", max(1, cpu.cores * fills)),
        Unit.ACCELERATOR: Master(
            fabric.accelerator_weight, fabric.first == "accelerator", requests
        ),
    }
