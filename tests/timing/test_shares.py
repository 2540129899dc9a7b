"""Dividing the memory's time."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.timing.shares import WHOLE, demand, max_min_fair, weighted_fair

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


weighed = st.lists(st.tuples(st.integers(1, WHOLE), st.integers(1, 9)), min_size=1, max_size=6)


@given(weighed)
def test_weights_divide_what_all_want(pairs):
    wants, weights = zip(*pairs, strict=True)
    grants = weighted_fair(wants, weights)
    assert all(0 <= grant <= want for grant, want in zip(grants, wants, strict=True))
    assert sum(grants) >= min(WHOLE, sum(wants)) - len(wants)
    assert sum(grants) <= WHOLE
    level = max(grant / weight for grant, weight in zip(grants, weights, strict=True))
    for grant, want, weight in zip(grants, wants, weights, strict=True):
        if grant < want:  # held back: it has as much per weight as anyone
            assert grant / weight >= level - len(wants)


@given(demands)
def test_equal_weights_are_fair(wants):
    assert weighted_fair(wants, [3] * len(wants)) == max_min_fair(wants)


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_demand_is_a_share(channel, alone):
    assert 0 <= demand(channel, alone) <= WHOLE
