"""Products whose batch several units share: parts run side by side, and the host joins them."""

import pytest
from ruamel.yaml import YAML

from simulator.activity import Stage
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.runtime import BatchSplit
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay, as_trace
from simulator.timing.shares import WHOLE
from tests.builders import StepBuilder, one_step_trace
from tests.offload_study import training

XAVIER = "jetson-xavier-gpu-npu"


def split(hardware, **shares):
    """Return `hardware` with every product split so."""
    parts = [{"unit": unit, "share": share} for unit, share in shares.items()]
    runtime = {"split": (BatchSplit.model_validate({"parts": parts}),)}
    return hardware.model_copy(update={"runtime": hardware.runtime.model_copy(update=runtime)})


def tasks_of(hardware, step):
    return Lowering(hardware).lower(step, Carry())[0]


def twins(folder, **settings):
    """Return the default SoC with a second accelerator of the same kind, which computes in fp32."""
    path = folder / "twins.yaml"
    if not path.exists():
        raw = load_hardware("edge-16x16", {"accelerator.precision": "fp32"}).as_text()
        raw["dram"].pop("device", None)
        port = {"width": "16 B"}
        driver = {"launch": raw["runtime"]["launch"], "synchronise": raw["runtime"]["synchronise"]}
        raw["units"] = {
            "npu": raw["accelerator"] | {"kind": "array", "port": port, "driver": driver}
        }
        with path.open("w") as file:
            YAML().dump(raw, file)
    return load_hardware(path, settings)


def test_one_unit_s_share_is_the_whole_as_a_rule_places_it():
    trace = training("L8-12")
    alone = split(load_hardware(XAVIER), gpu=5)
    ruled = load_hardware(XAVIER)  # whose rules give convolutions to the GPU
    results = [Replay(each, trace).run().total for each in (alone, ruled)]
    assert results[0] == results[1]


@pytest.mark.parametrize("trace", ["mlp_digits", "lenet_digits"])
@pytest.mark.parametrize("shares", [(1, 1), (3, 1), (1, 9)])
def test_macs_are_those_of_the_whole(trace, shares, tmp_path):
    first, second = shares
    whole = Replay(twins(tmp_path), as_trace(trace)).run().total
    parts = Replay(split(twins(tmp_path), accelerator=first, npu=second), as_trace(trace)).run()
    assert parts.total["macs"] == whole["macs"]
    assert parts.total["npu_busy_s"] > 0 < parts.total["accelerator_busy_s"]
    assert sum(row["latency_s"] for row in parts.phases) == pytest.approx(parts.total["latency_s"])


def gemms(hardware, step):
    return [task for task in tasks_of(hardware, step) if task.work.stage is Stage.GEMM]


def test_equal_units_compute_halves_at_the_same_time(tmp_path):
    """Half of a product's rows on each of two equal arrays beside an ideal memory: 1024 x 512 x 512
    MACs at 8 cycles each on 256 elements at 1 GHz are 8.39 ms, and half of it, within 2 %: each
    command fills the array anew. The second part adds a dispatch and a launch.
    """
    slow = {f"{unit}.cycles_per_mac.fp32": 8 for unit in ("accelerator", "units.npu")}
    slow["dram.preset"] = "ideal"
    builder = StepBuilder()
    builder.gemm(1024, 512, 512)
    alone, together = twins(tmp_path, **slow), split(twins(tmp_path, **slow), accelerator=1, npu=1)
    (whole,) = gemms(alone, builder.step())
    first, second = gemms(together, builder.step())
    assert (first.work.unit, second.work.unit) == ("accelerator", "npu")
    assert first.work.m == second.work.m == 512
    assert whole.work.compute_ps / 1e9 == pytest.approx(8.39, rel=0.02)
    assert first.work.compute_ps == second.work.compute_ps
    assert first.work.compute_ps / 1e9 == pytest.approx(8.39 / 2, rel=0.02)
    ms = [
        1e3 * Replay(each, one_step_trace(builder)).run().total["latency_s"]
        for each in (alone, together)
    ]
    assert ms[0] - ms[1] == pytest.approx(8.39 / 2, rel=0.02)


def test_the_host_awaits_all_parts_before_the_next_op(tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    tasks = tasks_of(split(twins(tmp_path), accelerator=1, npu=1, cpu=2), builder.step())
    parts = [i for i, task in enumerate(tasks) if task.work.stage is Stage.GEMM]
    assert [tasks[i].work.unit for i in parts] == ["accelerator", "npu", "cpu"]
    assert [tasks[i].work.m for i in parts] == [16, 16, 32]
    assert not any(set(tasks[i].waits) & set(parts) for i in parts)
    (after,) = [task for task in tasks if task.work.stage is Stage.OP]
    (joined,) = [i for i in after.waits if tasks[i].work.stage is Stage.SYNCHRONISE]
    assert tasks[joined].work.progress.duration_ps(WHOLE) == 0
    assert set(parts) <= set(tasks[joined].waits)


def test_what_the_host_s_cache_has_of_its_part_is_flushed(tmp_path):
    """32 of 64 rows of 64 floats are the host's: 8 KiB that another unit may read next."""
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    tasks = tasks_of(split(twins(tmp_path), npu=1, cpu=1), builder.step())
    (flush,) = [task for task in tasks if task.work.stage is Stage.FLUSH]
    assert flush.work.counts.dram_write_bytes == 32 * 64 * 4
    assert tasks.index(flush) in tasks[-1].waits


def test_gradients_of_weights_are_summed_on_the_host_with_their_traffic(tmp_path):
    """Two parts of 32 x 32 x 3 x 3 in fp32 are read, one is written: 3 x 36,864 B."""
    trace = training("L8-12")
    hardware = twins(tmp_path, **{"cpu.llc.size": "0 B"})
    tasks = tasks_of(split(hardware, accelerator=1, npu=1), trace.steps[0])
    (total,) = [task for task in tasks if task.work.stage is Stage.REDUCE]
    assert (total.work.unit, total.phase.value) == ("cpu", "wgrad")
    counts = total.work.counts
    assert (counts.dram_read_bytes, counts.dram_write_bytes) == (2 * 36864, 36864)
    rows = [task.work for task in tasks if task.work.stage is Stage.GEMM]
    wgrads = [work for work in rows if work.m == 32]
    assert [(work.unit, work.k) for work in wgrads] == [("accelerator", 4096), ("npu", 4096)]


def test_gpu_and_npu_share_a_layer():
    """At shares that balance them both are busy, and the MACs are those of the layer."""
    trace = training("L8-12")
    hardware = split(load_hardware(XAVIER), accelerator=24, gpu=8)
    result = Replay(hardware, trace).run()
    assert result.total["gpu_busy_s"] > 0 < result.total["accelerator_busy_s"]
    assert result.total["macs"] == 3 * 32 * 288 * 8192
    assert result.as_dict()["precision"]["executed"] == ["fp16", "fp32"]
    assert result.as_dict()["provenance"]["notes"]  # a part of a batch is in no table


def test_a_fused_op_is_split_at_its_product(tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    hardware = split(twins(tmp_path, **{"runtime.fusion": "chains"}), accelerator=1, npu=1)
    result = Replay(hardware, one_step_trace(builder)).run()
    assert result.total["macs"] == 64**3
    assert [row["op"] for row in result.ops if row["stage"] == "op"] == ["aten.relu.default"]
    assert result.as_dict()["fusion"]["groups"] == []


def test_a_mistake_names_its_path(tmp_path):
    twins(tmp_path)
    path = tmp_path / "twins.yaml"
    raw = YAML(typ="safe").load(path)
    for parts, message in (
        ([{"unit": "gpu", "share": 1}], r"runtime\.split\.0\.parts\.0\.unit: no unit 'gpu'"),
        ([{"unit": "npu", "share": 0}], r"runtime\.split\.0\.parts\.0\.share: 0: input should be"),
        ([{"unit": "npu", "share": 1}] * 2, r"npu has two shares: give it their sum"),
        ([], r"runtime\.split\.0\.parts: \[\]: .* at least 1 item"),
    ):
        raw["runtime"]["split"] = [{"parts": parts}]
        with path.open("w") as file:
            YAML().dump(raw, file)
        with pytest.raises(InputError, match=message):
            load_hardware(path)


def test_a_machine_without_a_split_says_nothing_of_it():
    assert "split" not in load_hardware("edge-16x16").plain()["runtime"]
