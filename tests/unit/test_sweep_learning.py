"""Accuracies of networks that are trained: each once, whatever runs on it and whatever stops it."""

import json
from itertools import product

import polars
import pytest

from simulator import memo, sweep
from simulator.errors import InputError, Stopped
from simulator.sweeps.answers import best
from simulator.sweeps.executors import Here
from simulator.sweeps.networks import NETWORKS
from tests.unit.test_sweep_networks import network

ROWS, WIDTH, DEPTH = "accelerator.rows", "model.width", "model.depth"
SPACE = {DEPTH: [1, 2], WIDTH: [16, 32], ROWS: [4, 8]}


@pytest.fixture
def names() -> list[str]:
    """Return the list of networks that have been trained."""
    memo.clear()
    return []


def _sweep(names, out=None, space=SPACE, **options):
    def trainer(name: str, batch: int | None) -> list[float]:
        assert batch is None
        names.append(name)
        return [0.1, 0.9 + len(name) / 1000 + int(name[-2:]) / 1000]

    more = {"models": network, "trainer": trainer, "accuracy": "train"} | options
    return sweep(space, "net", out, workers=1, quiet=True, **more)


def test_a_network_is_trained_once_and_all_its_points_know(tmp_path, names):
    table = _sweep(names, tmp_path, minimize="accuracy,energy")
    expected = [f"net:depth={depth},width={width}" for depth, width in product([1, 2], [16, 32])]
    assert names == expected
    for row in table.iter_rows(named=True):
        accuracy = 0.9 + len(expected[0]) / 1000 + row[WIDTH] / 1000
        assert row["accuracy"] == accuracy
        assert row["error"] == 1 - accuracy
    assert best(table, "accuracy")[WIDTH] == 32
    assert table.select(DEPTH, WIDTH, ROWS).rows() == list(product([1, 2], [16, 32], [4, 8]))
    files = [json.loads(f.read_text()) for f in (tmp_path / NETWORKS).glob("*.accuracy.json")]
    assert sorted(each["network"] for each in files) == expected
    assert all(len(each["accuracy"]) == 2 for each in files)


def test_networks_are_trained_first_so_that_workers_share_none(names, monkeypatch):
    handed, run = [], Here.submit

    def counted(self, jobs):
        handed.extend((job.point.labels[DEPTH], job.point.labels[WIDTH]) for job in jobs)
        return run(self, jobs)

    monkeypatch.setattr(Here, "submit", counted)
    _sweep(names, space=SPACE | {ROWS: [4, 8, 16]})
    assert sorted(handed[:4]) == sorted(set(handed))
    assert len(handed) == 12


def test_stopped_anywhere_it_trains_nothing_again(tmp_path, names, monkeypatch):
    run, count = Here.submit, [0]

    def stopping(self, jobs):
        count[0] += 1
        if count[0] % 3 == 0:
            raise KeyboardInterrupt
        return run(self, jobs)

    monkeypatch.setattr(Here, "submit", stopping)
    for _ in range(3):
        memo.clear()
        with pytest.raises(Stopped):
            _sweep(names, tmp_path)
    monkeypatch.setattr(Here, "submit", run)
    table = _sweep(names, tmp_path)
    assert len(names) == len(set(names)) == 4
    memo.clear()
    assert table.drop("point").equals(_sweep([]).drop("point"))


def test_a_damaged_accuracy_is_trained_again(tmp_path, names):
    _sweep(names, tmp_path)
    for path in (tmp_path / NETWORKS).glob("*.accuracy.json"):
        path.write_text('{"network": "net", "accuracy": [2.0]}')
    for path in (tmp_path / "points").glob("*"):
        path.unlink()
    memo.clear()
    table = _sweep(names, tmp_path)
    assert len(names) == 8
    assert table["accuracy"].max() < 1


def test_a_search_minimises_the_error_of_trained_networks(names):
    table = _sweep(names, minimize="accuracy", search=8)
    assert table.filter(table["pareto"])[WIDTH].unique().to_list() == [32]


def test_training_needs_networks_and_a_trainer(names):
    with pytest.raises(InputError, match="accuracy train: it trains networks that axes span"):
        _sweep(names, trainer=None)


def test_a_condition_on_accuracy_is_met_after_training(tmp_path, names):
    whole = _sweep(names)
    floor = sorted(whole["accuracy"].to_list())[4]
    fast = whole["latency_s"].median()
    texts = ["rows >= 8", f"accuracy >= {floor} and latency_s < {fast}"]
    table = _sweep(names, tmp_path, constraints=texts)
    for row in table.iter_rows(named=True):
        (twin,) = whole.filter([polars.col(key) == row[key] for key in SPACE]).to_dicts()
        assert row["accuracy"] == twin["accuracy"]
        assert row["feasible"] == (twin["accuracy"] >= floor and twin["latency_s"] < fast)
        assert (row["reason"] == "") == row["feasible"] == (row["energy_j"] is not None)
    assert table[ROWS].unique().to_list() == [8]  # what is cheap to know is pruned before
    assert 0 < table["feasible"].sum() < table.height
    trained = len(names)
    _sweep(names, tmp_path, constraints=["accuracy >= 100 %"])
    assert len(names) == trained, "another limit trains nothing again"


def test_no_network_is_trained_for_points_that_break_other_limits(names):
    table = _sweep(names, constraints=["accuracy > 0", "width <= 16", "depth * rows <= 4"])
    assert table.height == len(names) == 1


def test_a_search_knows_which_networks_miss_the_accuracy(names):
    texts = ["accuracy >= 95 %"]
    table = _sweep(names, search=8, minimize="energy", constraints=texts)
    front = table.filter("pareto")
    assert front[WIDTH].to_list() == [32]
    least = best(_sweep(names), "energy", texts)
    assert front.select(*SPACE, "energy_j").row(0) == tuple(
        least[key] for key in (*SPACE, "energy_j")
    )


def test_a_condition_that_nobody_can_read_is_refused_before_training(names):
    with pytest.raises(InputError, match="no heigth"):
        _sweep(names, constraints=["accuracy > 0.9 or heigth < 4"])
    assert not names
