"""What `import trainsoc` offers: names, representations, and what runs can be asked."""

import json
import subprocess
import sys

import polars as pl
import pytest

import trainsoc
from simulator.html import html_table
from simulator.results.result import read_result
from simulator.trace.trace import StepKind
from tests.command_line import trainsoc as command


@pytest.fixture(scope="module")
def run():
    return trainsoc.simulate("edge-16x16", "mlp_digits", baseline="cpu-only")


def test_every_name_is_there_and_listed():
    assert set(dir(trainsoc)) >= set(trainsoc.__all__)
    for name in trainsoc.__all__:
        assert getattr(trainsoc, name) is not None
    with pytest.raises(AttributeError, match="did you mean simulate"):
        _ = trainsoc.simulat


def test_it_is_imported_in_no_time_and_capture_needs_no_torch_until_it_is_called():
    code = (
        "import sys, trainsoc; own = {m for m in sys.modules if m.startswith('simulator')};"
        "trainsoc.capture; trainsoc.names(); heavy = {'torch', 'polars', 'matplotlib'};"
        "print(sorted(own), sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_another_package_called_simulator_is_named(tmp_path):
    (tmp_path / "simulator").mkdir()
    (tmp_path / "simulator" / "__init__.py").touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import trainsoc; trainsoc.plot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"another package named simulator ({tmp_path}" in done.stderr


def test_names_are_of_what_ships():
    names = trainsoc.names()
    assert "edge-16x16" in names["hardware"]
    assert {"lenet_digits", "mlp_digits"} <= {*names["traces"]}
    assert "int8" in names["methods"]


def test_representations_take_a_line(run):
    trace = trainsoc.load_trace("lenet_digits")
    for thing in (run, run.verdict, trace, trace.steps[0], run.hardware):
        assert "\n" not in repr(thing)
        assert len(repr(thing)) < 200
        assert str(thing) == repr(thing)
    assert "61,706 parameters" in repr(trace)
    assert "16 x 16 int8 at 1 GHz" in repr(run.hardware)
    for thing in (run, run.verdict, trace, run.hardware):
        html = thing._repr_html_()
        assert html.count("<tr>") == html.count("</tr>") >= 3
        assert "<script" not in html


def test_html_escapes_what_it_shows_and_counts_what_it_does_not():
    html = html_table("<b>", ("a",), [("<script>",)] * 60)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "and 10 more" in html


def test_properties_are_the_sums_of_the_document(run):
    document = run.as_dict()
    epochs = document["epochs_simulated"]
    assert run.energy_per_epoch_j == pytest.approx(document["total"]["energy_j"] / epochs)
    assert run.time_per_epoch_s == pytest.approx(document["total"]["latency_s"] / epochs)
    trains = sum(row["latency_s"] for row in document["phases"] if row["phase"] != "eval")
    steps = run.trace.count(StepKind.TRAIN)
    assert run.time_per_step_s <= document["total"]["latency_s"] / steps
    assert run.time_per_step_s == pytest.approx(trains / steps, rel=0.05)  # a few are of no step


def test_tables_add_up(run):
    total = run.total
    for by in ("phase", "layer", "epoch"):
        table = run.table(by)
        assert isinstance(table, pl.DataFrame)
        assert sum(map(int, table["energy_aj"])) == total["energy_aj"]
        energies = [f"energy_{name}_j" for name in total["energy_by_component_j"]]
        parts = table.select(pl.sum_horizontal(energies))
        assert parts.to_series().sum() == pytest.approx(total["energy_j"], rel=0.01)
    ops = run.table("op").select((pl.col("attributed_s") * pl.col("count")).sum()).item()
    assert ops == pytest.approx(total["latency_s"])
    with pytest.raises(trainsoc.InputError, match="phase or layer"):
        run.table("phases")


def test_the_verdict_is_that_of_the_command_line(run):
    own = json.loads(command("run", "edge-16x16", "mlp_digits", "--baseline", "cpu-only",
                             "--samples", 0, "--json").stdout)  # fmt: skip
    assert run.verdict.document == own["verdict"]
    assert run.verdict.speedup == pytest.approx(
        run.baseline.total["latency_s"] / run.total["latency_s"]
    )
    assert run.verdict.table().height == len(own["verdict"]["phases"])
    assert run.baseline.against(run).speedup == pytest.approx(1 / run.verdict.speedup)
    assert run.baseline.verdict is None


def test_a_method_is_laid_over_the_trace():
    dense = trainsoc.simulate("edge-16x16", "mlp_digits")
    half = trainsoc.simulate("edge-16x16", "mlp_digits", method="half-dense")
    assert half.total["macs"] < dense.total["macs"]
    assert "half-dense" in repr(half)


def test_a_run_is_saved_as_the_command_line_saves_it(run, tmp_path):
    run.save(tmp_path / "own")
    assert read_result(tmp_path / "own")["total"] == run.total
    assert read_result(tmp_path / "own" / "baseline")["hardware"] == "cpu-only"
    command("run", "edge-16x16", "mlp_digits", "--samples", 0, "-o", tmp_path / "theirs")
    ours, theirs = ({path.name for path in (tmp_path / each).iterdir()} - {"baseline"}
                    for each in ("own", "theirs"))  # fmt: skip
    assert ours == theirs
    run.baseline.save(tmp_path / "own")
    assert not (tmp_path / "own" / "baseline").exists()
    events = json.loads(run.timeline(tmp_path / "timeline.json").read_text())["traceEvents"]
    assert len(events) > 10


def test_a_report_is_one_page(run, tmp_path):
    page = run.report(tmp_path / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert run.verdict.sentence.split(":")[0] in page


def test_figures_have_names(run):
    figure = run.plot("roofline")
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(trainsoc.InputError, match="did you mean roofline"):
        run.plot("rooflin")
    with pytest.raises(trainsoc.InputError, match="nothing to show"):
        run.plot("decides")


@pytest.mark.parametrize(("settings", "path", "value"), [
    ({"rows": 32}, "accelerator.rows", 32),
    ({"gemm_efficiency": "40 %"}, "cpu.gemm_efficiency", 400),
    ({"preset": "ideal"}, "dram.preset", "ideal"),
])  # fmt: skip
def test_settings_by_their_last_name(settings, path, value):
    part, _, name = path.partition(".")
    changed = trainsoc.load_hardware("edge-16x16").having(**settings)
    assert getattr(getattr(changed, part), name) == value


def test_settings_of_further_units_have_short_names_too():
    soc = trainsoc.load_hardware("jetson-xavier-gpu-npu")
    assert soc.having(time_scale="50 %").further["gpu"].time_scale == 500
    assert soc.having({"units.gpu.time_scale": "50 %"}) == soc.having(time_scale="50 %")


@pytest.mark.parametrize(("settings", "words"), [
    ({"rws": 32}, "did you mean accelerator.rows?"),
    ({"clock": "1 GHz"}, "clock may be cpu.clock or accelerator.clock or interconnect.clock"),
    ({"rows": 32, "accelerator.rows": 16}, "given twice"),
    ({"rows": -1}, "rows"),
])  # fmt: skip
def test_what_is_no_setting_is_said_with_what_is(settings, words):
    with pytest.raises(trainsoc.InputError) as refusal:
        trainsoc.load_hardware("edge-16x16").having(settings)
    assert words in str(refusal.value)


def test_a_table_becomes_one_of_pandas(run):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert list(run.table().to_pandas()["phase"]) == run.table()["phase"].to_list()
