"""What a sweep tells of its points: fronts, the best one while it runs, and who was busy."""

import polars
import pytest

from simulator import simulate, sweep
from simulator.sweeps.report import drawable
from simulator.sweeps.rows import rows_of
from simulator.sweeps.watch import Display
from tests.builders import StepBuilder, one_step_trace


def row(latency, energy, area, pareto):
    return {
        "accelerator.rows": int(area), "trace": "lenet", "method": "", "baseline": "",
        "feasible": True, "latency_s": latency, "energy_j": energy, "area_total_mm2": area,
        "pareto": pareto,
    }  # fmt: skip


# By area and latency the second beats the first, which is on the front by latency and energy.
TABLE = polars.DataFrame([row(2.0, 1.0, 9.0, True), row(1.0, 2.0, 3.0, True)])


def test_a_figure_of_other_objectives_has_their_front():
    space = drawable(TABLE, ("area_total_mm2", "latency_s"))
    assert [point["pareto"] for point in space.points] == [False, True]


def test_a_figure_of_the_usual_objectives_has_the_front_of_those():
    told = TABLE.with_columns(pareto=polars.Series([True, False]))
    assert [point["pareto"] for point in drawable(told).points] == [True, True]


def test_a_row_of_a_table_is_a_mapping_of_its_cells():
    rows = rows_of(TABLE)
    assert [dict(each) for each in rows] == TABLE.to_dicts()
    assert (rows[0].get("latency_s"), rows[0].get("no such"), len(rows[0])) == (2.0, None, 9)
    with pytest.raises(KeyError, match="no such"):
        rows[0]["no such"]


def test_progress_names_the_best_point_with_units():
    display = Display("energy_j")
    display.begin(1)
    knobs = {"accelerator.rows": 16, "accelerator.cols": 8, "accelerator.scratchpad": 65536}
    display.finished({**knobs, "feasible": True, "baseline": "", "energy_j": 0.5})
    assert "16\xa0\xd7\xa08, 64 KiB scratchpad" in display.line(1.0)


@pytest.mark.parametrize("unit", ["cpu", "accelerator"])
def test_a_row_tells_how_long_each_phase_kept_a_unit_busy(unit):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    trace = one_step_trace(builder)
    found = sweep({"accelerator.rows": [8]}, trace, workers=1, quiet=True).row(0, named=True)
    result = simulate("edge-16x16", trace, {"accelerator.rows": 8})
    for phase in result.phases:
        assert found[f"{phase['phase']}_{unit}_busy_s"] == phase[f"{unit}_busy_s"]
    assert sum(v for k, v in found.items() if k.endswith(f"_{unit}_busy_s")) > 0
