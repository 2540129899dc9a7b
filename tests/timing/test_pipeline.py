"""The recurrence against an event simulation of the same pipeline, tile by tile."""

import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.timing.pipeline import Loop, Pipelined, Tile, Transfer
from simulator.timing.shares import WHOLE
from simulator.units import Clock
from tests.builders import unrolled

GHZ = Clock(10**9)

transfers = st.builds(Transfer, st.integers(0, 9000), st.just(0))
tiles = st.builds(Tile, transfers, st.integers(0, 9), transfers)
bodies = st.recursive(
    st.lists(tiles, min_size=1, max_size=3),
    lambda inner: st.lists(
        st.one_of(tiles, st.builds(Loop, st.integers(1, 12), inner.map(tuple))),
        min_size=1,
        max_size=3,
    ),
    max_leaves=6,
)


def simulated(body, fill) -> int:
    """Two processes and events: a memory engine with its order of transfers, and an array."""
    env = simpy.Environment()
    sequence = list(unrolled(body))
    loaded = [env.event() for _ in sequence]
    computed = [env.event() for _ in sequence]
    stored = [env.event() for _ in sequence]

    def memory():
        for index in range(len(sequence) + 1):
            if index < len(sequence) and sequence[index].load.channel_ps:
                if index >= 2:
                    yield computed[index - 2]
                yield env.timeout(sequence[index].load.channel_ps)
                loaded[index].succeed()
            if index >= 1:
                if sequence[index - 1].store.channel_ps:
                    yield computed[index - 1]
                    yield env.timeout(sequence[index - 1].store.channel_ps)
                stored[index - 1].succeed()

    def outputs_before(index):
        """The store that must be over before tile `index` computes: the last but one."""
        storing = [i for i in range(index) if sequence[i].store.channel_ps]
        return stored[storing[-2]] if len(storing) >= 2 else None

    def compute():
        for index, tile in enumerate(sequence):
            if tile.load.channel_ps:
                yield loaded[index]
            before = outputs_before(index)
            if before is not None:
                yield before
            yield env.timeout((tile.cycles + (fill if index == 0 else 0)) * 1000)
            computed[index].succeed()

    env.process(memory())
    env.process(compute())
    env.run()
    return int(env.now)


@settings(max_examples=300, deadline=None)
@given(bodies, st.integers(0, 20))
def test_recurrence_equals_event_simulation(body, fill):
    assert Pipelined(body, fill, 0, GHZ).duration_ps(WHOLE) == simulated(body, fill)


@given(bodies, st.integers(1, WHOLE), st.integers(1, WHOLE))
def test_a_larger_share_is_never_slower(body, one, other):
    work = Pipelined(body, 0, 0, GHZ)
    assert work.duration_ps(max(one, other)) <= work.duration_ps(min(one, other))


@given(bodies)
def test_never_below_the_roofline(body):
    work = Pipelined(body, 0, 0, GHZ)
    cycles = sum(tile.cycles for tile in unrolled(body))
    assert work.duration_ps(WHOLE) >= max(work.channel_ps, cycles * 1000)
    assert work.channel_ps == sum(t.load.channel_ps + t.store.channel_ps for t in unrolled(body))


def test_the_cost_of_a_long_run_does_not_grow_with_it(monkeypatch):
    from simulator.timing import pipeline

    steps = []
    original = pipeline._step
    monkeypatch.setattr(pipeline, "_step", lambda s, t: steps.append(1) or original(s, t))
    tile = Tile(Transfer(700, 0), 1, Transfer(300, 0))
    counts = []
    for times in (100, 100_000):
        steps.clear()
        Pipelined((Loop(times, (tile,)),), 0, 0, GHZ).duration_ps(WHOLE)
        counts.append(len(steps))
    assert counts[0] == counts[1] < 10
