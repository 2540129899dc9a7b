"""What a finished sweep answers, in a row, in words and while it runs."""

import io
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from simulator.errors import InputError
from simulator.sweeps.answers import best, measure, objectives_of
from simulator.sweeps.report import best_sentence, effects_sentence, sweep_report
from simulator.sweeps.table import table_of
from simulator.sweeps.watch import Display, Silent

ROWS, PAD = "accelerator.rows", "accelerator.scratchpad"


def _table(latencies, **columns) -> pl.DataFrame:
    """Return a table with a point per latency; None cannot run."""
    told, done = [], []
    for number, latency in enumerate(latencies):
        row = {ROWS: 2**number, PAD: 65536, "trace": "a", "method": "as-traced", "baseline": ""}
        row |= {"point": f"p{number}"} | {key: values[number] for key, values in columns.items()}
        if row["baseline"]:
            row |= {ROWS: None, PAD: None}
        told.append(row)
        measures = {"latency_s": latency, "energy_j": 1 / (number + 1), "area_total_mm2": 2.0}
        measures["array_utilization"] = 0.5
        runs = latency is not None
        done.append(
            {**row, "feasible": runs, "reason": "" if runs else "too large"}
            | {name: value if runs else None for name, value in measures.items()}
        )
    return table_of(told, pl.DataFrame(done, infer_schema_length=None), [ROWS, PAD])


_LATENCIES = [0.003, 0.001, None, 0.002, 0.001]


def test_the_best_point_is_the_first_that_has_the_least():
    table = _table(_LATENCIES)
    assert best(table, "latency")[ROWS] == 2
    assert best(table, "energy_j")[ROWS] == 16
    assert best(table, "latency", ["rows > 2"])[ROWS] == 16
    assert best(table, "energy", ["rows < 16", "latency <= 2 ms"])[ROWS] == 8


def test_the_best_point_has_its_interval_whatever_the_unit():
    table = _table([0.002], energy_p05_j=[0.5], energy_p95_j=[2.0])
    assert "1 J (0.5 .. 2)" in best_sentence(table, best(table, "energy"), "energy_j")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.none() | st.integers(0, 5).map(float), min_size=1, max_size=8),
    st.integers(0, 6),
    st.data(),
)
def test_the_best_point_is_what_a_loop_finds(latencies, limit, data):
    count = len(latencies)
    names = data.draw(st.lists(st.sampled_from(["", "cpu"]), min_size=count, max_size=count))
    found = [
        (latency, 2**number)
        for number, (latency, name) in enumerate(zip(latencies, names, strict=True))
        if latency is not None and not name and latency < limit
    ]
    table = _table(latencies, baseline=names).with_columns(pl.col("latency_s").cast(pl.Float64))
    if found:
        row = best(table, "latency", [f"latency < {limit} s"])
        assert (row["latency_s"], row[ROWS]) == min(found)
    else:
        with pytest.raises(
            InputError,
            match=r"ask for less, or add points|no point of . has a result",
        ):
            best(table, "latency", [f"latency < {limit} s"])


def test_an_answer_that_there_is_none_names_the_conditions():
    table = _table(_LATENCIES)
    with pytest.raises(InputError, match="no point of 4 meets 'rows > 64' and 'area < 1 mm2'"):
        best(table, "latency", ["rows > 64", "area < 1 mm2"])
    with pytest.raises(InputError, match="no point of 1 has a result: see their reasons"):
        best(_table([1.0], baseline=["cpu"]), "latency")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("latencie", "no latencie; did you mean latency"),
        ("trace", "trace: trace is no number; choose one such as energy or latency"),
    ],
)
def test_a_measure_that_there_is_not_is_told(name, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        measure(_table(_LATENCIES), name)


def _shown(table: pl.DataFrame) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(sweep_report(table))
    return out.getvalue()


def test_the_report_has_the_front_and_says_what_cannot_run():
    text = _shown(_table(_LATENCIES))
    lines = [line.split() for line in text.splitlines()]
    assert "Pareto front in latency and energy" in text
    assert ["rows", "latency", "energy", "area", "array", "use", "of", "busy", "time"] in lines
    rows = [line[0] for line in lines if line and line[0].isdigit()]
    assert rows == ["16", "1"]  # the front by latency, then the caption
    assert "1 of 5 points cannot run; see their reason" in " ".join(text.split())


def test_the_report_has_baselines_below_the_front():
    text = _shown(_table([0.003, 0.001, 0.005], baseline=["", "", "cpu-only"]))
    assert text.index("1 ms") < text.index("cpu-only")
    assert "5 ms" in text[text.index("cpu-only") :]


def test_the_report_names_a_baseline_of_a_single_design():
    text = _shown(_table([0.003, 0.005], baseline=["", "cpu-only"]))
    assert "cpu-only" in text


def test_the_report_of_a_long_front_says_how_much_it_shows():
    table = _table([0.001 * (number + 1) for number in range(20)])
    assert table["pareto"].sum() == 20
    assert "15 of 20 on the front; the table has all" in " ".join(_shown(table).split())


def test_a_sweep_of_which_nothing_can_run_has_a_report():
    told = [{ROWS: 8, "trace": "a", "method": "as-traced", "baseline": "", "point": ""}]
    told[0] |= {"feasible_own": False, "reason_own": "too large"}
    table = table_of(told, pl.DataFrame(schema={"point": pl.String}), [ROWS])
    assert "1 of 1 points cannot run" in _shown(table)


def test_the_best_point_in_words():
    table = _table(_LATENCIES)
    sentence = best_sentence(table, best(table, "energy"), "energy_j")
    assert sentence == "least energy: 200 mJ at rows 16 (latency 1 ms, area 2 mm2)"


def test_what_each_knob_changes_by_itself_is_told_where_all_can_be():
    told = effects_sentence(_table([0.003, 0.001]))
    assert told == "sensitivity of energy, one knob at a time: rows 2x (best: 2)"
    halves = {"accelerator.cols": [1, 2, 3, 4]}  # every point differs in both knobs
    assert effects_sentence(_table([0.003, 0.001, 0.002, 0.004], **halves)) == ""


def _row(latency: float | None, **others) -> dict:
    row = {ROWS: 8, "trace": "a", "feasible": latency is not None, "baseline": ""}
    return {**row, "latency_s": latency, **others}


def test_the_line_tells_how_far_how_fast_and_the_best():
    display = Display()
    display.begin(10)
    assert display.line(1.0) == "0 of 10 points"
    display.finished()
    display.finished(_row(0.002))
    display.finished(_row(0.001, **{ROWS: 16}))
    display.finished(_row(None, **{ROWS: 32}))
    display.finished(_row(0.0001, baseline="cpu"))
    assert display.line(2.0) == (
        "5 of 10 points; 1 of them kept from before; 2 / s, 2 s left; least latency 1 ms at rows 16"
    )


def test_a_sweep_that_only_finds_kept_points_has_no_speed():
    display = Display()
    display.begin(2000)
    for _ in range(1500):
        display.finished()
    assert display.line(3.0) == "1,500 of 2,000 points; 1,500 of them kept from before"


@pytest.mark.parametrize(("total", "left"), [(3, "20 s"), (121, "20 min"), (6001, "16.7 h")])
def test_the_time_left_is_in_plain_units(total, left):
    display = Display()
    display.begin(total)
    display.finished(_row(0.002))
    assert f"{left} left" in display.line(10.0)


def test_lines_go_to_a_log_only_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 10.0, 31.0, 40.0, 62.0])
    monkeypatch.setattr("simulator.sweeps.watch.time.monotonic", lambda: next(clock))
    display = Display()
    display.begin(4)
    for _ in range(4):
        display.finished(_row(0.002))
    display.end()
    told = capsys.readouterr()
    assert [line.split(" points")[0] for line in told.err.splitlines()] == ["2 of 4", "4 of 4"]
    assert told.out == ""


def test_a_silent_watcher_says_nothing(capsys):
    silent = Silent()
    silent.begin(1)
    silent.finished()
    silent.end()
    assert capsys.readouterr() == ("", "")


def test_who_minimises_accuracy_means_the_error():
    columns = ("accuracy", "energy_j", "error")
    assert objectives_of("accuracy,energy", columns) == ("error", "energy_j")
    assert objectives_of("accuracy", ("error", "energy_j")) == ("error",)
