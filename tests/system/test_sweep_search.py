"""A search finds better points than chance, of a space of which a coarse part is known."""

import random
from itertools import product

import polars
import pytest

from simulator.replay import as_trace
from simulator.sweeps.axis import parse_axes
from simulator.sweeps.executors import Here
from simulator.sweeps.points import Points
from simulator.sweeps.search import Proposals, search_study
from simulator.sweeps.store import MemoryStore
from simulator.sweeps.study import study
from simulator.sweeps.watch import Silent
from simulator.trace.trace import Segment, Trace

pytest.importorskip("optuna")

GOALS = ("latency_s", "energy_j")
SPACE = (
    "accelerator.rows=4..64:+4", "accelerator.cols=4..64:+4", "accelerator.dataflow=ws,os,is",
    "accelerator.scratchpad=8 KiB..1 MiB:x2", "accelerator.clock=100 MHz..1 GHz:+100 MHz",
    "dram.preset=LPDDR4-3200_x32_1ch,LPDDR4-4266_x32_1ch,DDR4-2400_x64_1ch,LPDDR5-6400_2x16b_2ch",
)  # fmt: skip
COARSE = ((1, 7, 15), (1, 7, 15), (0, 1, 2), (0, 4, 7), (0, 4, 9), (0, 1, 2, 3))
COUNT = 200


def asked():
    """Return the study of one training step of the digits' perceptron in a large space."""
    whole = as_trace("mlp_digits")
    step = whole.steps[whole.typical_step]
    return study("edge-16x16", parse_axes(SPACE), Trace("mlp_step", (step,), (Segment(0, 0, 1),)))


class Oracle:
    """What every point costs, replayed once."""

    def __init__(self):
        self.study = asked()
        self._here, self._points = Here(self.study), Points(self.study, MemoryStore())
        self._known = {}

    def __call__(self, number):
        if number not in self._known:
            job = self._points.job(self.study.space.point(number))
            row = self._here.submit([job]).result().done[0].row
            self._known[number] = tuple(row[goal] for goal in GOALS)
        return self._known[number]


def hypervolume(points, reference):
    """Return the area that is beaten by `points`, up to a reference point."""
    covered, reached = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < reached:
            covered += (reference[0] - x) * (reached - y)
            reached = y
    return covered


def test_the_hypervolume_is_that_of_its_cells():
    points = [(1, 4), (2, 2), (4, 1), (3, 3), (9, 0)]
    cells = product(range(6), range(6))
    beaten = sum(any(a <= x and b <= y for a, b in points) for x, y in cells)
    assert hypervolume(points, (6, 6)) == beaten


def searched(oracle, seed):
    proposals, found = Proposals(oracle.study.space, len(GOALS), seed), []
    for numbers in proposals.generations(COUNT):
        values = [oracle(number) for number in numbers]
        proposals.tell(values)
        found += values
    return found


@pytest.mark.slow
def test_a_search_beats_chance_at_nine_of_ten_seeds():
    oracle = Oracle()
    space = oracle.study.space
    assert space.size == 245_760
    coarse = [oracle(space.number(indices)) for indices in product(*COARSE)]
    assert len(coarse) == 972
    # The fixed reference: what nine in ten points of the known part do not exceed.
    reference = tuple(sorted(values)[len(coarse) * 9 // 10] for values in zip(*coarse, strict=True))
    whole = hypervolume(coarse, reference)
    ours, chance = [], []
    for seed in range(10):
        ours.append(hypervolume(searched(oracle, seed), reference) / whole)
        drawn = random.Random(seed).sample(range(space.size), COUNT)
        chance.append(hypervolume([oracle(number) for number in drawn], reference) / whole)
    told = ", ".join(f"{a:.3f} > {b:.3f}" for a, b in zip(ours, chance, strict=True))
    print(f"\nhypervolume over that of the coarse grid's front, search > chance: {told}")
    assert sum(a > b for a, b in zip(ours, chance, strict=True)) >= 9
    assert sum(ours) / 10 > 0.99, "as good as a grid of five times the points"


def test_proposals_are_new_and_the_same_for_the_same_seed():
    space = asked().space

    def listed(seed, count):
        proposals, found = Proposals(space, 2, seed), []
        for numbers in proposals.generations(count):
            proposals.tell([None if n % 7 == 0 else (n % 1000, -n % 1013) for n in numbers])
            found += numbers
        return found

    first = listed(3, 70)
    assert len(first) == len(set(first)) == 70
    assert listed(3, 90)[:70] == first
    assert listed(4, 70) != first


def test_a_search_stays_within_the_conditions_and_ends_with_the_space():
    whole = as_trace("mlp_digits")
    step = whole.steps[whole.typical_step]
    trace = Trace("mlp_step", (step,), (Segment(0, 0, 1),))
    axes = parse_axes(["accelerator.rows=4..32:+4", "accelerator.cols=4..32:+4"])
    small = study("edge-16x16", axes, trace, conditions=["rows + cols <= 16"])
    table = search_study(small, Here(small), None, Silent(), 50)
    allowed = {(r, c) for r in (4, 8, 12) for c in (4, 8, 12) if r + c <= 16}
    assert set(table.select("accelerator.rows", "accelerator.cols").rows()) == allowed
    assert table.height == len(allowed)


def test_a_search_is_the_same_again_and_costs_nothing_then(tmp_path):
    full = asked()
    here = Here(full)
    first = search_study(full, here, tmp_path, Silent(), 25, seed=1)
    points = sorted((tmp_path / "points").iterdir())
    again = search_study(full, here, tmp_path, Silent(), 25, seed=1)
    assert again.equals(first)
    assert sorted((tmp_path / "points").iterdir()) == points
    assert first.filter(polars.col("pareto")).height
