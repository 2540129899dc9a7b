"""A unit of a kind that a package outside `simulator` adds: it takes ReLU from the CPU.

Its busy time, bytes, energy and interference appear wherever those of CPU and accelerator do.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator import load_hardware, simulate, sweep
from simulator.activity import Action, Stage
from simulator.energy.price_file import read_table
from simulator.errors import InputError
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import run_step
from simulator.replay import Replay
from simulator.results.constants import constants_document
from simulator.results.recost import recost
from simulator.results.result import read_result
from simulator.run_folder import save_run
from simulator.si import si
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import sharing_of
from simulator.trace.storage import save_trace
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw
from simulator.views.plots.bars import energy_per_phase
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc

PACKAGE = Path(__file__).parent / "package"
UNITS = """
units:
  relu:
    kind: relu
    lanes: 16
    clock: 1 GHz
    energy: 2 pJ
    static_power: 3 mW
    port: {width: 8 B}
    driver: {launch: 1 us, synchronise: 2 us}
"""
ROWS, COLS = 512, 256
ELEMENTS = ROWS * COLS


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Let the package be found as an installed one is, also by processes that are started."""
    monkeypatch.syspath_prepend(PACKAGE)
    paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def soc(tmp_path):
    path = tmp_path / "three.yaml"
    path.write_text((Path("hwconfigs") / "edge-16x16.yaml").read_text() + UNITS)
    return path


def trace(repeats=1):
    builder = StepBuilder()
    x = builder.gemm(ROWS, COLS, 64)
    builder.elementwise(x)
    return one_step_trace(builder, repeats)


def test_busy_time_bytes_and_energy_are_the_unit_s_own(soc):
    result = simulate(soc, trace(repeats=3))
    total, alone = result.total, simulate("edge-16x16", trace(repeats=3)).total
    rows = [row for row in result.ops if row["unit"] == "relu"]
    moved = 2 * 4 * ELEMENTS
    least_s = max(ELEMENTS / 16 / 1e9, moved / 8e9)  # lanes, or the port of 8 bytes at 1 GHz
    for row in rows:
        assert (row["stage"], row["dram_read_bytes"]) == ("op", moved / 2)
        assert row["end_s"] - row["start_s"] == pytest.approx(least_s, rel=1e-9)
    assert sum(row["count"] for row in rows) == 3
    assert total["relu_busy_s"] == pytest.approx(3 * least_s, rel=1e-9)
    by_master = total["bandwidth_by_master_bytes_per_s"]
    assert by_master["relu"] * total["latency_s"] == pytest.approx(3 * moved)
    assert sum(by_master.values()) == pytest.approx(total["bandwidth_bytes_per_s"])
    energy = total["energy_by_component_j"]
    assert energy["relu"] == pytest.approx(
        3 * ELEMENTS * 2e-12 + 3e-3 * total["latency_s"], rel=1e-9
    )
    assert sum(energy.values()) == pytest.approx(total["energy_j"])
    assert total["cpu_busy_s"] < alone["cpu_busy_s"]
    assert total["macs"] == alone["macs"]


def test_the_host_launches_it_and_awaits_it_before_it_reads(soc):
    builder = StepBuilder()
    builder.elementwise(builder.elementwise(builder.tensor(ROWS, COLS)))
    builder.ops[1] = replace(builder.ops[1], name="aten.neg.default")
    tasks, _ = Lowering(load_hardware(soc)).lower(builder.step(), Carry())
    (relu,) = [i for i, task in enumerate(tasks) if task.work.unit == "relu"]
    launch = tasks[tasks[relu].waits[-1]]
    assert launch.work.stage is Stage.LAUNCH
    awaiting = [t for t in tasks if t.work.stage is Stage.SYNCHRONISE and relu in t.waits]
    assert [task.work.overhead_ps for task in awaiting] == [2_000_000]


def test_it_and_the_array_disturb_each_other(soc):
    """Both move at once: each is slower than alone by what the memory loses to the mixture."""
    hardware = load_hardware(soc, {"runtime.issue": "dataflow", "runtime.conversions": "unit"})
    builder = StepBuilder()
    builder.gemm(ROWS, COLS, 16)
    builder.elementwise(builder.tensor(2048, 512))
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    disturbed = run_step(tasks, "dataflow", sharing=sharing_of(hardware), record=True)
    undisturbed = run_step(tasks, "dataflow")
    ends = {}
    for name, run in (("with", disturbed), ("without", undisturbed)):
        ends[name] = {
            task.work.unit: span.end_ps - span.start_ps
            for task, span in zip(tasks, run.spans, strict=True)
            if task.work.unit != "cpu"
        }
    alone = {t.work.unit: t.work.progress.duration_ps(WHOLE) for t in tasks}
    assert ends["with"]["relu"] > ends["without"]["relu"] >= alone["relu"]
    assert {flow.unit for flow in disturbed.flows} >= {"relu", "accelerator"}


def test_its_prices_are_written_and_laid_over_a_finished_run(soc, tmp_path):
    replay = Replay(load_hardware(soc), trace())
    result = replay.run()
    save_run(replay, result, tmp_path / "run", ops=True)
    step = json.loads((tmp_path / "run" / "step.json").read_text())
    assert {task["unit"] for task in step["tasks"]} == {"cpu", "accelerator", "relu"}
    action = Action("relu", "lane_ops")
    assert action.key == "relu.lane_ops"
    assert result.prices.dynamic_aj[action] == 2 * 10**6
    table = tmp_path / "dearer.yaml"
    table.write_text("units: {relu: {dynamic: {lane_ops: 5 pJ}}}\n")
    after = recost(tmp_path / "run", read_table(table))
    dearer = after.total["energy_aj"] - result.total["energy_aj"]
    assert dearer == 3 * 10**6 * ELEMENTS
    same = recost(tmp_path / "run", read_table(tmp_path / "run" / "energy.yaml"))
    assert same.to_json(ops=True) == result.to_json(ops=True)
    table.write_text("units: {relu: {dynamic: {lane_op: 5 pJ}}}\n")
    with pytest.raises(InputError, match="no action 'lane_op'; known: lane_ops"):
        recost(tmp_path / "run", read_table(table))


def test_rules_and_the_search_know_it(soc):
    on_cpu = {"unit": "cpu", "op": "aten.relu*"}
    hardware = load_hardware(soc)
    ruled = hardware.model_copy(
        update={"runtime": hardware.runtime.model_copy(update={"rules": (_rule(on_cpu),)})}
    )
    assert "relu" not in {row["unit"] for row in Replay(ruled, trace()).run().ops}
    fastest = load_hardware(soc, {"runtime.placement": "fastest"})
    found = Replay(fastest, trace()).run()
    fixed = [Replay(each, trace()).run().total["latency_ps"] for each in (hardware, ruled)]
    assert found.total["latency_ps"] <= min(fixed)


def _rule(values):
    from simulator.hardware.runtime import Rule

    return Rule(**values)


def test_a_sweep_over_its_lanes(soc, tmp_path):
    table = sweep({"units.relu.lanes": [1, 16]}, trace(), hardware=soc, workers=2, out=tmp_path)
    rows = table.sort("units.relu.lanes").to_dicts()
    slow, fast = (row["relu_busy_s"] for row in rows)
    assert slow == pytest.approx(ELEMENTS / 1e9, rel=1e-6)
    assert fast == pytest.approx(2 * 4 * ELEMENTS / 8e9, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "kind: relu",
            "units.relu.kind: no kind of unit 'vectors'; known: array, cpu, dsp, measured, relu",
        ),
        ("lanes: 16", "units.relu: lanes: "),
        ("clock: 1 GHz", "units.relu: clocks: unknown key; did you mean clock?"),
    ],
)
def test_a_wrong_description_is_one_sentence(soc, change, says):
    wrong = {"kind: relu": "kind: vectors", "lanes: 16": "lanes: none", "clock: 1 GHz": "clocks: 1"}
    soc.write_text(soc.read_text().replace(change, wrong[change]))
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        load_hardware(soc)


def test_its_numbers_have_ranges_and_sources_which_samples_draw(soc):
    text = soc.read_text().replace(
        "    energy: 2 pJ\n", "    energy: {value: 2 pJ, range: 1 pJ .. 4 pJ, source: a guess}\n"
    )
    soc.write_text(text.replace("    lanes: 16\n", "    lanes: 16  # measured: counted\n"))
    hardware = load_hardware(soc, {"units.relu.static_power": "{value: 4 mW, range: x0.5 .. x2}"})
    known = {row["path"]: row for row in constants_document(hardware)}
    energy, lanes = known["units.relu.energy"], known["units.relu.lanes"]
    assert [energy[f"{end}_text"] for end in ("low", "value", "high")] == ["1 pJ", "2 pJ", "4 pJ"]
    assert (energy["kind"], energy["unit"]) == ("guess", "aj")
    assert (lanes["kind"], lanes["value_text"]) == ("measured", "16")
    assert known["units.relu.static_power"]["high_text"] == "8 mW"
    (samples,) = draw([Subject(hardware, trace())], 8, 1)
    assert not samples.reasons
    assert len(set(samples.draws["units.relu.energy"])) == 8
    assert min(samples.draws["units.relu.energy"]) >= 10**6


def test_tables_and_figures_show_it(soc, tmp_path):
    shown = trainsoc("show", soc).stdout
    own = [line.strip() for line in shown[shown.index("  relu:\n    kind: relu\n") :].splitlines()]
    assert {"lanes: 16", "clock: 1 GHz", "energy: 2 pJ", "static_power: 3 mW"} <= {*own}
    path = tmp_path / "one.trace"
    save_trace(trace(), path)
    done = trainsoc("run", soc, path, "-o", tmp_path / "run", "--samples", 0, "--wide")
    result = read_result(tmp_path / "run")
    spent = result["total"]["energy_by_component_j"]["relu"]
    header, total = (
        next(line for line in done.stdout.splitlines() if line.lstrip().startswith(start))
        for start in ("latency", "total")
    )
    assert total[: header.index("relu") + len("relu")].endswith(f"   {si(spent, 'J')}")
    figure = energy_per_phase({"three": result})
    (key,) = figure.legends
    colours = {
        text.get_text(): patch.get_facecolor()
        for text, patch in zip(key.get_texts(), key.get_patches(), strict=True)
    }
    assert len(set(colours.values())) == len(colours)
    bars = [bar for bar in figure.axes[0].patches if bar.get_facecolor() == colours["relu"]]
    factor = {"(uJ)": 1e-6, "(mJ)": 1e-3, "(J)": 1}[figure.axes[0].get_xlabel().split()[-1]]
    assert sum(bar.get_width() for bar in bars) * factor == pytest.approx(spent, rel=1e-6)


def test_the_command_line_takes_it(soc):
    done = subprocess.run(
        [sys.executable, "-m", "simulator.cli", "run", str(soc), "mlp_digits", "--json",
         "--set", "units.relu.lanes=4"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["total"]["relu_busy_s"] > 0
