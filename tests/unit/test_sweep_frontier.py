"""Knees, dominated volumes and the prices of limits, against closed forms and other programs."""

from itertools import product
from operator import le

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.sweeps.answers import best, shadow_prices
from simulator.sweeps.condition import limit_of
from simulator.sweeps.report import price_sentences
from simulator.views.frontier import dominated_share, dominated_shares, hypervolume, knee


def test_the_knee_of_a_hyperbola_is_where_its_slope_is_that_of_the_chord():
    """x y = 1 from 1/8 to 8: both objectives span the same, so the slope is -1, at x = 1."""
    front = [(2**n, 2**-n) for n in range(-3, 4)]
    assert front[knee(front)] == (1, 1)
    stretched = [(1000 * x, y / 7) for x, y in front]
    assert knee(stretched) == knee(front)


def test_a_straight_front_a_hollow_one_and_two_points_have_no_knee():
    assert knee([(0, 4), (1, 3), (2, 2), (4, 0)]) is None
    assert knee([(0, 4), (3, 3), (4, 0)]) is None
    assert knee([(0, 4), (4, 0)]) is None


def test_the_knee_of_three_objectives_is_nearest_to_the_corner():
    assert knee([(0, 9, 9), (9, 0, 9), (9, 9, 0), (2, 3, 2), (1, 8, 8)]) == 3


_rows = st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=7)


@given(_rows)
def test_a_volume_is_the_count_of_unit_cells_that_are_dominated(rows):
    cells = product(range(7), repeat=3)
    expected = sum(any(all(map(le, row, cell)) for row in rows) for cell in cells)
    assert hypervolume(rows, (7, 7, 7)) == expected


@given(_rows)
def test_a_volume_is_that_of_optuna(rows):
    np, hv = pytest.importorskip("numpy"), pytest.importorskip("optuna._hypervolume")
    theirs = hv.compute_hypervolume(np.array(rows, dtype=float), np.full(3, 7.0))
    assert hypervolume(rows, (7, 7, 7)) == pytest.approx(theirs)


def test_shares_of_the_space():
    assert dominated_share([(0, 0)], [(0, 0), (2, 2)]) == 1
    assert dominated_share([(1, 1)], [(0, 2), (2, 0), (1, 1)]) == 0.25
    assert dominated_share([(0, 2), (2, 0)]) == 0


@given(_rows)
def test_shares_grow_to_that_of_all_rows(rows):
    expected = [dominated_share(rows[:count], rows) for count in range(1, len(rows) + 1)]
    assert dominated_shares(rows) == pytest.approx(expected)


AREAS = pl.DataFrame(
    {
        "accelerator.rows": [8, 16, 32, 64],
        "area_total_mm2": [1.0, 1.9, 2.05, 4.0],
        "energy_j": [5.0, 4.0, 3.0, 2.0],
        "latency_s": [0.9, 0.5, 0.4, 0.3],
        "feasible": [True] * 4,
        "baseline": [""] * 4,
    }
)


def test_the_price_of_a_limit_is_what_the_best_is_with_another():
    conditions = ["area <= 2 mm2", "latency < 1 s", "rows * 2 < 200"]
    assert best(AREAS, "energy", conditions)["accelerator.rows"] == 16
    assert price_sentences(shadow_prices(AREAS, "energy", conditions)) == [
        "area <= 2.2 mm2 instead of 2 mm2: 25.0 % less energy",
        "area <= 1.8 mm2 instead of 2 mm2: 25.0 % more energy",
        "latency < 1.1 s instead of 1 s: energy as it is",
        "latency < 0.9 s instead of 1 s: energy as it is",
    ]
    (_, tighter) = shadow_prices(AREAS, "energy", ["area <= 1.05 mm2"])
    assert (tighter.least, tighter.otherwise) == (5.0, None)


def test_a_limit_that_a_sweep_ran_under_is_only_tightened():
    constraints = ["area <= 2 mm2", "rows >= 8"]
    ran = AREAS.filter(AREAS["area_total_mm2"] <= 2)  # what lies beyond was never replayed
    assert price_sentences(shadow_prices(ran, "energy", [], constraints)) == [
        "area <= 1.8 mm2 instead of 2 mm2: 25.0 % more energy",
        "rows >= 8.8 instead of 8: energy as it is",
    ]


def test_the_price_of_an_accuracy_is_that_of_its_error():
    ran = AREAS.with_columns(accuracy=pl.Series([0.951, 0.944, 0.9456, 0.9]))
    assert price_sentences(shadow_prices(ran, "energy", ["accuracy >= 95 %"])) == [
        "accuracy >= 94.5 % instead of 95 %: 40.0 % less energy",
        "accuracy >= 95.5 % instead of 95 %: no point",
    ]
    (tighter,) = price_sentences(shadow_prices(ran, "energy", [], ["accuracy >= 94 %"]))
    assert tighter == "accuracy >= 94.6 % instead of 94 %: 66.7 % more energy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("area <= 2 mm2", "area <= 2.2 mm2"),
        ("accelerator.rows>=8", "accelerator.rows >= 8.8"),
        ("accuracy >= 95 %", "accuracy >= 94.5 %"),
        ("accuracy > 0.8", "accuracy > 0.78"),
        ("rows * cols <= 64", None),
        ("area <= 2 mm2 and rows < 9", None),
    ],
)
def test_a_limit_is_one_name_beside_one_bound(text, expected):
    from decimal import Decimal

    limit = limit_of(text)
    assert (limit and limit.scaled(Decimal("1.1")).text) == expected
