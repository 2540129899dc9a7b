"""A unit that is known by its measured kernels alone: times, energy, contention, placement."""

import json
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from simulator import simulate
from simulator.activity import KERNEL_TIME, Action, Stage
from simulator.energy.price_file import read_table
from simulator.energy.prices import prices
from simulator.hardware import load_hardware
from simulator.hardware.kernel_file import read_kernels
from simulator.hardware.runtime import Rule
from simulator.hardware.shipped import CONFIGS
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import run_step
from simulator.replay import Replay
from simulator.results.recost import recost
from simulator.run_folder import save_run
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import sharing_of
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc
from tests.offload_study import LAYERS, training

XAVIER = "jetson-xavier-gpu-npu"
NAME = "gpu"
US = 10**6
ROWS = [
    {"op": "gemm", "m": 64, "n": 64, "k": 64, "time": "20 us"},
    {"op": "gemm", "m": 256, "n": 256, "k": 256, "time": "80 us"},
    {"op": "relu", "elements": 4096, "time": "5 us"},
    {"op": "elementwise", "elements": 65536, "time": "9 us"},
]


def board(folder, changes=(), rules=({"unit": NAME},), kernels=ROWS, **unit):
    """Return the default SoC with a measured unit."""
    raw = load_hardware("edge-16x16").as_text()
    raw["dram"].pop("device", None)
    own = {"kind": "measured", "kernels": kernels, "busy_power": "7 W", "static_power": "2 W"}
    driver = {"launch": "2 us", "synchronise": "3 us"}
    raw["units"] = {NAME: own | {"driver": driver} | unit}
    raw["runtime"]["rules"] = [*rules]
    path = folder / "measured.yaml"
    with path.open("w") as file:
        YAML().dump(raw, file)
    return load_hardware(path, changes)


def kernels_of(hardware, step, units=None):
    """Return the work of the measured unit in a step."""
    tasks, _ = Lowering(hardware).lower(step, Carry(), units)
    return [task.work for task in tasks if task.work.unit == NAME]


def alone_ps(work):
    return work.progress.duration_ps(WHOLE)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_study_takes_what_was_measured(layer):
    hardware = load_hardware(XAVIER)
    times = {
        kernel.op: kernel.time
        for kernel in read_kernels(CONFIGS / "kernels" / "jetson-xavier-gpu.csv")
        if kernel.source == f"ResNet-20 layer {layer.removeprefix('L')}"
    }
    works = kernels_of(hardware, training(layer).steps[0])
    assert [alone_ps(work) for work in works] == list(times.values())
    assert [work.mapping_reason for work in works] == ["measured"] * 3
    assert len({work.counts.macs for work in works}) == 1
    scaled = load_hardware(XAVIER, {"units.gpu.time_scale": "50 %"})
    halves = kernels_of(scaled, training(layer).steps[0])
    assert [2 * alone_ps(work) for work in halves] == list(times.values())


def test_an_op_goes_by_its_name_before_its_kind(tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.tensor(64, 64))
    builder.elementwise(builder.tensor(256, 256))
    builder.ops[1] = replace(builder.ops[1], name="aten.add_.Tensor")
    works = kernels_of(board(tmp_path), builder.step())
    assert [(work.stage, alone_ps(work)) for work in works] == [
        (Stage.OP, 5 * US), (Stage.OP, max(9 * US, works[1].memory_ps)),
    ]  # fmt: skip


def test_it_takes_the_formats_and_kernels_of_its_table_alone(tmp_path):
    builder = StepBuilder()
    half = builder.tensor(64, 64, dtype="float16")
    builder.elementwise(half)
    builder.elementwise(builder.tensor(64, 64))
    builder.gemm(64, 64, 64, a=half)
    builder.ops[2] = replace(builder.ops[2], inputs=(half, half))
    builder.gemm(64, 64, 64, batch=2)
    fused = replace(builder.ops[3].gemms[0], batch=1, c=-1)
    builder.ops.append(replace(builder.ops[3], gemms=(fused,)))
    works = kernels_of(board(tmp_path), builder.step())
    assert [(work.stage, work.batch) for work in works] == [(Stage.OP, 0), (Stage.GEMM, 2)]


def test_it_leaves_what_would_have_to_be_converted(tmp_path):
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    both = [*ROWS, ROWS[0] | {"format": "fp16"}]
    rules = [{"unit": NAME, "precision": "fp16"}]
    assert kernels_of(board(tmp_path, rules=rules, kernels=both), builder.step()) == []
    builder.ops[0] = replace(
        builder.ops[0], gemms=(replace(builder.ops[0].gemms[0], precision="fp16"),)
    )
    assert kernels_of(board(tmp_path, kernels=both), builder.step()) == []


def test_without_a_rule_it_takes_what_the_array_leaves(tmp_path):
    """Units are asked in their order: the array has GEMMs, the unit measured ops."""
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    result = Replay(board(tmp_path, rules=()), one_step_trace(builder)).run()
    assert {row["op"] for row in result.ops if row["unit"] == NAME} == {"aten.relu.default"}
    assert result.total["accelerator_busy_s"] > 0


@pytest.mark.parametrize("fusion", ["none", "epilogue", "chains"])
def test_fusion_leaves_its_kernels_as_they_were_measured(fusion, tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.elementwise(builder.gemm(64, 64, 64)))
    hardware = board(tmp_path, {"runtime.fusion": fusion})
    result = Replay(hardware, one_step_trace(builder)).run()
    assert result.total[f"{NAME}_busy_s"] == pytest.approx(30e-6, rel=1e-12)
    assert "notes" not in result.as_dict()["provenance"]


def test_the_host_launches_each_kernel_and_awaits_what_it_reads(tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    builder.elementwise(builder.ops[-1].outputs[0])
    units = [NAME, NAME, "cpu"]
    tasks, _ = Lowering(board(tmp_path)).lower(builder.step(), Carry(), units)
    stages = [task.work.stage for task in tasks if task.work.stage is not Stage.BEGIN]
    assert stages == [
        Stage.LAUNCH, Stage.GEMM, Stage.LAUNCH, Stage.OP, Stage.SYNCHRONISE, Stage.OP,
    ]  # fmt: skip


def test_traffic_and_energy_are_exact(tmp_path):
    """64 x 64 x 64 in fp32 reads two and writes one matrix of 16 KiB; 20 us at 7 W are 140 uJ."""
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    hardware = board(tmp_path)
    replayed = Replay(hardware, one_step_trace(builder, 3))
    result = replayed.run()
    (work,) = kernels_of(hardware, builder.step())
    assert (work.counts.dram_read_bytes, work.counts.dram_write_bytes) == (32768, 16384)
    assert work.counts[Action(NAME, KERNEL_TIME)] == alone_ps(work) == 20 * US
    assert result.prices.dynamic_aj[Action(NAME, KERNEL_TIME)] == 7_000_000
    energy = result.total["energy_by_component_j"][NAME]
    assert energy == pytest.approx(3 * 140e-6 + 2 * result.total["latency_s"], rel=1e-12)
    assert result.total[f"{NAME}_busy_s"] == pytest.approx(60e-6, rel=1e-12)
    assert result.total["macs"] == 3 * 64**3
    save_run(replayed, result, tmp_path / "run")
    table = tmp_path / "dearer.yaml"
    table.write_text(f"units: {{{NAME}: {{dynamic: {{{KERNEL_TIME}: 8 pJ}}}}}}\n")
    dearer = recost(tmp_path / "run", read_table(table)).total["energy_aj"]
    assert dearer - result.total["energy_aj"] == 3 * 20 * US * 10**6


def test_the_ends_of_its_energy_are_the_ranges_of_its_powers():
    found = prices(load_hardware(XAVIER))
    ends = [found.low, found, found.high]
    assert [end.dynamic_aj[Action(NAME, KERNEL_TIME)] for end in ends] == [4 * US, 8 * US, 15 * US]
    assert [end.static_uw[NAME] for end in ends] == [300_000, 1_000_000, 3_000_000]


def test_a_memory_too_slow_for_its_bytes_is_the_limit(tmp_path):
    """48 KiB through a port of 1 B at 1 GHz take 49.152 us, more than the 20 us measured."""
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    (work,) = kernels_of(board(tmp_path, port={"width": "1 B"}), builder.step())
    assert alone_ps(work) == work.counts[Action(NAME, KERNEL_TIME)] == 49_152_000


def test_contention_lengthens_a_kernel_by_its_traffic_and_conserves_it(tmp_path):
    """The array and the unit move at once: bytes are the same, no kernel is shorter than alone, and
    one whose traffic fits beside the other's is no longer.
    """
    fast = [{"op": "elementwise", "elements": 2**20, "time": "1 us"}]
    slow = [{"op": "elementwise", "elements": 2**20, "time": "100 ms"}]
    builder = StepBuilder()
    builder.gemm(512, 256, 16)
    builder.elementwise(builder.tensor(2048, 512))
    units = ["accelerator", NAME]
    longer = {}
    for name, kernels in (("fast", fast), ("slow", slow)):
        settings = {"runtime.issue": "dataflow", "runtime.conversions": "unit"}
        hardware = board(tmp_path, settings, kernels=kernels)
        tasks, _ = Lowering(hardware).lower(builder.step(), Carry(), units)
        run = run_step(tasks, "dataflow", sharing=sharing_of(hardware), record=True)
        (at,) = [i for i, task in enumerate(tasks) if task.work.unit == NAME]
        work, span = tasks[at].work, run.spans[at]
        moved_ps = sum(flow.channel_ps for flow in run.flows if flow.task == at)
        assert moved_ps == pytest.approx(work.progress.channel_ps, abs=len(run.flows))
        longer[name] = span.end_ps - span.start_ps - alone_ps(work)
    assert longer["fast"] > 0
    assert longer["slow"] == 0


def test_a_result_says_how_many_kernels_were_not_measured(tmp_path):
    builder = StepBuilder()
    for n in (64, 128, 256, 512, 1024):
        builder.gemm(n, n, n)
    result = Replay(board(tmp_path), one_step_trace(builder, 2)).run()
    (note,) = result.as_dict()["provenance"]["notes"]
    reasons = {row["m"]: row["mapped"] for row in result.ops if row["unit"] == NAME}
    assert [*reasons.values()] == ["measured", "between", "measured", "outside", "outside"]
    times_us = [20, 40, 80, 640, 5120]  # in between isqrt of 20 and 80 x 8, 80 / 8 or the best rate
    share = 100 * (640 + 5120) / sum(times_us)
    assert note.startswith("Of 10 kernels on gpu, 2 lie between the rows of its table (")
    assert f"and 4 lie outside the range of its table ({share:.1f} % of its busy time)" in note
    all_measured = StepBuilder()
    all_measured.gemm(64, 64, 64)
    other = Replay(board(tmp_path), one_step_trace(all_measured)).run()
    assert "notes" not in other.as_dict()["provenance"]


def test_a_run_prints_what_was_not_measured(tmp_path):
    board(tmp_path)
    shown = trainsoc("run", str(tmp_path / "measured.yaml"), "mlp_digits", "--samples", "0")
    assert "kernels on gpu" in " ".join(shown.stdout.split())


def test_show_has_its_settings_and_json_its_rows():
    shown = trainsoc("show", XAVIER).stdout
    assert "    busy_power:\n      value: 8 W\n" in shown[shown.index("\n  gpu:\n") :]
    document = json.loads(trainsoc("show", XAVIER, "--json").stdout)
    kernels = document["units"][NAME]["kernels"]
    assert len(kernels) == 15
    assert {"op", "m", "n", "k", "time_ps"} <= kernels[0].keys()


def placed_on(unit):
    """Return the Xavier with all that `unit` takes on it, the rest on its host."""
    hardware = load_hardware(XAVIER)
    rules = {"rules": (Rule(unit=unit),)}
    return hardware.model_copy(update={"runtime": hardware.runtime.model_copy(update=rules)})


@pytest.mark.parametrize("layer", LAYERS)
def test_a_search_finds_what_no_placement_on_gpu_npu_or_cpu_beats(layer):
    trace = training(layer)
    totals = {
        unit: Replay(placed_on(unit), trace).run().total for unit in ("cpu", "accelerator", NAME)
    }
    busy = {name: total[f"{NAME}_busy_s"] for name, total in totals.items()}
    assert busy["cpu"] == busy["accelerator"] == 0 < busy[NAME]
    assert totals["accelerator"]["accelerator_busy_s"] > 0
    for aim, metric in (("fastest", "latency_ps"), ("frugal", "energy_aj")):
        best = simulate(XAVIER, trace, {"runtime.placement": aim}).total
        assert best[metric] <= min(total[metric] for total in totals.values())


def test_a_faster_gpu_is_chosen_once_it_pays():
    """A search moves the layer to the GPU where its times shrink enough, and back where not."""
    trace = training("L8-12")
    busy = {}
    for scale in ("1 %", "1000 %"):
        settings = {"runtime.placement": "fastest", "units.gpu.time_scale": scale}
        cheap = {"units.gpu.driver.launch": "1 us", "runtime.launch": "5 ms"}
        busy[scale] = simulate(XAVIER, trace, settings | cheap).total[f"{NAME}_busy_s"]
    assert busy["1 %"] > 0
    assert busy["1000 %"] == 0
