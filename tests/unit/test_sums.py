"""Are sums and peaks of a step what looking at every picosecond of it gives?"""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import DramStates, Span
from simulator.results.power import peaks_uw, power_levels
from simulator.results.tally import Ran, tallies
from simulator.trace.op import Phase
from tests.builders import counts

_LATEST = 12
_PHASES = (Phase.FORWARD, Phase.WGRAD)


@st.composite
def spans(draw):
    start = draw(st.integers(0, _LATEST))
    return Span(start, draw(st.integers(start, _LATEST)))


@st.composite
def steps(draw):
    count = draw(st.integers(1, 8))

    def column(entries):
        return draw(st.lists(entries, min_size=count, max_size=count))

    huge = st.integers(0, 2**64)  # more than a column of 64 bits could sum
    ran = Ran(
        column(spans()),
        column(st.integers(0, 9)),
        column(st.integers(0, _LATEST)),
        column(st.sampled_from(("cpu", "accelerator", "relu"))),
        column(st.builds(counts, macs=huge, dram_read_bytes=huge, dram_write_bytes=huge)),
        column(huge),
        column(st.builds(DramStates, huge, huge)),
    )
    places = st.tuples(st.sampled_from(("a", "b")), st.sampled_from(_PHASES))
    return ran, column(places)


def _running(spans, moment):
    return [index for index, (start, end) in enumerate(spans) if start <= moment < end]


@given(steps())
@settings(deadline=None, max_examples=100)
def test_sums_by_layer_and_phase_are_those_of_a_loop(step):
    ran, keys = step
    found = tallies(ran, keys)
    assert list(found) == list(dict.fromkeys(keys))
    for key, tally in found.items():
        own = [index for index, each in enumerate(keys) if each == key]
        took = {index: ran.spans[index].end_ps - ran.spans[index].start_ps for index in own}
        moments = (m for m in range(_LATEST) if set(_running(ran.spans, m)) & set(own))
        assert tally.active_ps == sum(1 for _ in moments)
        assert tally.latency_ps == sum(ran.attributed_ps[index] for index in own)
        longer = [took[index] - ran.alone_ps[index] for index in own]
        assert tally.contention_ps == sum(extra for extra in longer if extra > 0)
        each = [ran.counts[index] for index in own]
        assert tally.counts.macs == sum(count.macs for count in each)
        assert tally.counts.dram_write_bytes == sum(count.dram_write_bytes for count in each)
        for name, unit in tally.units.items():
            on_unit = [index for index in own if ran.units[index] == name]
            assert unit.busy_ps == sum(took[index] for index in on_unit)
            moved = [ran.counts[index].dram_bytes for index in on_unit]
            assert unit.dram_bytes == sum(moved)
            assert unit.macs == sum(ran.counts[index].macs for index in on_unit)
        assert set(tally.units) == {ran.units[index] for index in own}
        for name in DramStates._fields:
            summed = sum(getattr(ran.states[index], name) for index in own)
            assert getattr(tally.states, name) == summed
        assert tally.peak_uw == max(ran.peaks_uw[index] for index in own)


@given(st.data(), st.lists(spans(), min_size=1, max_size=8), st.integers(0, 50))
@settings(deadline=None, max_examples=100)
def test_a_peak_is_the_most_that_ran_at_one_moment(data, spans, static_uw):
    sizes = st.lists(st.integers(0, 2**70), min_size=len(spans), max_size=len(spans))
    energies = data.draw(sizes)
    draws = [
        -(-energy // (end - start)) if end > start else 0
        for (start, end), energy in zip(spans, energies, strict=True)
    ]
    power = [static_uw + sum(draws[i] for i in _running(spans, m)) for m in range(_LATEST)]
    peaks = tuple(max(power[start:end], default=static_uw) for start, end in spans)
    assert peaks_uw(spans, energies, static_uw) == peaks
    for level, after in pairwise(power_levels(spans, energies, static_uw)):
        assert set(power[level.start_ps : after.start_ps]) == {level.power_uw}
