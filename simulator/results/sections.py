"""Sums of sections in which several tasks met: designs that run the same works share them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.activity import DramStates, Work
from simulator.energy.idling import dram_states, meetings, shared_out
from simulator.hardware.dram import Dram
from simulator.memo import Memo
from simulator.results.tally import Key, Ran, Tally, tallies
from simulator.timing.shares import WHOLE

if TYPE_CHECKING:  # a run that is read from a file was lowered by another process
    from simulator.step_run import SectionRun


class SectionSums(NamedTuple):
    """The states of the memory for each task of a section, and sums by key, all without prices: a
    tally's peak power is 0.
    """

    states: Sequence[DramStates]
    by_key: dict[Any, Tally]


# Guesses: the sections of some tens of designs, by phase or by layer, and their works.
_SUMS: Memo[SectionSums] = Memo("sums of sections", 2048)
_ALONE: Memo[DramStates] = Memo("states beside works", 2048)


def sums_of(
    section: "SectionRun", works: tuple[Work, ...], keys: tuple[Key, ...], dram: Dram
) -> SectionSums:
    """Return the sums of a section whose tasks have these `works` and `keys`, on `dram`."""
    return _SUMS.get((section, works, keys, dram), lambda: _sums_of(section, works, keys, dram))


def _sums_of(
    section: "SectionRun", works: tuple[Work, ...], keys: tuple[Key, ...], dram: Dram
) -> SectionSums:
    states = states_of(section, works, dram)
    ran = Ran(
        section.spans,
        section.attributed_ps,
        [work.progress.duration_ps(WHOLE) for work in works],
        [work.unit for work in works],
        [work.counts for work in works],
        [0] * len(works),
        states,
    )
    return SectionSums(states, dict(tallies(ran, keys)))


def states_of(section: "SectionRun", works: Sequence[Work], dram: Dram) -> list[DramStates]:
    """Return the states of the memory for each task of a section: those of the tasks that meet, in
    proportion to the time that is charged to each.
    """
    states = [DramStates()] * len(works)
    for group in meetings(section.spans):
        ends = [section.spans[place].end_ps for place in group]
        took_ps = max(ends) - section.spans[group[0]].start_ps
        parts = [section.attributed_ps[place] for place in group]
        whole = states_within(took_ps, [works[place] for place in group], dram)
        for place, each in zip(group, shared_out(whole, parts), strict=True):
            states[place] = each
    return states


def states_alone(work: Work, dram: Dram) -> DramStates:
    """Return the states of the memory while `work` runs alone."""
    return _ALONE.get(
        (work, dram), lambda: states_within(work.progress.duration_ps(WHOLE), [work], dram)
    )


def states_within(duration_ps: int, works: Sequence[Work], dram: Dram) -> DramStates:
    """Return the states of the memory in the time that `works` take together."""
    channel_ps = sum([work.progress.channel_ps for work in works])
    bursts = sum([work.counts.dram_bursts for work in works])
    return dram_states(dram, duration_ps, channel_ps, bursts)
