"""Dividing the memory's time."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.timing.shares import WHOLE, burst_shares, demand, max_min_fair

demands = st.lists(st.integers(1, WHOLE), min_size=1, max_size=6)


@given(demands)
def test_never_more_than_wanted_nor_more_than_there_is(wants):
    grants = max_min_fair(wants)
    assert all(0 <= grant <= want for grant, want in zip(grants, wants, strict=True))
    assert sum(grants) == min(WHOLE, sum(wants))


@given(demands)
def test_whoever_is_held_back_has_as_much_as_anyone(wants):
    grants = max_min_fair(wants)
    for grant, want in zip(grants, wants, strict=True):
        if grant < want:
            assert grant >= max(grants) - 1


def test_two_equals_get_half():
    assert max_min_fair([WHOLE, WHOLE]) == [WHOLE // 2, WHOLE // 2]
    assert burst_shares([WHOLE, WHOLE]) == [WHOLE // 2, WHOLE // 2]


def test_who_wants_little_on_average_still_bursts_at_what_is_left():
    grants = burst_shares([WHOLE // 10, WHOLE * 4 // 10])
    assert grants[0] == WHOLE - WHOLE * 4 // 10
    assert grants[1] == WHOLE - WHOLE // 10


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_demand_is_a_share(channel, alone):
    assert 0 <= demand(channel, alone) <= WHOLE
