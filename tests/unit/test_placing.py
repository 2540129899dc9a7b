"""Where GEMMs go: rules, first that fits; and a search that equals brute force on its own costs."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import Stage
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.chain import Choice, UnitCost, cheapest
from simulator.lowering.lower import Carry, Lowering
from simulator.placing import choices
from simulator.replay import Replay, as_trace
from simulator.timing.shares import WHOLE
from simulator.trace.op import Phase, Role
from simulator.trace.trace import Segment, Trace
from tests.builders import StepBuilder, machine, one_step_trace

COST = st.integers(0, 50)
UNITS = (ACCELERATOR, "npu", "relu")
CHOICE = st.builds(
    Choice, COST, st.dictionaries(st.sampled_from(UNITS), st.builds(UnitCost, COST, COST, COST))
)


def cost_of(found, units):
    """What placements cost by definition: each op, and every change of unit; both ends are CPU."""
    total = 0
    path = [HOST, *units, HOST]
    for index, choice in enumerate(found):
        unit = path[index + 1]
        if unit == HOST:
            total += choice.host
            continue
        own = choice.others[unit]
        total += own.stay
        total += own.enter if path[index] != unit else 0
        total += own.leave if path[index + 2] != unit else 0
    return total


def brute_force(found):
    options = [[HOST, *each.others] for each in found]
    return min(cost_of(found, units) for units in product(*options))


@settings(deadline=None)
@given(st.lists(CHOICE, max_size=6))
def test_the_search_finds_what_brute_force_finds(found):
    units = cheapest(found)
    assert len(units) == len(found)
    assert cost_of(found, units) == brute_force(found)


def test_costs_of_a_chain_by_hand():
    either = Choice(10, {ACCELERATOR: UnitCost(4, 3, 2)})
    found = [either, Choice(1), either, either]
    mixed = (ACCELERATOR, HOST, ACCELERATOR, ACCELERATOR)
    # in and out once; on the CPU; in, stay, and out at the end
    assert cost_of(found, mixed) == (3 + 4) + (2 + 1) + (3 + 4) + 4 + 2
    assert cheapest(found) == mixed


SIZES = st.tuples(*[st.sampled_from([4, 16, 64, 256])] * 3)
OPS = st.lists(SIZES | st.none(), min_size=1, max_size=12)


def built(ops):
    """Return a step of GEMMs of these sizes, and of elementwise ops between them."""
    builder = StepBuilder()
    for size in ops:
        if size is None:
            builder.elementwise(builder.tensor(64, 64))
        else:
            builder.gemm(*size)
    return builder


@settings(deadline=None)
@given(OPS, st.sampled_from(["fastest", "frugal"]), st.sampled_from(["none", "in_out"]))
def test_no_search_ends_worse_than_either_extreme(ops, placement, copies):
    key = {"fastest": "latency_ps", "frugal": "energy_aj"}[placement]
    hardware = machine(runtime__placement=placement, runtime__copies=copies)
    trace = one_step_trace(built(ops), 3)
    found = Replay(hardware, trace).run().total[key]
    for least in (0, 10**12):  # smallest product that is offloaded
        fixed = machine(runtime__copies=copies, runtime__offload_min_macs=least)
        assert found <= Replay(fixed, trace).run().total[key]


@settings(deadline=None)
@given(OPS)
def test_the_search_equals_brute_force_on_the_costs_of_a_trace(ops):
    found = choices(built(ops).step(), Lowering(machine()), [ACCELERATOR])
    assert cost_of(found, cheapest(found)) == brute_force(found)


def test_an_operation_costs_what_its_tasks_take_alone():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    builder.elementwise(builder.tensor(64, 64))
    lowering = Lowering(machine())
    gemm, relu = choices(builder.step(), lowering, [ACCELERATOR])
    assert not relu.others
    own = gemm.others[ACCELERATOR]
    step = builder.step()
    for unit, cost in ((HOST, gemm.host), (ACCELERATOR, own.stay + own.enter)):
        tasks, _ = lowering.lower(step, Carry(), (unit, unit))
        took = [task.work.progress.duration_ps(WHOLE) for task in tasks if task.op == 0]
        assert sum(took) == cost
    assert own.leave == 0  # the array's sums are restored, so that the CPU awaits them anyway


def test_leaving_a_native_array_costs_awaiting_its_completion():
    hardware = machine(accelerator__precision="fp32")
    (gemm,) = choices(built([(64, 64, 64)]).step(), Lowering(hardware), [ACCELERATOR])
    assert gemm.others[ACCELERATOR].leave == hardware.runtime.synchronise


def test_a_mixed_placement_beats_both_extremes_and_is_kept():
    trace = as_trace("lenet_digits")
    wide = {"cpu.core": "wide", "cpu.convolutions": "direct"}  # small products are worth keeping
    latency = {
        name: Replay(load_hardware("edge-16x16", wide | changed), trace).run().total["latency_ps"]
        for name, changed in {
            "found": {"runtime.placement": "fastest"},
            "accelerator": {},
            "cpu": {"runtime.offload_min_macs": 10**12},
        }.items()
    }
    assert latency["found"] < min(latency["accelerator"], latency["cpu"])


def test_a_result_says_how_it_was_placed_and_a_step_over_time_is_placed_so():
    replay = Replay(machine(runtime__placement="fastest"), one_step_trace(built([(4, 4, 4)])))
    units = {task["unit"] for task in replay.typical_step()["tasks"]}
    assert units == {"cpu"}
    result = replay.run()
    assert result.identity.provenance["placement"] in ("found", "cpu")
    assert result.identity.precision["executed"] == ["fp32"]


def test_without_an_accelerator_nothing_is_searched():
    result = Replay(machine("cpu-only", runtime__placement="fastest"), as_trace("mlp_digits")).run()
    assert "placement" not in result.identity.provenance


HARDWARE = """
name: ruled
cpu: {cores: 1, clock: 1 GHz, simd: 16 B, simd_pipes: 1, gemm_efficiency: 60 %,
  bandwidth_per_core: 2 GB/s, op_overhead: 0 cycles, view_overhead: 0 cycles,
  energy_per_cycle: 1 pJ, static_power: 1 mW}
accelerator: {rows: 16, cols: 16, clock: 1 GHz, precision: fp32, scratchpad: 64 KiB,
  accumulator: 64 KiB, dma: {bandwidth: 16 GB/s}}
interconnect: {width: 16 B, clock: 1 GHz}
dram: {preset: ideal, capacity: 1 GiB}
runtime: {launch: 1 us, synchronise: 1 us, rules: RULES}
technology: {node: 16 nm}
"""


def ruled(tmp_path, rules):
    path = tmp_path / "ruled.yaml"
    path.write_text(HARDWARE.replace("RULES", rules))
    return load_hardware(path)


def gemm_units(hardware):
    builder = StepBuilder()
    x = builder.gemm(64, 64, 64, layer="block.0.fc")
    builder.gemm(8, 8, 8, layer="block.1.fc")
    builder.gemm(64, 64, 64, a=x, phase=Phase.WGRAD, role=Role.WGRAD, layer="head")
    builder.elementwise(x)
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    return [task.work.unit for task in tasks if task.work.stage is Stage.GEMM]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("[]", "aaa"),
        ("[{unit: cpu}]", "ccc"),
        ("[{unit: cpu, phase: wgrad}]", "aac"),
        ("[{unit: cpu, layer: 'block.*'}]", "cca"),
        ("[{unit: cpu, max_macs: 512}]", "aca"),
        ("[{unit: accelerator, min_macs: 513}, {unit: cpu}]", "aca"),
        ("[{unit: accelerator, layer: head}, {unit: cpu, op: 'aten.mm*'}]", "cca"),
        ("[{unit: cpu, op: 'aten.conv*'}]", "aaa"),
    ],
)
def test_the_first_rule_that_fits_places_a_gemm(tmp_path, rules, expected):
    found = gemm_units(ruled(tmp_path, rules))
    assert "".join(unit[0] for unit in found) == expected


def test_rules_survive_overrides_and_change_the_digest(tmp_path):
    plain, with_rule = ruled(tmp_path, "[]"), ruled(tmp_path, "[{unit: cpu}]")
    changed = load_hardware(with_rule, {"runtime.launch": "2 us"})
    assert changed.runtime.rules == with_rule.runtime.rules
    assert plain.digest != with_rule.digest


def test_a_misspelt_rule_is_told(tmp_path):
    with pytest.raises(InputError, match=r"runtime.rules.0.fase: unknown key"):
        ruled(tmp_path, "[{unit: cpu, fase: wgrad}]")


def test_steps_are_placed_one_by_one():
    small, large = built([(4, 4, 4)]).step(), built([(256, 256, 256)]).step()
    trace = Trace("two", (small, large), (Segment(0, 0, 1), Segment(0, 1, 1)))
    result = Replay(machine(runtime__placement="fastest"), trace).run()
    units = {(op["step"], op["unit"]) for op in result.ops if op["stage"] == "gemm"}
    assert units == {(0, "cpu"), (1, "accelerator")}
