"""Liveness against brute force, and by hand."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.trace.memory import footprint
from simulator.trace.op import Op, OpKind, Phase, Tensor
from simulator.trace.trace import PERSISTENT, Step, StepKind, Storage, StorageKind


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


def test_persistent_storages_live_throughout():
    kinds = [StorageKind.PARAMETER, StorageKind.OPTIMIZER_STATE, StorageKind.BUFFER]
    held = footprint(step(kinds, [(0,), (1,)]))
    assert (held.parameters, held.optimizer_state) == (4 + 16, 8)
    assert held.peak_bytes == 4 + 8 + 16


@given(
    st.lists(
        st.sampled_from([kind for kind in StorageKind if kind is not StorageKind.INPUT]),
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
