"""The recurrences against second implementations of the same pipelines, tile by tile."""

from itertools import product

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import Repeat
from simulator.timing.pipeline import Pipelined, Tile, Transfer
from simulator.timing.schedules import InTurn, Lockstep, SideBySide
from simulator.timing.shares import WHOLE
from simulator.units import Clock
from tests.builders import unrolled

GHZ = Clock(10**9)
SCHEDULES = (InTurn(), SideBySide(), Lockstep())

schedules = st.sampled_from(SCHEDULES)
stores = st.builds(Transfer, st.integers(0, 9000), st.just(0), st.just(0))
lags = st.sampled_from([0, 0, 400, 3000])
nothing = st.just(Transfer(0, 0))
loads = st.one_of(nothing, st.builds(Transfer, st.integers(1, 9000), st.just(0), lags))
port_limited = st.one_of(nothing, st.builds(Transfer, st.just(1), st.integers(50, 9000), lags))
port_stores = st.one_of(nothing, st.builds(Transfer, st.just(1), st.integers(50, 9000), st.just(0)))
cycles = st.integers(0, 9)


def nests(tiles):
    """Return nested repeats of `tiles`."""
    return st.recursive(
        st.lists(tiles, min_size=1, max_size=3),
        lambda inner: st.lists(
            st.one_of(tiles, st.builds(Repeat, st.integers(1, 12), inner.map(tuple))),
            min_size=1,
            max_size=3,
        ),
        max_leaves=6,
    )


def tiles_of(loads, stores, flags):
    """Return tiles with these transfers; `flags` are ends, drains, serial and waits."""
    return st.builds(lambda a, c, b, how: Tile(a, c, b, *how), loads, cycles, stores, flags)


free = st.tuples(st.just(True), st.just(False), st.just(False), st.booleans())
beats = st.sampled_from([(e, e and d, s, w) for e, d, s, w in product((0, 1), repeat=4)])
bodies = nests(tiles_of(loads, stores, free))
wide_bodies = nests(tiles_of(port_limited, port_stores, free))
beat_bodies = nests(tiles_of(loads, stores, beats))


def moves(transfer):
    return bool(transfer.channel_ps or transfer.port_ps)


def first_computed(sequence) -> int:
    """The tile that fills the array: the first that computes."""
    return next((i for i, tile in enumerate(sequence) if tile.cycles), len(sequence) - 1)


def simulated(body, fill, *, streams) -> int:
    """Processes and events: one or two memory streams with their orders of transfers, an array.

    Transfers do not disturb each other here: with two streams, the channel must not limit them.
    """
    env = simpy.Environment()
    sequence = list(unrolled(body))
    filled = first_computed(sequence)
    arrived = [env.event() for _ in sequence]
    computed = [env.event() for _ in sequence]
    stored = [env.event() for _ in sequence]

    def arrive(index, lag_ps):
        yield env.timeout(lag_ps)
        arrived[index].succeed()

    def load(index):
        move = sequence[index].load
        if moves(move):
            if index >= 2:
                yield computed[index - 2]
            if index and sequence[index].waits:
                yield computed[index - 1]
            yield env.timeout(move.duration_ps(WHOLE))
            env.process(arrive(index, move.lag_ps))  # the stream is free meanwhile

    def store(index):
        move = sequence[index].store
        if moves(move):
            yield computed[index]
            yield env.timeout(move.duration_ps(WHOLE))
        stored[index].succeed()

    def one_stream():
        for index in range(len(sequence) + 1):
            if index < len(sequence):
                yield from load(index)
            if index >= 1:
                yield from store(index - 1)

    def all_of(what):
        for index in range(len(sequence)):
            yield from what(index)

    def outputs_before(index):
        """The store that must be over before tile `index` computes: the last but one."""
        storing = [i for i in range(index) if moves(sequence[i].store)]
        return stored[storing[-2]] if len(storing) >= 2 else None

    def compute():
        for index, tile in enumerate(sequence):
            if moves(tile.load):
                yield arrived[index]
            before = outputs_before(index)
            if before is not None:
                yield before
            yield env.timeout((tile.cycles + (fill if index == filled else 0)) * 1000)
            computed[index].succeed()

    for mover in [one_stream()] if streams == 1 else [all_of(load), all_of(store)]:
        env.process(mover)
    env.process(compute())
    env.run()
    return int(env.now)


def in_beat(load, before, tile):
    """The beat of a load beside the computation before, or after it if the tile waits."""
    computing = before.cycles * 1000 if before else 0
    return (computing, load) if tile.waits else (max(load, computing),)


def beaten(body, fill) -> int:
    """Regions as lists of beats, each the longest of what takes place in it.

    A beat is (load, computation, store) of three neighbours: tile i is loaded beside the
    computation of tile i - 1; a region's last computation is beside the store of the region
    before. What drains, or is serial, is stored in a beat of its own.
    """
    sequence = list(unrolled(body))
    filled = first_computed(sequence)
    sequence[filled] = sequence[filled]._replace(cycles=sequence[filled].cycles + fill)
    regions, region = [], []
    for tile in sequence:
        region.append(tile)
        if tile.ends:
            regions.append(region)
            region = []
    lengths, pending = [], 0
    for tiles in regions:
        previous = None
        for tile in tiles:
            load = tile.load.duration_ps(WHOLE) + tile.load.lag_ps
            lengths += in_beat(load, previous, tile)
            lengths.append(previous.store.duration_ps(WHOLE) if previous else 0)
            previous = tile
        lengths.append(max(previous.cycles * 1000, pending))
        out = previous.store.duration_ps(WHOLE)
        pending = 0 if previous.drains or previous.serial else out
        lengths.append(out - pending)
    for index, tile in enumerate(region):  # a region that never ends
        load = tile.load.duration_ps(WHOLE) + tile.load.lag_ps
        before = region[index - 1] if index else None
        lengths += in_beat(load, before, tile)
        lengths.append(before.store.duration_ps(WHOLE) if before else 0)
    if region:
        lengths += [region[-1].cycles * 1000, region[-1].store.duration_ps(WHOLE)]
    return sum(lengths) + pending


@settings(max_examples=100, deadline=None)
@given(bodies, st.integers(0, 20))
def test_recurrence_equals_event_simulation(body, fill):
    assert Pipelined(body, fill, 0, GHZ).duration_ps(WHOLE) == simulated(body, fill, streams=1)


@settings(max_examples=100, deadline=None)
@given(wide_bodies, st.integers(0, 20))
def test_streams_side_by_side_equal_event_simulation_where_the_channel_never_limits(body, fill):
    found = Pipelined(body, fill, 0, GHZ, SideBySide()).duration_ps(WHOLE)
    # each transfer may wait for the picosecond that another one holds the channel
    waits = 2 * sum(moves(t.load) + moves(t.store) for t in unrolled(body))
    assert 0 <= found - simulated(body, fill, streams=2) <= waits


@settings(max_examples=100, deadline=None)
@given(beat_bodies, st.integers(0, 20))
def test_lockstep_equals_a_sum_of_beats(body, fill):
    assert Pipelined(body, fill, 0, GHZ, Lockstep()).duration_ps(WHOLE) == beaten(body, fill)


def test_a_region_of_known_beats():
    """Three tiles, then one that is computed beside the store of the region before."""
    inside = Tile(Transfer(3000, 0), 2, Transfer(0, 0), ends=False)
    last = Tile(Transfer(3000, 0), 2, Transfer(5000, 0))
    region = (inside, inside, last)
    once = Pipelined(region, 0, 0, GHZ, Lockstep()).duration_ps(WHOLE)
    assert once == 3 * 3000 + 2000 + 5000
    twice = Pipelined(region * 2, 0, 0, GHZ, Lockstep()).duration_ps(WHOLE)
    assert twice == once + 3 * 3000 + 5000
    drained = Pipelined(
        (inside, inside, last._replace(drains=True)) * 2, 0, 0, GHZ, Lockstep()
    ).duration_ps(WHOLE)
    assert drained == 2 * once


@settings(deadline=None)
@given(beat_bodies, st.integers(1, WHOLE), st.integers(1, WHOLE), schedules)
def test_a_larger_share_is_never_slower(body, one, other, schedule):
    work = Pipelined(body, 0, 0, GHZ, schedule)
    assert work.duration_ps(max(one, other)) <= work.duration_ps(min(one, other))


@given(beat_bodies, schedules)
def test_never_below_the_roofline(body, schedule):
    work = Pipelined(body, 0, 0, GHZ, schedule)
    cycles = sum(tile.cycles for tile in unrolled(body))
    floor = max(work.channel_ps, cycles * 1000)
    if isinstance(schedule, Lockstep):
        floor = cycles * 1000
    assert work.duration_ps(WHOLE) >= floor
    assert work.channel_ps == sum(t.load.channel_ps + t.store.channel_ps for t in unrolled(body))


@settings(deadline=None)
@given(bodies, st.integers(0, 9), schedules)
def test_one_buffer_is_never_faster_than_two(body, fill, schedule):
    one = Pipelined(body, fill, 0, GHZ, schedule).duration_ps(WHOLE)
    tiles = [tile._replace(waits=False) for tile in unrolled(body)]
    two = Pipelined(tiles, fill, 0, GHZ, schedule).duration_ps(WHOLE)
    # Of streams side by side the one that comes first goes first, which is not always best.
    assert two <= one or isinstance(schedule, SideBySide)


@settings(deadline=None)
@given(bodies, st.integers(0, 9), schedules)
def test_skipped_periods_change_nothing(body, fill, schedule):
    """Repeats unrolled by hand are not skipped."""
    compressed = Pipelined(body, fill, 0, GHZ, schedule).duration_ps(WHOLE)
    assert Pipelined(list(unrolled(body)), fill, 0, GHZ, schedule).duration_ps(WHOLE) == compressed


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_the_cost_of_a_long_run_does_not_grow_with_it(monkeypatch, schedule):
    steps = []
    kind = type(schedule)
    original = kind.step
    monkeypatch.setattr(kind, "step", lambda s, t: steps.append(1) or original(s, t))
    tile = Tile(Transfer(700, 0, 90), 1, Transfer(300, 0))
    other = Tile(Transfer(0, 0), 2, Transfer(900, 1000))
    counts = []
    for times in (100, 100_000):
        steps.clear()
        Pipelined((Repeat(times, (tile, other)),), 0, 0, GHZ, schedule).duration_ps(WHOLE)
        counts.append(len(steps))
    assert counts[0] == counts[1] < 20
