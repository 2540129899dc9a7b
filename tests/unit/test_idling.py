"""Does a memory sleep as its controller's policy says, and do the times add up?"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import simulate
from simulator.activity import DramStates, Span
from simulator.energy import prices
from simulator.energy.idling import awake_ps, dram_states, meetings, shared_out
from simulator.errors import InputError
from simulator.hardware import load_hardware
from tests.builders import StepBuilder, one_step_trace

EDGE = load_hardware("edge-16x16")
gaps = st.lists(st.integers(0, 10**6), min_size=1, max_size=20)


@given(gaps, st.integers(0, 10**6))
def test_equal_gaps_keep_a_memory_awake_longest(lengths, limit):
    """Brute force: in each gap it is awake until the limit."""
    brute = sum(min(length, limit) for length in lengths)
    assert awake_ps(sum(lengths), len(lengths), limit) >= brute
    even = [lengths[0]] * len(lengths)
    exact = sum(min(length, limit) for length in even)
    assert awake_ps(sum(even), len(even), limit) == exact
    assert awake_ps(sum(lengths), len(lengths), None) == sum(lengths)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**6))
def test_states_lie_within_the_time_and_deepen(duration, channel, bursts):
    states = dram_states(EDGE.dram, duration, channel, bursts)
    assert min(duration, channel) <= states.standby_ps <= states.clocked_ps <= duration


def test_channels_share_bursts_and_so_sleep_longer():
    """A thousand bursts 46 ns apart: on two channels each has 500 gaps, of 40 ns in standby."""
    idle = {"dram.idle.self_refresh": "1 us", "dram.idle.power_down": "20 ns"}
    presets = ("LPDDR4-3200_x32_1ch", "LPDDR4-3200_x64_2ch")
    one, two = (load_hardware(EDGE, {"dram.preset": each, **idle}).dram for each in presets)
    duration, busy = 51_000_000, 5_000_000
    assert dram_states(one, duration, busy, 1000).standby_ps == busy + 1001 * 20_000
    assert dram_states(two, duration, busy, 1000).standby_ps == busy + 501 * 20_000


def test_without_traffic_it_powers_down_and_then_refreshes_itself():
    """160 ns and 10.24 us after the last request (RK3399's controller), of 46 us of dispatch."""
    assert dram_states(EDGE.dram, 46_000_000, 0, 0) == DramStates(160_000, 10_240_000)
    # A thousand bursts of 5 ns in 46 us, 41 ns apart: it never sleeps.
    assert dram_states(EDGE.dram, 46_000_000, 5_000_000, 1000) == DramStates(46_000_000, 46_000_000)


@given(st.integers(0, 10**15), st.integers(0, 10**15), gaps)
def test_parts_of_a_time_add_up_to_its_states(standby, more, parts):
    whole = DramStates(standby, standby + more)
    shares = shared_out(whole, parts)
    if sum(parts):
        assert sum(each.standby_ps for each in shares) == whole.standby_ps
        assert sum(each.clocked_ps for each in shares) == whole.clocked_ps


spans = st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda p: Span(p[0], sum(p)))


@given(st.lists(spans, min_size=1, max_size=9))
def test_tasks_meet_that_run_side_by_side(ran):
    """Brute force: a moment within any task belongs to the one group that has them all."""
    groups = meetings(ran)
    assert sorted(number for group in groups for number in group) == list(range(len(ran)))
    for moment in range(50):
        inside = {n for n, (start, end) in enumerate(ran) if start <= moment < end}
        assert sum(1 for group in groups if inside & set(group)) == bool(inside)
    for early, late in pairwise(groups):
        assert max(ran[n].end_ps for n in early) <= min(ran[n].start_ps for n in late)


@pytest.mark.parametrize("name", ["edge-16x16", "gemmini-16x16"])
def test_a_memory_sleeps_alike_whether_tiles_are_simulated_or_not(name):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(96, 64, 80))
    flow, tile = (
        simulate(name, one_step_trace(builder), fidelity=each).total for each in ("flow", "tile")
    )
    assert flow["energy_aj"] == tile["energy_aj"]


def test_a_memory_that_sleeps_costs_what_its_currents_say():
    """LPDDR4-3200 x32: IDD2P of 10.91 mW and refresh of 44.771 nJ each 3.90 us in power-down, and
    74.1 mW instead of the former in standby; 4 mW in self-refresh.
    """
    found = prices(load_hardware(EDGE, {"technology.dram_typical": "100 %"}))
    floor, (standby, clocked) = found.static_uw["dram"], found.costs.state_uw["dram"]
    refresh = 44.771e-9 / (6246 * 0.625e-9) * 1e6
    assert floor == 4000
    assert floor + clocked == pytest.approx(10_910 + refresh, abs=2)
    assert floor + clocked + standby == pytest.approx(74_100 + refresh, abs=2)


def test_a_policy_changes_joules_and_no_time():
    builder = StepBuilder()
    builder.elementwise(builder.gemm(96, 64, 80))
    awake = {"dram.idle.self_refresh": None, "dram.idle.power_down": None}
    sleepy, ready = (simulate(EDGE, one_step_trace(builder, 3), each).total for each in ({}, awake))
    same = ("latency_ps", "dram_read_bytes", "dram_write_bytes", "macs")
    assert [sleepy[key] for key in same] == [ready[key] for key in same]
    spent = [total["energy_by_component_j"] for total in (sleepy, ready)]
    assert spent[0]["dram"] < spent[1]["dram"]
    assert spent[0]["cpu"] == spent[1]["cpu"]


def test_deeper_sleep_comes_later():
    with pytest.raises(InputError, match="give power_down a shorter time"):
        load_hardware(EDGE, {"dram.idle.power_down": "20 us"})
