"""The verb `sweep` as people meet it: answers, files, and one sentence for whatever is wrong."""

import json

import polars
import pytest

from simulator.sweeps import executors
from tests.builders import small_trace
from tests.command_line import trainsoc

ROWS = ("--set", "accelerator.rows=8,16")


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    return small_trace(tmp_path_factory.mktemp("traces"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, trace_file):
    out = tmp_path_factory.mktemp("sweeps") / "sweep"
    done = trainsoc(
        "sweep", "edge-16x16", trace_file, "--set", "accelerator.rows=accelerator.cols=8..32:x2",
        "--set", "accelerator.scratchpad=1 B,16 KiB", "--baseline", "cpu-only", "--full",
        "-o", out, "--csv", out / "points.csv", "--workers", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_answer_is_a_table_with_reasons_and_whole_results(finished):
    out, text = finished
    table = polars.read_parquet(out / "points.parquet")
    assert table.height == 7
    assert "cpu-only" in text
    assert "3 of 6 points cannot run" in text
    tiny = table.filter(polars.col("accelerator.scratchpad") == 1)
    assert not tiny["feasible"].any()
    assert all("accelerator.scratchpad" in reason for reason in tiny["reason"])
    assert polars.read_csv(out / "points.csv").height == 7
    for row in table.filter("feasible").iter_rows(named=True):
        whole = json.loads((out / "results" / f"{row['point']}.json").read_text())
        assert whole["total"]["latency_ps"] == row["latency_ps"]
        assert str(whole["total"]["energy_aj"]) == row["energy_aj"]
        for phase in whole["phases"]:
            assert row[f"{phase['phase']}_energy_j"] == phase["energy_j"]


def test_a_finished_folder_answers_without_running(finished):
    out, _ = finished
    before = sorted((out / "points").iterdir())
    done = trainsoc("sweep", "-o", out, "--best", "area", "--where", "cols >= 16", "--json")
    found = json.loads(done.stdout)
    assert (found["points"], found["feasible"]) == (7, 4)
    assert found["best"]["accelerator.rows"] == 16
    assert {row["accelerator.rows"] for row in found["front"]} <= {8, 16, 32}
    assert sorted((out / "points").iterdir()) == before


def test_whole_results_are_asked_of_points_that_run_alone(finished):
    """A point that cannot run has none, and is not tried again for it."""
    out, _ = finished
    before = sorted((out / "points").iterdir())
    done = trainsoc("sweep", "-o", out, "--full")
    assert done.returncode == 0, done.stderr
    assert sorted((out / "points").iterdir()) == before


def test_plot_draws_the_figures_of_a_sweep(finished):
    out, _ = finished
    done = trainsoc("plot", out)
    assert done.returncode == 0, done.stderr
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    assert {"front", "energy_by_array", "curves", "sensitivity"} <= drawn


def test_a_search_replays_so_many_points_and_goes_on(trace_file, tmp_path):
    pytest.importorskip("optuna")
    out = tmp_path / "found"
    space = (
        "--set", "accelerator.rows=4..64:+1", "--set", "accelerator.cols=4..64:+1",
        "--set", "accelerator.clock=100 MHz..1 GHz:+1 MHz",
    )  # fmt: skip
    words = ("sweep", "edge-16x16", trace_file, *space, "-o", out)
    done = trainsoc(*words, "--search", 30, "--minimize", "latency,energy,area")
    assert done.returncode == 0, done.stderr
    first = polars.read_parquet(out / "points.parquet")
    assert first.height == 30
    again = trainsoc("sweep", "-o", out, "--search", 45)
    assert again.returncode == 0, again.stderr
    table = polars.read_parquet(out / "points.parquet")
    assert table["point"].to_list()[:30] == first["point"].to_list()
    assert table.height == table["point"].n_unique() == 45


@pytest.mark.torch
def test_batch_sizes_of_a_model_are_an_axis(tmp_path):
    pytest.importorskip("torch")
    out = tmp_path / "batches"
    axes = ("--set", "batch=2,4", *ROWS)
    done = trainsoc("sweep", "edge-16x16", "cnn1x_cifar10", *axes, "-o", out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    table = polars.read_parquet(out / "points.parquet")
    assert table["batch"].to_list() == [2, 2, 4, 4]
    (two, four) = table.group_by("batch", maintain_order=True).first()["macs"]
    assert four == 2 * two


WRONG = {
    "unknown knob": (["--set", "accelerator.row=8"], "accelerator.rows"),
    "empty axis": (["--set", "accelerator.rows="], "key="),
    "endless range": (["--set", "accelerator.rows=8..64:x1"], "no end"),
    "wrong value": (["--set", "accelerator.rows=8,many"], "many"),
    "no unit": (["--set", "accelerator.scratchpad=8"], "no unit"),
    "axis twice": ([*ROWS, "--set", "accelerator.rows=32"], "twice"),
    "contradiction": ([*ROWS, "--require", "rows > 8", "--require", "rows < 9"], "both"),
    "impossible": ([*ROWS, "--require", "area < 0.001 mm2"], "area < 0.001 mm2"),
    "unknown name": ([*ROWS, "--require", "row < 9"], "did you mean rows"),
    "condition on a result": ([*ROWS, "--require", "latency < 9 ms"], "--where"),
    "same value twice": (["--set", "accelerator.scratchpad=64 KiB,65536 B"], "the same value"),
    "unknown unit": ([*ROWS, "--require", "scratchpad < 9 KB"], "unit"),
    "no scheduler": ([*ROWS, "--cluster", "tcp://127.0.0.1:9"], "no dask scheduler"),
    "no address": ([*ROWS, "--cluster", "dask.json"], "no dask scheduler"),
    "unknown method": ([*ROWS, "--method", "magic"], "magic"),
    "unknown baseline": ([*ROWS, "--baseline", "nothing-only"], "nothing-only"),
    "unknown goal": ([*ROWS, "--search", "5", "--minimize", "latency,beauty"], "beauty"),
    "batch of a trace": (["--set", "batch=8,16"], "model"),
    "grid too large": (
        [word for key in ("rows", "cols", "dot_width") for word in
         ("--set", f"accelerator.{key}=1..200:+1")],
        "--search",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_one_sentence_before_anything_runs(
    case, trace_file, tmp_path, monkeypatch
):
    monkeypatch.setattr(executors, "SECONDS_TO_CONNECT", 1)
    words, told = WRONG[case]
    done = trainsoc("sweep", "edge-16x16", trace_file, *words, "-o", tmp_path / "s")
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_wrong_questions_to_a_finished_sweep_leave_it_as_it_is(finished):
    out, _ = finished
    before = {path: path.read_bytes() for path in (out / "points").iterdir()}
    for words, told in (
        (("--best", "beauty"), "beauty"),
        (("--best", "energy", "--where", "latency < 1 ps"), "no point"),
        (("--best", "dataflow"), "dataflow"),
    ):
        done = trainsoc("sweep", "-o", out, *words)
        assert done.returncode == 2
        assert told in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in (out / "points").iterdir()} == before


def test_a_folder_of_another_version_is_left_as_it_is(finished, tmp_path):
    import shutil

    out, _ = finished
    other = tmp_path / "sweep"
    shutil.copytree(out, other)
    text = (other / "sweep.yaml").read_text()
    (other / "sweep.yaml").write_text(text.replace("store: 1", "store: 7"))
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    for words in (("sweep", "-o", other), ("sweep", "edge-16x16", "lenet_digits", "-o", other)):
        done = trainsoc(*words)
        assert done.returncode == 2
        assert "store 7" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before
    assert trainsoc("plot", other).returncode == 0, "to look at them is no harm"
