"""The Pareto front against its definition, tried on every pair of points."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.views.pareto import pareto_front


def _dominates(one, other) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def _by_definition(rows) -> list[bool]:
    return [not any(_dominates(other, row) for other in rows) for row in rows]


def _tables(values):
    return st.integers(1, 4).flatmap(
        lambda count: st.lists(st.tuples(*[values] * count), max_size=30)
    )


# Few values give ties and equal rows; floats give neighbours that differ in the last bit.
_few = _tables(st.integers(0, 3))
_floats = _tables(st.floats(0, 1) | st.sampled_from([0.1, 0.30000000000000004, 0.3]))


@settings(deadline=None, max_examples=100)
@given(_few)
def test_the_front_is_what_no_other_point_dominates(rows):
    assert pareto_front(rows) == _by_definition(rows)


@settings(deadline=None, max_examples=100)
@given(_floats)
def test_the_front_of_floats_tells_the_last_bit_apart(rows):
    assert pareto_front(rows) == _by_definition(rows)


@settings(deadline=None, max_examples=100)
@given(_few, st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order_of_points(rows, random_order: random.Random):
    order = list(range(len(rows)))
    random_order.shuffle(order)
    front, shuffled = pareto_front(rows), pareto_front([rows[index] for index in order])
    assert shuffled == [front[index] for index in order]


def test_no_points_have_no_front():
    assert pareto_front([]) == []


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_equal_points_all_stay(objectives):
    assert pareto_front([(1,) * objectives] * 3) == [True] * 3


def test_one_objective_keeps_every_least():
    assert pareto_front([(2,), (1,), (3,), (1,)]) == [False, True, False, True]
