"""A further CPU: its kernels are those of a host, its launch, energy and turns its own."""

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from simulator.activity import CPU_CYCLES, Action, Stage
from simulator.energy import prices
from simulator.energy.area import areas
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.lowering.lower import Carry, Lowering
from simulator.lowering.outline import outline_of
from simulator.lowering.requests import Requests
from simulator.replay import Replay, as_trace
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import requests_in_flight
from tests.builders import StepBuilder, one_step_trace

NAME = "little"
LAUNCH_PS = 2_000_000


def two_clusters(folder, changes=(), rules=(), **further):
    """Return the default SoC with a second cluster of the same cores."""
    raw = load_hardware("edge-16x16").as_text()
    raw["dram"].pop("device", None)
    driver = {"launch": "2 us", "synchronise": "3 us"}
    port = {"width": raw["interconnect"].get("cpu_width", raw["interconnect"]["width"])}
    raw["units"] = {NAME: raw["cpu"] | {"kind": "cpu", "driver": driver, "port": port} | further}
    raw["runtime"]["rules"] = [*rules]
    path = folder / "clusters.yaml"
    with path.open("w") as file:
        YAML().dump(raw, file)
    return load_hardware(path, changes)


def computed(hardware, step, unit):
    """Return what the ops and products of a step are on a unit, by op, stage and phase."""
    units = [unit] * len(step.ops)
    tasks, _ = Lowering(hardware).lower(step, Carry(), units)
    kept = [t for t in tasks if t.work.unit == unit and t.work.stage in (Stage.OP, Stage.GEMM)]
    return {
        (task.op, task.work.stage, task.phase, position): (
            task.work.progress.duration_ps(WHOLE) - task.work.overhead_ps,
            task.work.compute_ps, task.work.memory_ps, task.work.m, task.work.counts.macs,
            task.work.counts.dram_bytes, task.work.counts.macs_issued,
        )
        for position, task in _numbered(kept)
    }  # fmt: skip


def _numbered(tasks):
    """Yield tasks with their number among those of the same op, stage and phase."""
    seen = {}
    for task in tasks:
        key = task.op, task.work.stage, task.phase
        seen[key] = seen.get(key, -1) + 1
        yield seen[key], task


@pytest.mark.parametrize("trace", ["lenet_digits", "mlp_digits"])
def test_equal_cores_compute_as_the_host_does_without_its_dispatch(trace, tmp_path):
    hardware = two_clusters(tmp_path, {"cpu.llc.size": "0 B", f"units.{NAME}.llc.size": "0 B"})
    step = as_trace(trace).steps[0]
    host, other = (computed(hardware, step, unit) for unit in ("cpu", NAME))
    assert len(other) >= 58
    assert other == {key: host[key] for key in other}


def test_a_call_finds_its_cache_empty_and_writes_it_back(tmp_path):
    """An op that streams 4 kB in and out moves 8 kB, whatever is in which cache."""
    builder = StepBuilder()
    builder.elementwise(builder.elementwise(builder.tensor(32, 32)))
    step = builder.step()
    work = computed(two_clusters(tmp_path), step, NAME)
    assert [each[5] for each in work.values()] == [8192, 8192]


@pytest.mark.parametrize("result", [True, False])
def test_what_the_host_s_cache_alone_has_is_flushed_before(result, tmp_path):
    """The host writes 4 kB; an op of the cluster reads them, whether it has a result or not."""
    builder = StepBuilder()
    builder.elementwise(builder.elementwise(builder.tensor(32, 32)))
    if not result:
        builder.ops[1] = replace(builder.ops[1], outputs=())
    tasks, _ = Lowering(two_clusters(tmp_path)).lower(builder.step(), Carry(), ["cpu", NAME])
    (flush,) = [index for index, task in enumerate(tasks) if task.work.stage is Stage.FLUSH]
    (call,) = [task for task in tasks if task.work.unit == NAME]
    assert tasks[flush].work.counts.dram_write_bytes == 32 * 32 * 4
    assert flush in call.waits


def test_it_takes_what_a_rule_gives_it_alone(tmp_path):
    builder = StepBuilder()
    for layer in ("first", "second"):
        builder.gemm(256, 256, 256, layer=layer)
    trace = one_step_trace(builder)
    without = Replay(two_clusters(tmp_path), trace).run()
    assert without.total[f"{NAME}_busy_s"] == 0
    rules = [{"unit": NAME, "layer": "second"}]
    hardware = two_clusters(tmp_path, {"runtime.issue": "dataflow"}, rules)
    result = Replay(hardware, trace).run()
    (row,) = [row for row in result.ops if row["unit"] == NAME]
    assert (row["layer"], row["stage"], row["macs"]) == ("second", "gemm", 256**3)
    assert result.total["accelerator_busy_s"] > 0
    assert result.total["macs"] == without.total["macs"]
    launched = [r for r in result.ops if r["stage"] == "launch" and r["layer"] == "second"]
    dispatch_ps = Requests(outline_of(hardware)).dispatch_ps(trace.steps[0].ops[1])
    assert len(launched) == 1
    duration_ps = round((launched[0]["end_s"] - launched[0]["start_s"]) * 1e12)
    assert duration_ps == pytest.approx(dispatch_ps + LAUNCH_PS, abs=1)


def test_its_cycles_and_leakage_are_priced_at_its_own_voltage_and_power(tmp_path):
    own = {"energy_per_cycle": "70 pJ", "static_power": "11 mW"}
    hardware = two_clusters(tmp_path, rules=[{"unit": NAME}], **own)
    cost = prices(hardware)
    cluster, host = hardware.units[NAME], hardware.cpu
    action = Action(NAME, CPU_CYCLES.what)
    assert cost.dynamic_aj[action] == round(70e6 * cluster.supply_ratio**2)
    assert cost.static_uw[NAME] == round(11_000 * cluster.supply_ratio)
    assert cost.dynamic_aj[CPU_CYCLES] == round(host.energy_per_cycle * host.supply_ratio**2)
    trace = as_trace("lenet_digits")
    result = Replay(hardware, trace).run()
    energy, busy = result.total["energy_by_component_j"], result.total[f"{NAME}_busy_s"]
    static = 11e-3 * cluster.supply_ratio * result.total["latency_s"]
    cores = (energy[NAME] - static) / (70e-12 * cluster.supply_ratio**2) / cluster.clock / busy
    assert 1 <= cores <= cluster.cores
    assert result.total["accelerator_busy_s"] == 0


def test_a_search_of_placements_finds_faster_cores(tmp_path):
    fast = {"clock": "100 GHz", "cores": 64, "operating_points": [], "voltage": None}
    fast |= {"driver": {"launch": "0 us", "synchronise": "0 us"}}
    builder = StepBuilder()
    builder.gemm(512, 512, 512)
    hardware = two_clusters(tmp_path, {"runtime.placement": "fastest"}, **fast)
    result = Replay(hardware, one_step_trace(builder)).run()
    assert [row["unit"] for row in result.ops if row["stage"] == "gemm"] == [NAME]


def test_a_class_of_cores_is_its_own_setting(tmp_path):
    hardware = two_clusters(tmp_path, {f"units.{NAME}.core": "out-of-order"})
    ordinary = load_hardware("edge-16x16", {"cpu.core": "out-of-order"}).cpu
    assert hardware.units[NAME].costs == ordinary.costs != hardware.cpu.costs
    with pytest.raises(InputError, match=rf"units\.{NAME}\.core: no class of cores 'quick'"):
        two_clusters(tmp_path, {f"units.{NAME}.core": "quick"})


def test_its_costs_need_no_mention(tmp_path):
    """A description names the class; what its kernels take comes from there."""
    raw = two_clusters(tmp_path).as_text()
    raw["dram"].pop("device", None)
    del raw["units"][NAME]["costs"]
    path = tmp_path / "class.yaml"
    with path.open("w") as file:
        YAML().dump(raw, file)
    hardware = load_hardware(path)
    assert hardware.units[NAME].costs == hardware.cpu.costs
    paths = {constant.path for constant in hardware.constants}
    assert f"units.{NAME}.costs.softmax" in paths


def test_its_requests_in_flight_are_those_of_its_cores(tmp_path):
    hardware = two_clusters(tmp_path)
    assert requests_in_flight(hardware, NAME) == requests_in_flight(hardware, "cpu")
    limited = two_clusters(tmp_path, {f"units.{NAME}.port.outstanding": 3})
    assert requests_in_flight(limited, NAME) == 3


def test_its_cache_has_an_area(tmp_path):
    size = {each.component: each.mm2 for each in areas(two_clusters(tmp_path))}
    assert size[f"{NAME}_llc"] == size["llc"] > 0


def test_only_the_host_shares_its_cache(tmp_path):
    with pytest.raises(InputError, match=r"llc\.shared: units share the cache of `cpu`"):
        two_clusters(tmp_path, llc={"size": "1 MiB", "bandwidth": "10 GB/s", "shared": True})
