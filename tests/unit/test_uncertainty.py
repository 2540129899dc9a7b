"""Do intervals hold the truth as often as they say, and are shares those of closed forms?"""

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SALib.analyze import sobol as salib_indices
from SALib.sample import sobol as salib_sample

from simulator.hardware.constant import Constant
from simulator.results.intervals import LEVEL, interval, level
from simulator.uncertainty.draws import draw_values, quantiles
from simulator.uncertainty.names import name_of
from simulator.uncertainty.shares import shares

ROOT = Path(__file__).parents[2]
numbers = st.floats(-1e6, 1e6)


def constant(name, value=1000, low=500, high=2000):
    return Constant(f"cpu.{name}", value, low, high, "a test", "guess")


def values(constants, samples, seed):
    """Return a column of drawn values for each constant."""
    rows = draw_values(constants, samples, seed)
    return [np.array([row[each.path] for row in rows], dtype=float) for each in constants]


def shares_of(function, constants, samples=64, seed=0):
    columns = [quantiles(each, samples, seed) for each in constants]
    found = shares(constants, columns, function(*values(constants, samples, seed)))
    return found, {each.constant.path: each for each in found.shares}


# --- draws --------------------------------------------------------------------------------------


@given(st.integers(2, 200), st.integers(0, 2**32 - 1))
def test_each_stratum_of_a_constant_is_drawn_once(samples, seed):
    column = quantiles(constant("a"), samples, seed)
    assert sorted(int(q * samples) for q in column) == list(range(samples))


def test_equal_constants_move_together_and_others_do_not():
    ours, theirs = (
        draw_values([constant("a"), constant("b")], 64, 1),
        draw_values([constant("a")], 64, 1),
    )
    assert [row["cpu.a"] for row in ours] == [row["cpu.a"] for row in theirs]
    a, b = values([constant("a"), constant("b")], 64, 1)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.4
    (other,) = values([constant("a", high=2001)], 64, 1)
    assert abs(np.corrcoef(a, other)[0, 1]) < 0.4


def test_draws_do_not_depend_on_the_process():
    """One with another seed of hashes gives the same bytes as this one."""
    code = (
        "from simulator.uncertainty.draws import quantiles\n"
        "from simulator.hardware.constant import Constant\n"
        "print(quantiles(Constant('cpu.a', 3, 2, 5), 8, 7).tobytes().hex())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    here = quantiles(Constant("cpu.a", 3, 2, 5), 8, 7)
    assert there.stdout.strip() == here.tobytes().hex()


# --- intervals ----------------------------------------------------------------------------------


@given(st.lists(numbers, min_size=1, max_size=100))
def test_an_interval_lies_within_the_samples_and_holds_the_median(samples):
    low, median, high = interval(samples)
    assert min(samples) <= low <= median <= high <= max(samples)
    assert median == pytest.approx(np.median(samples))


@given(st.lists(numbers, min_size=19, max_size=100))
def test_the_ends_are_the_quantiles_of_weibull(samples):
    low, _, high = interval(samples)
    expected = np.quantile(samples, [0.05, 0.95], method="weibull")
    assert [low, high] == pytest.approx(list(expected), rel=1e-9, abs=1e-6)


def test_few_samples_reach_from_end_to_end_and_promise_less():
    assert interval([3.0, 1.0, math.nan, 2.0]) == (1.0, 2.0, 3.0)
    assert [round(level(n), 3) for n in (1, 3, 9, 19, 64)] == [0.0, 0.5, 0.8, 0.9, LEVEL]
    with pytest.raises(ValueError, match="no sample"):
        interval([math.nan])


def synthetic(chance):
    """Return constants of a machine, its true values, and how long a run takes as a function."""
    count = int(chance.integers(2, 5))
    known = [
        Constant(f"cpu.c{i}", 10**6, int(10**6 / lower), int(10**6 * upper))
        for i, (lower, upper) in enumerate(np.exp(chance.uniform(0.05, 1.5, (count, 2))))
    ]
    weights, powers = chance.uniform(0.1, 3, count), chance.choice([-1, 1, 2], count)

    def latency(columns):
        parts = weights * (np.array(columns).T / 10**6) ** powers
        return np.maximum(parts[:, 0], parts[:, 1]) + parts.sum(axis=1)

    truth = [[each.at(float(chance.random()))] for each in known]
    return known, truth, latency


def test_the_truth_lies_in_nine_of_ten_intervals():
    """Over 1,000 machines whose true constants are drawn from their ranges."""
    chance, held, trials = np.random.default_rng(20), 0, 1000
    for trial in range(trials):
        known, truth, latency = synthetic(chance)
        low, _, high = interval(latency(values(known, 32, trial)).tolist())
        held += low <= latency(truth)[0] <= high
    assert 880 <= held <= 920


# --- shares of the variance ---------------------------------------------------------------------


def variance_of_log(each, power):
    """Return that of a constant's power: half of the probability is spread over either side."""
    below, above = math.log(each.value / each.low), math.log(each.high / each.value)
    mean = (above - below) / 4
    return power**2 * ((below**2 + above**2) / 6 - mean**2)


@pytest.mark.parametrize("samples", [16, 64])
def test_shares_of_a_product_of_powers_are_those_of_its_logarithms(samples):
    known = [
        constant("a", 10**6, 10**6 // 2, 3 * 10**6),
        constant("b", 10**6, 800_000, 1_500_000),
        constant("c", 10**6, 250_000, 10**6),
        constant("idle"),
    ]
    powers = dict(zip(known, (1, -2, 0.3, 0), strict=True))
    found, by_path = shares_of(lambda a, b, c, _: a * b**-2 * c**0.3, known, samples)
    parts = {each: variance_of_log(each, power) for each, power in powers.items()}
    for each, part in parts.items():
        assert by_path[each.path].first == pytest.approx(part / sum(parts.values()), abs=0.01)
    assert found.is_trusted
    assert found.r2 > 0.999


def test_shares_with_an_interaction_are_those_of_salib():
    """Saltelli's estimate on the function itself, by another implementation."""
    known = [constant("a", 1000, 200, 5000), constant("b", 1000, 400, 2500), constant("c")]

    def function(a, b, c):
        return a * b + 800 * c

    _, ours = shares_of(function, known)
    problem = {"num_vars": 3, "names": list("abc"), "bounds": [[0, 1]] * 3}
    at = salib_sample.sample(problem, 2048, seed=1)
    columns = [[each.at(float(q)) for q in at[:, i]] for i, each in enumerate(known)]
    logs = np.log(function(*np.array(columns, dtype=float)))
    theirs = salib_indices.analyze(problem, logs, seed=1)
    for each, first, total in zip(known, theirs["S1"], theirs["ST"], strict=True):
        assert ours[each.path].first == pytest.approx(first, abs=0.03)
        assert ours[each.path].total == pytest.approx(total, abs=0.03)


def test_shares_of_what_no_fit_can_follow_are_not_trusted():
    """Ishigami and Homma (1990): three waves, which no polynomial of degree two is."""

    def ishigami(x, y, z):
        x, y, z = (np.log2(v / 1000) * math.pi for v in (x, y, z))  # from -pi to pi
        return np.exp(np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x))

    found, _ = shares_of(ishigami, [constant(name, 10**3) for name in "xyz"])
    assert not found.is_trusted


def test_noise_is_not_trusted_and_a_constant_answer_has_no_shares():
    known = [constant(f"c{i}") for i in range(30)]
    noise = np.exp(np.random.default_rng(3).normal(size=64))
    assert shares_of(lambda *_: noise, known)[0].r2 < 0.5
    found, _ = shares_of(lambda *_: np.full(64, 7.0), known)
    assert (found.shares, found.r2) == ((), 1.0)


def test_shares_come_largest_first():
    found, _ = shares_of(lambda a, b, c: a**0.1 * b**2 * c, [constant(name) for name in "abc"])
    assert all(one.first >= other.first for one, other in pairwise(found.shares))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("cpu.gemm_efficiency", "GEMM efficiency of the CPU"),
        ("cpu.costs.product_pack", "packing for BLAS on the CPU"),
        ("cpu.costs.erf", "erf on the CPU"),
        ("cpu.dispatch.forward", "forward of the dispatch of the CPU"),
    ],
)
def test_constants_have_names_that_people_use(path, name):
    assert name_of(path) == name
