"""Concurrent activities share the memory: closed forms, to one picosecond."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment

from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.machine.dram import SharedDram
from simulator.machine.probe import Recorder
from simulator.timing.stretches import StretchBound, Stretched


def _progress(overhead_ps, compute_ps, channel_ps, port_ps):
    return Stretched(overhead_ps, [StretchBound(max(compute_ps, port_ps), channel_ps)])


def run(works, starts=None, units=()):
    """Perform `works` (overhead, compute, channel, port in ps), each from its start, by `units`."""
    env, probe = Environment(), Recorder(works)
    memory, ends = SharedDram(env), [0] * len(works)

    def performer(index):
        yield env.timeout(starts[index] if starts else 0)
        unit = units[index] if units else HOST
        yield memory.perform(unit, index, None, probe, _progress(*works[index]))
        ends[index] = int(env.now)

    for index in range(len(works)):
        env.process(performer(index))
    env.run()
    return ends, probe.flows


def test_a_stream_alone_takes_bytes_over_bandwidth():
    assert run([(0, 0, 123_456_789, 0)])[0] == [123_456_789]


def test_two_equal_streams_take_twice_as_long_together():
    ends, _ = run([(0, 0, 10**9, 0)] * 2)
    assert ends == [2 * 10**9] * 2


def test_three_equal_streams():
    ends, _ = run([(0, 0, 10**9, 0)] * 3)
    assert all(abs(end - 3 * 10**9) <= 1 for end in ends)


def test_a_late_stream_halves_what_is_left():
    # 600 alone, then both at half: the first has 400 left, which take 800
    ends, _ = run([(0, 0, 1000, 0), (0, 0, 1000, 0)], [0, 600])
    assert ends == [1400, 2000]


def test_work_that_needs_little_memory_is_not_slowed():
    # 100 of memory within 1000 of arithmetic beside a stream: a share of a tenth is enough
    ends, _ = run([(0, 1000, 100, 0), (0, 0, 5000, 0)], units=(HOST, ACCELERATOR))
    assert ends[0] == 1000
    assert abs(ends[1] - (1000 + 5000 - 900)) <= 1


def test_work_without_traffic_never_waits():
    ends, flows = run([(50, 100, 0, 0), (0, 0, 1000, 0)])
    assert ends == [150, 1000]
    assert {flow.task for flow in flows} == {1}


works = st.lists(
    st.tuples(*[st.integers(least, 10**6) for least in (0, 0, 1, 0)]),
    min_size=1,
    max_size=5,
)


@settings(max_examples=70, deadline=None)
@given(works, st.data())
def test_the_memory_is_never_oversubscribed(some, data):
    starts = [data.draw(st.integers(0, 10**6)) for _ in some]
    ends, flows = run(some, starts)
    moments = sorted({flow.start_ps for flow in flows} | {flow.end_ps for flow in flows})
    for left, right in pairwise(moments):
        used = sum(
            flow.channel_ps * (right - left) / (flow.end_ps - flow.start_ps)
            for flow in flows
            if flow.start_ps <= left and right <= flow.end_ps
        )
        assert used <= (right - left) + len(some)
    for index, (dispatch, compute, channel, port) in enumerate(some):
        took = ends[index] - starts[index]
        assert took >= dispatch + max(compute, channel, port)
        assert sum(flow.channel_ps for flow in flows if flow.task == index) == channel


@settings(max_examples=100, deadline=None)
@given(works)
def test_company_never_speeds_work_up(some):
    together, _ = run(some)
    for index, work in enumerate(some):
        (alone,), _ = run([work])
        assert together[index] >= alone
