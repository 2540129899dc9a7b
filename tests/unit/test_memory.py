"""Liveness against brute force, and by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.trace.memory import footprint, occupancy
from simulator.trace.op import Op, OpKind, Phase, Tensor
from simulator.trace.storage import load_trace
from simulator.trace.trace import PERSISTENT, Segment, Step, StepKind, Storage, StorageKind, Trace
from simulator.views.memory_view import GROUPS, memory_over_time, peak


def step(kinds, touches):
    """A step whose op i touches the storages `touches[i]`; storage s holds 4 << s bytes."""
    storages = tuple(Storage(4 << s, kind, f"s{s}") for s, kind in enumerate(kinds))
    used = [tuple(Tensor(s, "float32", (1,), (1,)) for s in touched) for touched in touches]
    ops = tuple(Op("op", OpKind.OTHER, Phase.FORWARD, "", tensors, ()) for tensors in used)
    return Step(StepKind.TRAIN, ops, storages)


def test_an_activation_lives_from_its_first_touch_to_its_last():
    act = StorageKind.ACTIVATION
    held = footprint(step([act, act, act], [(0,), (0, 1), (1, 2)]))
    assert held.peak_bytes == max(4 + 8, 8 + 16)


def test_a_gradient_lives_until_the_step_ends():
    grad, act = StorageKind.GRADIENT, StorageKind.ACTIVATION
    held = footprint(step([grad, act], [(0,), (1,)]))
    assert held.gradients == 4
    assert held.peak_bytes == 4 + 8


def test_of_an_input_only_what_is_touched_counts():
    held = footprint(step([StorageKind.ACTIVATION, StorageKind.INPUT], [(1,)]))
    assert held.peak_bytes == 4  # one float of a storage of 8 bytes


def test_of_a_cache_the_tokens_so_far_count():
    room = Storage(4 * 100, StorageKind.CACHE, "keys")
    one, all_six = Tensor(0, "float32", (1,), (1,), 5), Tensor(0, "float32", (6,), (1,))
    ops = [
        Op("copy", OpKind.COPY, Phase.DECODE, "", (), (one,)),
        Op("bmm", OpKind.GEMM, Phase.DECODE, "", (all_six,), ()),
    ]
    held = footprint(Step(StepKind.DECODE, tuple(ops), (room,), 1))
    assert held.as_dict()["cache"] == held.peak_bytes == 4 * 6
    assert "cache" not in footprint(step([StorageKind.INPUT], [(0,)])).as_dict()


def test_persistent_storages_live_throughout():
    kinds = [StorageKind.PARAMETER, StorageKind.OPTIMIZER_STATE, StorageKind.BUFFER]
    held = footprint(step(kinds, [(0,), (1,)]))
    assert (held.parameters, held.optimizer_state) == (4 + 16, 8)
    assert held.peak_bytes == 4 + 8 + 16


@given(
    st.lists(
        st.sampled_from(sorted(set(StorageKind) - {StorageKind.INPUT, StorageKind.CACHE})),
        min_size=4,
        max_size=4,
    ),
    st.lists(st.sets(st.integers(0, 3), max_size=4), max_size=8),
)
def test_peak_is_the_largest_sum_over_all_moments(kinds, touches):
    held = footprint(step(kinds, touches))
    sums = [0]
    for moment in range(len(touches)):
        alive = 0
        for s, kind in enumerate(kinds):
            used = [i for i, t in enumerate(touches) if s in t]
            last = len(touches) if kind is StorageKind.GRADIENT else max(used, default=-1)
            if kind not in PERSISTENT and used and used[0] <= moment <= last:
                alive += 4 << s
        sums.append(alive)
    always = sum(4 << s for s, kind in enumerate(kinds) if kind in PERSISTENT)
    assert held.peak_bytes == always + max(sums)


kinds_of_five = st.lists(st.sampled_from(StorageKind), min_size=5, max_size=5)
touches_of_five = st.lists(st.sets(st.integers(0, 4), max_size=4), min_size=1, max_size=9)


def held_by_hand(kinds, touches, moment):
    """The storages that are held while op `moment` runs, with what they hold."""
    held = {}
    for s, kind in enumerate(kinds):
        used = [i for i, touched in enumerate(touches) if s in touched]
        always, kept = kind in PERSISTENT, kind is StorageKind.GRADIENT
        begun = any(i <= moment for i in used)
        needed = any(i >= moment for i in used)
        if always or (begun and (needed or kept)):
            held[s] = 4 << s
            if kind in (StorageKind.INPUT, StorageKind.CACHE):
                held[s] = 4 * bool(used)  # of these what is read: one float
    return held


@given(kinds_of_five, touches_of_five)
@settings(deadline=None)
def test_what_is_held_over_time_is_what_lives_at_each_moment(kinds, touches):
    held = occupancy(step(kinds, touches))
    by_hand = [held_by_hand(kinds, touches, moment) for moment in range(len(touches))]
    for kind in StorageKind:
        expected = [sum(n for s, n in alive.items() if kinds[s] is kind) for alive in by_hand]
        assert held.by_kind[kind] == tuple(expected)
    totals = [sum(alive.values()) for alive in by_hand]
    assert held.total == tuple(totals)
    assert held.peak_op == totals.index(max(totals))
    for moment, alive in enumerate(by_hand):
        named = held.storages_at(moment)
        assert sorted(named) == sorted(alive)
        assert [held.sizes[s] for s in named] == sorted(alive.values(), reverse=True)


@given(kinds_of_five, touches_of_five)
@settings(deadline=None)
def test_the_highest_point_of_the_figure_is_the_footprint(kinds, touches):
    made = step(kinds, touches)
    document = memory_over_time(Trace("made", (made,), (Segment(0, 0, 1),)), 0)
    heights = [sum(column) for column in zip(*document["held"].values(), strict=True)]
    top = document["peak"]
    assert max(heights) == heights[top["op"]] == top["bytes"] == footprint(made).peak_bytes
    assert sum(top["by_kind"].values()) == top["bytes"]
    assert sum(row["bytes"] for row in top["layers"]) == top["bytes"]
    assert sum(row["bytes"] for row in top["storages"]) == top["bytes"]  # five are all there are


def test_a_step_without_ops_holds_what_lives_throughout():
    empty = step([StorageKind.PARAMETER, StorageKind.ACTIVATION], [])
    assert footprint(empty).peak_bytes == 4
    assert peak(empty, occupancy(empty))["op"] is None


def test_every_kind_of_storage_is_in_one_group():
    assert sorted(kind for kinds in GROUPS.values() for kind in kinds) == sorted(StorageKind)


@pytest.mark.parametrize("name", ["mlp_digits", "lenet_digits", "resnet20_digits"])
def test_liveness_of_real_steps_is_what_a_walk_over_their_ops_finds(name):
    trace = load_trace(name)
    real = trace.steps[trace.typical_step]
    held = occupancy(real)
    touched = [{t.storage for t in (*op.inputs, *op.outputs)} for op in real.ops]
    later = set()
    needed = []  # by each op or one after it
    for storages in reversed(touched):
        later |= storages
        needed.insert(0, set(later))
    begun, highest = set(), 0
    for now, after in zip(touched, needed, strict=True):
        begun |= now
        kinds = {s: storage.kind for s, storage in enumerate(real.storages)}
        alive = [
            s
            for s, kind in kinds.items()
            if kind in PERSISTENT or (s in begun and (s in after or kind is StorageKind.GRADIENT))
        ]
        highest = max(highest, sum(held.sizes[s] for s in alive))
    assert highest == held.peak_bytes
