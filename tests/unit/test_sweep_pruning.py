"""Networks of a search are pruned as optuna prunes, with the same answer for fewer epochs."""

import io
import json
from itertools import product
from statistics import median

import optuna
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from simulator import memo, sweep
from simulator.errors import InputError, Stopped
from simulator.sweeps.answers import best
from simulator.sweeps.executors import Here
from simulator.sweeps.networks import NETWORKS
from simulator.sweeps.pruning import Course, fate
from simulator.sweeps.report import sweep_report
from tests.unit.test_sweep_networks import network

DEPTH, WIDTH, ROWS = "model.depth", "model.width", "accelerator.rows"
SPACE = {DEPTH: [1, 2], WIDTH: [*range(8, 80, 4)], ROWS: [8]}
EPOCHS = 8
FLOOR = 0.84


def course(name: str) -> list[float]:
    """Return the accuracies of a network: large ones are better, all learn alike."""
    depth, width = (int(part.partition("=")[2]) for part in name.partition(":")[2].split(","))
    final = 1 - 0.6 / depth**0.5 * (4 / width) ** 0.5
    return [final * (1 - 0.6**epoch) for epoch in range(1, EPOCHS + 1)]


@pytest.fixture
def epochs() -> list[tuple[str, int]]:
    """Return the list of epochs that have been trained, with their networks."""
    memo.clear()
    return []


def _sweep(epochs, out=None, *, space=SPACE, workers=1, **options):
    def trainer(name: str, _batch: int | None):
        for epoch, accuracy in enumerate(course(name), 1):
            epochs.append((name, epoch))
            yield accuracy

    more = {"constraints": [f"accuracy >= {FLOOR}"], "search": 36, "minimize": "energy"} | options
    return sweep(
        space, "net", out, models=network, trainer=trainer, accuracy="train", quiet=True,
        workers=workers, **more,
    )  # fmt: skip


def test_fewer_epochs_find_the_same_best_network(tmp_path, epochs):
    table = _sweep(epochs, tmp_path)
    names = {f"net:depth={d},width={w}" for d, w in product(SPACE[DEPTH], SPACE[WIDTH])}
    assert {name for name, _ in epochs} == names
    assert len(epochs) == len(set(epochs)) < 0.95 * EPOCHS * len(names)
    memo.clear()
    whole = _sweep([], search=None)
    for key in (DEPTH, WIDTH, "energy_j", "accuracy"):
        assert best(table, "energy")[key] == best(whole, "energy")[key]
    accurate = {name for name in names if course(name)[-1] >= FLOOR}
    assert table["feasible"].sum() == len(accurate), "here none that meets the floor was pruned"


def test_a_pruned_network_says_when_and_how_accurate_it_was(tmp_path, epochs):
    table = _sweep(epochs, tmp_path)
    trained = dict(epochs)  # the last epoch of each
    pruned = [name for name, number in trained.items() if number < EPOCHS]
    assert len(pruned) > 2
    files = (json.loads(f.read_text()) for f in (tmp_path / NETWORKS).glob("*.accuracy.json"))
    records = {each["network"]: each for each in files}
    for row in table.iter_rows(named=True):
        name = f"net:depth={row[DEPTH]},width={row[WIDTH]}"
        curve = course(name)[: trained[name]]
        assert row["accuracy"] == curve[-1]
        assert records[name]["accuracy"] == curve
        assert records[name]["complete"] == (name not in pruned)
        assert row["accuracy_by_epoch"].split() == [repr(value) for value in curve]
        reason = f"pruned after {len(curve)} of 8 epochs at {100 * curve[-1]:.0f} %"
        assert (row["reason"] == reason) == (name in pruned)
        assert not (row["feasible"] and name in pruned)
    missed = table.height - len(pruned) - table["feasible"].sum()
    shown = io.StringIO()
    Console(file=shown, width=200).print(sweep_report(table, ("energy_j",)))
    caption = f"{missed} of 36 points miss accuracy >= {FLOOR}, {len(pruned)} have pruned networks;"
    assert caption in " ".join(shown.getvalue().split())
    with pytest.raises(InputError, match=f"result: {missed} miss accuracy >= {FLOOR}; "):
        best(table.filter(~polars.col("feasible")), "energy")


@pytest.mark.slow
def test_stopped_anywhere_a_search_trains_no_epoch_again_and_prunes_the_same(
    tmp_path, epochs, monkeypatch
):
    whole = _sweep([])
    run, count = Here.submit, [0]

    def stopping(self, jobs):
        count[0] += 1
        if count[0] % 7 == 0:
            raise KeyboardInterrupt
        return run(self, jobs)

    monkeypatch.setattr(Here, "submit", stopping)
    for _ in range(3):
        memo.clear()
        with pytest.raises(Stopped):
            _sweep(epochs, tmp_path)
    monkeypatch.setattr(Here, "submit", run)
    memo.clear()
    table = _sweep(epochs, tmp_path)
    assert table.equals(whole)
    assert len(epochs) == len(set(epochs))
    before = len(epochs)
    memo.clear()
    assert _sweep(epochs, tmp_path).equals(table)
    assert len(epochs) == before


@pytest.mark.slow
def test_killed_within_a_network_it_keeps_the_epochs_that_it_knows(tmp_path, epochs):
    killed = []

    def trainer(name: str, _batch: int | None):
        for epoch, accuracy in enumerate(course(name), 1):
            if len(killed) < 1 and epoch == 4:
                killed.append(name)
                raise KeyboardInterrupt
            yield accuracy

    with pytest.raises(Stopped):
        sweep(
            SPACE, "net", tmp_path, models=network, trainer=trainer, accuracy="train", quiet=True,
            workers=1, search=36, constraints=[f"accuracy >= {FLOOR}"], minimize="energy",
        )  # fmt: skip
    (file,) = (tmp_path / NETWORKS).glob("*.accuracy.json")
    record = json.loads(file.read_text())
    assert record == {"network": killed[0], "accuracy": course(killed[0])[:3], "complete": False}
    memo.clear()
    table = _sweep(epochs, tmp_path)
    assert json.loads(file.read_text())["accuracy"] == course(killed[0])
    memo.clear()
    assert table.equals(_sweep([]))


@pytest.mark.slow
def test_a_network_is_pruned_once_for_all_arrays(epochs):
    space = SPACE | {ROWS: [4, 8]}
    table = _sweep(epochs, space=space, search=72)
    assert len(epochs) == len(set(epochs))
    assert table.group_by(DEPTH, WIDTH).n_unique()["accuracy"].unique().to_list() == [1]
    assert table["reason"].str.starts_with("pruned").any()


@pytest.mark.slow
def test_without_a_floor_or_a_search_nothing_is_pruned(epochs):
    for options in ({"constraints": []}, {"search": None}):
        memo.clear()
        epochs.clear()
        table = _sweep(epochs, **options)
        assert len(epochs) == EPOCHS * 36
        assert "accuracy_by_epoch" not in table.columns


@given(
    st.lists(st.tuples(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.booleans())),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_fate_is_the_median_of_those_that_missed_the_floor(others, curve):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    peers = {str(n): Course(tuple(values), meets) for n, (values, meets) in enumerate(others)}
    is_hopeless = fate(peers, "new")
    missed = [values for values, meets in others if not meets]
    for epoch in range(1, 5):
        hopeless = is_hopeless(curve[:epoch])
        enough = len(missed) >= 5 and epoch >= 2
        middle = median(values[epoch - 1] for values in missed) if enough else 0.0
        assert hopeless == (max(curve[:epoch]) < middle)
