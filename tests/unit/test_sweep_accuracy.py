"""Accuracies that a user brings: joined by axes, asked for in conditions, minimised as errors."""

import re
from itertools import product

import pytest

from simulator import sweep
from simulator.errors import InputError
from simulator.sweeps.accuracy import read_accuracies
from simulator.sweeps.answers import best
from simulator.trace.trace import Trace
from simulator.views.pareto import pareto_front
from tests.unit.test_sweep_networks import network

ROWS, WIDTH, DEPTH, BITS = "accelerator.rows", "model.width", "model.depth", "accelerator.precision"
SPACE = {DEPTH: [1, 2], WIDTH: [16, 32], ROWS: [4, 8]}
ACCURACIES = {(1, 16): 0.90, (1, 32): 0.95, (2, 16): 0.97, (2, 32): 0.9725}


@pytest.fixture
def table_file(tmp_path):
    path = tmp_path / "accuracy.csv"
    lines = [f"{width},{accuracy},{depth}" for (depth, width), accuracy in ACCURACIES.items()]
    path.write_text("\n".join(["width,accuracy,depth", *lines]) + "\n")
    return path


def _sweep(accuracy, out=None, space=SPACE, **options):
    options = {"models": network, "workers": 1, "quiet": True} | options
    return sweep(space, "net", out, accuracy=accuracy, **options)


def test_each_point_has_the_accuracy_of_its_network(table_file):
    table = _sweep(table_file)
    assert table.height == 8
    for row in table.iter_rows(named=True):
        accuracy = ACCURACIES[row[DEPTH], row[WIDTH]]
        assert (row["accuracy"], row["error"]) == (accuracy, 1 - accuracy)


def test_the_most_accurate_is_the_best_and_makes_a_front(table_file):
    table = _sweep(table_file, minimize="accuracy,energy")
    assert best(table, "accuracy")["accuracy"] == 0.9725
    wide = best(table, "energy", ["accuracy >= 96 %"])
    cheapest = table.filter(table["accuracy"] >= 0.96)["energy_j"].min()
    assert wide["energy_j"] == cheapest
    front = pareto_front([[1 - a, e] for a, e in table.select("accuracy", "energy_j").rows()])
    assert table["pareto"].to_list() == front
    assert 1 < sum(front) < 8


def test_conditions_hold_before_anything_is_captured(table_file):
    names = []

    def counted(name: str, batch: int | None) -> Trace:
        names.append(name)
        return network(name, batch)

    conditions = ["accuracy >= 97 %", "area < 1 mm2"]
    table = _sweep(table_file, constraints=conditions, models=counted)
    assert table.select(DEPTH, WIDTH).rows() == [(2, 16), (2, 16), (2, 32), (2, 32)]
    assert sorted(names) == [f"net:depth={d},width={w}" for d, w in ((1, 16), (2, 16), (2, 32))]


def test_a_search_finds_the_front_of_accuracy_and_energy(table_file):
    whole = _sweep(table_file, minimize="accuracy,energy")
    searched = _sweep(table_file, minimize="accuracy,energy", search=8)
    columns = [DEPTH, WIDTH, ROWS, "error", "energy_j", "pareto"]
    assert sorted(searched.select(columns).rows()) == sorted(whole.select(columns).rows())


def test_another_table_costs_no_replay(table_file, tmp_path, monkeypatch):
    _sweep(None, tmp_path / "out")
    monkeypatch.setattr("simulator.sweeps.study.replay", None)
    assert _sweep(table_file, tmp_path / "out")["accuracy"].to_list()[0] == 0.90
    table_file.write_text(table_file.read_text().replace("0.9,", "0.5,"))
    again = _sweep(table_file, tmp_path / "out", minimize="error", search=8)
    assert sorted(again["accuracy"].to_list())[:3] == [0.5, 0.5, 0.95]
    assert "accuracy" not in _sweep(None, tmp_path / "out").columns


def test_axes_of_hardware_and_missing_rows(tmp_path):
    path = tmp_path / "bits.csv"
    path.write_text("precision, width, accuracy\nint4, 16, 80 %\nint8, 16, 97.25 %\nint8, 032, 1\n")
    table = _sweep(path, space={WIDTH: [16, 32], BITS: ["int4", "int8"]}, minimize="error,energy")
    assert table["accuracy"].to_list() == [0.8, 0.9725, None, 1.0]
    assert not table["pareto"][2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line must name accuracy"),
        ("accuracy\n0.5", "its first line must name accuracy"),
        ("width,accuracy\n8,97", "line 2: accuracy '97': write it as 0.97 or 97 %"),
        ("width,accuracy\n8,nan", "line 2: accuracy 'nan'"),
        ("width,accuracy\n8,0.9\n08,0.8", "line 3: 8 is there twice"),
        ("width,accuracy\n8", "line 2: it has 1 cells: give 2"),
        ("kernel,accuracy\n8,1", "column 'kernel' is no axis of this sweep"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, says):
    path = tmp_path / "accuracy.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(says)):
        read_accuracies(path, [WIDTH, DEPTH])


def test_accuracy_without_a_table_is_refused():
    with pytest.raises(InputError, match="no accuracy is known before points run"):
        _sweep(None, constraints=["accuracy > 90 %"])
    with pytest.raises(InputError, match="say with --accuracy how"):
        _sweep(None, minimize="accuracy")


def test_every_point_is_joined_exactly_once(table_file):
    table = _sweep(table_file)
    assert table.select(DEPTH, WIDTH, ROWS).rows() == list(product([1, 2], [16, 32], [4, 8]))
