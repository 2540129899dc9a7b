"""How long a memory stays awake beside its traffic, under its controller's policy."""

from collections.abc import Sequence

from simulator.activity import DramStates, Span
from simulator.hardware.dram import Dram, IdlePolicy
from simulator.units import ceil_div


def dram_states(dram: Dram, duration_ps: int, channel_ps: int, bursts: int) -> DramStates:
    """Return the states of the memory over a time in which it is busy for `channel_ps` with so many
    bursts, which all channels share.
    """
    channels = dram.device.channels if dram.device else 1
    gaps = ceil_div(bursts, channels) + 1
    idle_ps = max(0, duration_ps - channel_ps)
    busy_ps = duration_ps - idle_ps
    standby, clocked = (busy_ps + awake_ps(idle_ps, gaps, limit) for limit in _limits(dram.idle))
    return DramStates(standby, clocked)


def awake_ps(idle_ps: int, gaps: int, limit_ps: int | None) -> int:
    """Return the part of an idle time of so many gaps that lies within `limit_ps` of a gap's start.

    Gaps of equal length leave most of it: the sum of min(gap, limit) is concave in the gaps. So a
    memory sleeps at least as long as this says, and longer where its traffic comes in bunches.
    """
    return idle_ps if limit_ps is None else min(idle_ps, gaps * limit_ps)


def meetings(spans: Sequence[Span]) -> list[list[int]]:
    """Return the tasks by number that run side by side, group by group: when a group begins, all
    others before it have ended.
    """
    groups: list[list[int]] = []
    reached = 0
    for number in sorted(range(len(spans)), key=spans.__getitem__):
        start, end = spans[number]
        if not groups or start >= reached:
            groups.append([])
        groups[-1].append(number)
        reached = max(reached, end)
    return groups


def shared_out(states: DramStates, parts_ps: list[int]) -> list[DramStates]:
    """Return the states of a time for parts of it, in proportion; they add up exactly."""
    whole, done, shares = sum(parts_ps), 0, []
    before = DramStates()
    for part_ps in parts_ps:
        done += part_ps
        after = DramStates(*(each * done // whole if whole else 0 for each in states))
        shares.append(after.plus(before, -1))
        before = after
    return shares


def _limits(idle: IdlePolicy) -> tuple[int | None, int | None]:
    return idle.power_down, idle.self_refresh
