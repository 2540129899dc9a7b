"""The table of a sweep: its rows and columns are in the order of the space, its fronts by trace."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.sweeps.table import knobs_of, table_of, with_front

ROWS, COLS = "accelerator.rows", "accelerator.cols"
_LABELS = {"trace": "a", "method": "as-traced", "baseline": ""}


def _told(number: int, **labels) -> dict:
    return {ROWS: number, **_LABELS, **labels, "point": f"p{number}"}


def _done(told: dict, latency: float = 1.0, energy: float = 1.0, **others) -> dict:
    return {**told, "feasible": True, "reason": "", "latency_s": latency, "energy_j": energy} | {
        "area_total_mm2": 2.0,
        **others,
    }


def _finished(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(6)))
def test_what_finished_first_changes_neither_rows_nor_columns(order):
    told = [_told(number) for number in (5, 3, 1, 0, 2, 4)]
    others = [{"forward_latency_s": 1.0}, {"memory_peak_bytes": 3}, {"epochs": 1}]
    done = {
        row["point"]: _done(row, at, -at, **others[at % 3], **others[(at + 1) % 3])
        for at, row in enumerate(told)
    }
    table = table_of(told, _finished(*(done[f"p{number}"] for number in order)), [ROWS])
    expected = table_of(told, _finished(*done.values()), [ROWS])
    assert table.rows() == expected.rows()
    assert table.columns == expected.columns
    assert table[ROWS].to_list() == [5, 3, 1, 0, 2, 4]
    assert table.columns[0] == ROWS
    assert table.columns[-1] == "point"


def test_points_with_equal_hardware_have_a_row_each():
    told = [_told(8), {**_told(16), "point": "p8"}]
    table = table_of(told, _finished(_done(_told(8), 3.0)), [ROWS])
    assert table.select(ROWS, "latency_s").rows() == [(8, 3.0), (16, 3.0)]
    assert table["pareto"].to_list() == [True, True]


def test_a_point_with_its_own_reason_has_it_in_its_row():
    misfit = {**_told(0), "point": "", "feasible_own": False, "reason_own": "does not fit"}
    lost = {**_told(4), "feasible_own": False, "reason_own": "its worker died"}
    table = table_of([misfit, _told(8), lost], _finished(_done(_told(8))), [ROWS])
    assert table.select("feasible", "reason", "pareto").rows() == [
        (False, "does not fit", False),
        (True, "", True),
        (False, "its worker died", False),
    ]
    assert not [name for name in table.columns if name.endswith("_own")]


def test_a_table_in_which_nothing_ran_has_the_reasons():
    misfit = {**_told(0), "point": "", "feasible_own": False, "reason_own": "does not fit"}
    table = table_of([misfit], pl.DataFrame(schema={"point": pl.String}), [ROWS])
    assert table.select("feasible", "reason", "pareto").rows() == [(False, "does not fit", False)]


def test_settings_of_other_sweeps_are_no_columns_of_this_one():
    finished = _finished(_done({**_told(8), COLS: 4}), _done({**_told(16), "cpu.cores": 2}))
    table = table_of([_told(8), _told(16)], finished, [ROWS])
    assert [name for name in table.columns if "." in name] == [ROWS]
    assert knobs_of(table) == [ROWS]


_values = st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(_values, st.data())
def test_each_trace_has_its_front_without_baselines_and_what_cannot_run(values, data):
    kinds = data.draw(st.lists(st.tuples(*[st.booleans()] * 3), min_size=len(values), max_size=8))
    told = [
        _told(n, trace="ab"[of_b], baseline="cpu" if other else "")
        for n, ((of_b, other, _), _) in enumerate(zip(kinds, values, strict=False))
    ]
    rows = [
        _done(row, *value) | {"feasible": runs}
        for row, value, (_, _, runs) in zip(told, values, kinds, strict=False)
    ]
    table = table_of(told, _finished(*rows), [ROWS])

    def beaten(row) -> bool:
        return any(
            other["trace"] == row["trace"]
            and other["feasible"]
            and not other["baseline"]
            and other["latency_s"] <= row["latency_s"]
            and other["energy_j"] <= row["energy_j"]
            and (other["latency_s"], other["energy_j"]) != (row["latency_s"], row["energy_j"])
            for other in rows
        )

    assert table["pareto"].to_list() == [
        row["feasible"] and not row["baseline"] and not beaten(row) for row in rows
    ]


def test_a_point_beats_none_of_another_trace():
    rows = [_done(_told(1), 1.0, 1.0), _done(_told(2, trace="b"), 2.0, 2.0)]
    table = with_front(_finished(*rows), ("latency_s", "energy_j"))
    assert table["pareto"].to_list() == [True, True]


def test_missing_objectives_leave_a_point_off_the_front():
    rows = [_done(_told(1), 1.0, None), _done(_told(2), 2.0, 2.0)]
    table = with_front(_finished(*rows), ("latency_s", "energy_j"))
    assert table["pareto"].to_list() == [False, True]
    assert with_front(_finished(*rows), ("latency_s", "nothing"))["pareto"].sum() == 0


@pytest.mark.parametrize(("values", "knobs"), [([8, 8], []), ([8, 16], [ROWS])])
def test_knobs_are_what_varies_among_points(values, knobs):
    cpu = {ROWS: None, **_LABELS, "baseline": "cpu", "point": "cpu"}
    told = [cpu, *({**_told(value), "point": f"{n}"} for n, value in enumerate(values))]
    table = table_of(told, _finished(*map(_done, told)), [ROWS])
    assert knobs_of(table) == knobs
