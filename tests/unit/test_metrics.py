"""The table of metrics, and one of its rows, the energy-delay product, wherever it appears."""

import ast
import csv
from fractions import Fraction
from pathlib import Path

import pytest

import simulator
from simulator import simulate, sweep
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.results import metrics
from simulator.results.documents import interval_of
from simulator.results.metrics import (
    ADDITIVE,
    METRICS,
    OF_GOVERNOR,
    OF_HEAT,
    PEAK,
    PERCENTILES,
    RESOURCES,
    TABLE,
    TRAINING,
    column_of,
    metric,
    minimisable,
    using,
)
from simulator.sweeps.answers import best, best_in_samples, objectives_of
from simulator.sweeps.condition import where
from simulator.sweeps.folder import write_csv
from simulator.sweeps.report import drawable
from simulator.trace.op import Phase, Role
from simulator.trace.trace import Segment, Trace
from simulator.uncertainty.account import account
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw
from simulator.views.design_space import Measure
from simulator.views.plots.sweep_front import front
from tests.builders import StepBuilder

ROWS = "accelerator.rows"


def _trace(epochs: int = 1) -> Trace:
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    builder.gemm(64, 64, 64, phase=Phase.WGRAD, role=Role.WGRAD)
    builder.elementwise(builder.tensor(64, 64), phase=Phase.EVAL)
    return Trace("built", (builder.step(),), tuple(Segment(e, 0, 3) for e in range(epochs)))


@pytest.fixture(scope="module")
def run() -> dict:
    return simulate("edge-16x16", _trace(epochs=2)).as_dict()


@pytest.fixture(scope="module")
def points():
    axes = {ROWS: [4, 16], "cpu.clock": ["600 MHz", "1.2 GHz"]}
    return sweep(axes, _trace(epochs=2), minimize="edp,area", samples=3, workers=1, quiet=True)


# --- the table ----------------------------------------------------------------------------------


def test_no_key_is_there_twice():
    keys = [row.key for row in TABLE]
    assert len(set(keys)) == len(keys)
    ratios = [each.ratio.key for each in METRICS if each.ratio]
    assert not set(ratios) & set(keys)


def test_what_adds_up_does_and_a_peak_is_the_largest(run):
    for each in METRICS:
        whole, parts = each.get(run["total"]), [each.get(row) for row in run["phases"]]
        if each.kind is ADDITIVE and whole is not None:
            assert sum(parts) == pytest.approx(whole, rel=1e-12)
            assert sum(map(each.of, run["epochs"])) == pytest.approx(whole, rel=1e-12)
        elif each.kind is PEAK:
            assert max(parts) == whole


def test_what_grows_with_the_epochs_is_told_per_epoch():
    one, four = (simulate("edge-16x16", _trace(epochs)).total for epochs in (1, 4))
    for each in METRICS:
        if each.get(one):  # the first step of a run is cold: equal to some percent only
            assert each.of(four) / each.of(one) == pytest.approx(4**each.per_epoch, rel=0.1)


def test_training_is_the_rest_of_what_adds_up():
    assert all(each.kind is ADDITIVE for each in using(TRAINING))


@pytest.mark.parametrize(
    ("key", "label", "unit"),
    [
        ("edp_js", "energy-delay product", "J s"),
        ("wgrad_edp_js", "wgrad energy-delay product", "J s"),
        ("training_energy_j", "training energy", "J"),
        ("energy_p95_j", "energy p95", "J"),
        ("energy_dram_j", "DRAM energy", "J"),
        ("area_llc_mm2", "LLC area", "mm2"),
        ("memory_peak_bytes", "peak memory", "B"),
        ("bandwidth_bytes_per_s", "bandwidth", "B/s"),
        ("array_use", "array use", ""),
    ],
)
def test_a_column_says_what_it_holds(key, label, unit):
    assert (column_of(key).label, column_of(key).unit) == (label, unit)


def test_a_table_has_every_column_that_can_be_minimised(points):
    absent = tuple(f"{phase}_" for phase in Phase if phase not in ("forward", "wgrad", "eval"))
    expected = {key for key in minimisable() if not key.startswith(absent)}
    absent = (*RESOURCES, *OF_GOVERNOR, *OF_HEAT)  # edge-16x16 is no FPGA, and neither is described
    expected -= {each.key for each in absent}
    assert expected <= set(points.columns)
    assert {"edp_js", "eval_dram_read_bytes", "training_energy_j"} <= expected


def _lists_of_metrics(path: Path) -> list[int]:
    """Return the lines of literals that hold two keys of metrics or more."""
    keys = {row.key for row in TABLE}
    lines = []
    for node in ast.walk(ast.parse(path.read_text())):
        elements = getattr(node, "elts", None) or getattr(node, "keys", None) or ()
        texts = {each.value for each in elements if isinstance(each, ast.Constant)}
        if len(texts & keys) > 1:
            lines.append(node.lineno)
    return lines


_OF_OTHER_THINGS = {  # actions that are counted; rows of an op, a probe, a scenario, a page
    "activity.py", "results/saved.py", "results/op_rows.py", "probes/array.py",
    "scenario/result.py", "scenario/columns.py", "views/page/space_section.py",
    "views/page/run_section.py", "views/page/layer_rows.py", "views/page/cards.py",
}  # fmt: skip


def test_no_other_file_lists_metrics():
    root = Path(simulator.__file__).parent
    lists = {
        str(path.relative_to(root)): lines
        for path in sorted(root.rglob("*.py"))
        if path != Path(metrics.__file__) and (lines := _lists_of_metrics(path))
    }
    assert set(lists) <= _OF_OTHER_THINGS, lists


# --- the energy-delay product -------------------------------------------------------------------


def test_each_row_has_the_product_of_its_own_energy_and_latency(run):
    rows = [run["total"], *run["phases"], *run["layers"], *run["epochs"]]
    for row in rows:
        exact = Fraction(row["energy_aj"] * row["latency_ps"], 10**30)
        assert row["edp_js"] == pytest.approx(float(exact), rel=1e-15)
    assert sum(row["edp_js"] for row in run["phases"]) < run["total"]["edp_js"]


def test_per_epoch_it_is_the_product_of_both_per_epoch(points):
    row = points.row(0, named=True)
    energy, latency = (Measure(key).of(row) for key in ("energy_j", "latency_s"))
    assert row["epochs"] == 2
    assert Measure("edp_js").of(row) == pytest.approx(energy * latency, rel=1e-15)
    assert Measure("edp_js").label([row]) == "energy-delay product per epoch"


def test_a_sweep_has_it_in_its_table_and_its_csv(points, tmp_path):
    write_csv(points, tmp_path / "points.csv")
    lines = list(csv.DictReader((tmp_path / "points.csv").open()))
    for row, line in zip(points.iter_rows(named=True), lines, strict=True):
        for part in ("", "forward_", "wgrad_", "eval_"):
            product = row[f"{part}energy_j"] * row[f"{part}latency_s"]
            assert row[f"{part}edp_js"] == pytest.approx(product, rel=1e-15)
            assert float(line[f"{part}edp_js"]) == row[f"{part}edp_js"]


def test_conditions_and_the_best_may_ask_for_it(points):
    values = sorted(points["edp_js"])
    middle = values[len(values) // 2]
    assert where(points, [f"edp < {middle!r}"])["edp_js"].sort().to_list() == [
        value for value in values if value < middle
    ]
    assert where(points, ["edp = energy * latency"]).height == points.height
    assert best(points, "edp")["edp_js"] == values[0]
    assert best_in_samples(points, "edp") is not None


def test_it_is_an_objective_of_a_front(points):
    assert objectives_of("edp,area") == ("edp_js", "area_total_mm2")
    assert objectives_of("wgrad_edp") == ("wgrad_edp_js",)
    with pytest.raises(InputError, match="did you mean"):
        objectives_of("training_edp")
    pairs = points.select("edp_js", "area_total_mm2").rows()
    front = [not any(a <= x and b <= y and (a, b) != (x, y) for a, b in pairs) for x, y in pairs]
    assert points["pareto"].to_list() == front
    assert 0 < sum(front) < len(front)


def test_a_figure_draws_the_front_in_it(points):
    figure = front(drawable(points, ("edp_js", "area_total_mm2")))
    label = figure.axes[0].get_xlabel()
    assert label.startswith("energy-delay product per epoch (")
    assert label.endswith("J s)")


def test_samples_give_it_an_interval(points):
    (samples,) = draw([Subject(load_hardware("edge-16x16"), _trace())], 8)
    known = account(samples)
    for part in ("", "forward_"):
        columns = (samples.columns[f"{part}{key}"] for key in ("energy_j", "latency_s"))
        products = sorted(energy * latency for energy, latency in zip(*columns, strict=True))
        interval = interval_of(known, f"{part}edp_js")
        assert [interval["low"], interval["high"]] == pytest.approx([products[0], products[-1]])
        assert products[0] < interval["median"] < products[-1]
    low, median, high = (points[metric("edp_js").between(end)][0] for end in PERCENTILES)
    assert low <= median <= high
