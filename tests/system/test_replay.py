"""Replaying a run: what repeats is simulated once, precision has a rule, placement is honest."""

import json
import os
import subprocess
import sys

import pytest

from simulator import simulate
from simulator.errors import Infeasible
from simulator.lowering.program import lowered_step
from simulator.machine import simulation, step
from simulator.machine.step import StepRunner
from simulator.replay import Replay
from simulator.trace.op import Op, OpKind, Phase, Role
from simulator.trace.trace import Segment, Trace
from tests.builders import StepBuilder, machine, one_step_trace

BARE = {"cpu__llc__size": "0 B"}  # all goes to memory
ALIKE = {**BARE, "accelerator__precision": "fp32"}  # no copies stay: the first step is like others


def small_step():
    builder = StepBuilder()
    x = builder.gemm(64, 64, 64)
    x = builder.elementwise(x)
    builder.gemm(64, 64, 64, a=x, phase=Phase.DGRAD, role=Role.DGRAD)
    return builder


def test_equal_steps_are_simulated_once(monkeypatch):
    runs = []
    original = StepRunner.run
    monkeypatch.setattr(StepRunner, "run", lambda *a, **k: runs.append(1) or original(*a, **k))
    few = Replay(machine(**ALIKE), one_step_trace(small_step(), 2)).run()
    many = Replay(machine(**ALIKE), one_step_trace(small_step(), 10_000)).run()
    assert len(runs) == 2
    assert many.total["latency_ps"] == 5000 * few.total["latency_ps"]


def test_engine_builds_make_the_first_step_cold():
    hardware = machine(runtime__first_call="3 ms")
    plain = Replay(machine(), one_step_trace(small_step(), 10)).run().total["latency_ps"]
    built = Replay(hardware, one_step_trace(small_step(), 10)).run().total["latency_ps"]
    # one engine: the forward and the input-gradient GEMM are equal products
    assert built == plain + 3 * 10**9


def test_epochs_split_the_run():
    trace = Trace("two", (small_step().step(),), (Segment(0, 0, 3), Segment(1, 0, 5)))
    result = Replay(machine(**ALIKE), trace).run()
    first, second = result.epochs
    assert first["latency_ps"] * 5 == second["latency_ps"] * 3


@pytest.mark.parametrize(("rule", "executed"), [("quantise", ["int8"]), ("cpu", ["fp32"])])
def test_unsupported_precision_follows_the_rule(rule, executed):
    result = simulate(
        "edge-16x16",
        one_step_trace(small_step()),
        {"accelerator.on_unsupported_precision": rule},
    )
    assert result.identity.precision["traced"] == ["fp32"]
    assert result.identity.precision["executed"] == executed
    stages = {op["stage"] for op in result.ops}
    assert ("quantise" in stages) == (rule == "quantise")


def test_unsupported_precision_can_be_an_error():
    with pytest.raises(Infeasible, match="computes in fp32 but the array in int8"):
        simulate(
            "edge-16x16",
            one_step_trace(small_step()),
            {"accelerator.on_unsupported_precision": "error"},
        )


def test_multipass_executes_every_slice_product():
    trace = one_step_trace(small_step())
    result = simulate("edge-16x16", trace, {"accelerator.on_unsupported_precision": "multipass"})
    # a sign and 24-bit significands in 8-bit slices: 4 x 4 products
    assert result.total["macs_issued"] == 16 * result.total["macs"]


def test_a_native_array_converts_nothing():
    result = simulate("edge-16x16", one_step_trace(small_step()), {"accelerator.precision": "fp32"})
    assert not {op["stage"] for op in result.ops} & {"quantise", "dequantise"}


def test_a_tensor_is_quantised_once_per_version():
    builder = StepBuilder()
    x = builder.tensor(64, 64)
    builder.gemm(64, 64, 64, a=x)
    builder.gemm(64, 64, 64, a=x)
    stages = [op["stage"] for op in simulate("edge-16x16", one_step_trace(builder)).ops]
    assert stages.count("quantise") == 3  # x once, two weights


def test_conversions_cost_what_they_move():
    ops = simulate(machine(**BARE), one_step_trace(small_step())).ops
    quantise = next(op for op in ops if op["stage"] == "quantise")
    # the range first, then the values: 4 bytes read twice, 1 byte written
    assert quantise["dram_read_bytes"] == 2 * 4 * 64 * 64
    assert quantise["dram_write_bytes"] == 64 * 64


def test_small_gemms_stay_on_the_cpu_when_told():
    result = simulate(
        "edge-16x16", one_step_trace(small_step()), {"runtime.offload_min_macs": 64**3 + 1}
    )
    assert {op["unit"] for op in result.ops} == {"cpu"}
    assert result.identity.precision["executed"] == ["fp32"]


SCRIPT = """
from simulator import simulate
print(simulate("edge-16x16", "lenet_digits", {"runtime.issue": "dataflow"}).to_json(ops=True))
"""


def test_same_bytes_across_processes_and_hash_seeds():
    settings = {"runtime.issue": "dataflow"}
    here = simulate("edge-16x16", "lenet_digits", settings).to_json(ops=True)
    for seed in ("0", "12345"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, check=True, text=True,
        )  # fmt: skip
        assert done.stdout == here + "\n"
    assert json.loads(here)["total"]["energy_j"] > 0


def test_importing_the_simulator_pulls_in_none_of_the_heavy_libraries():
    code = (
        "import sys, simulator; "
        "print([n for n in ('torch', 'matplotlib', 'polars', 'sklearn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("watched", [False, True])
def test_event_counts_per_task_are_what_they_are(watched):
    """The noise-free performance test: events of a step of dependent work."""
    import simpy

    from simulator.lowering.lower import Carry, Lowering

    counted = []

    class Counting(simpy.Environment):
        def step(self):
            counted.append(1)
            super().step()

    tasks, _ = Lowering(machine(**BARE)).lower(small_step().step(), Carry())
    follows = lowered_step(tasks, "synchronous").program.order.follows
    original = simulation.Environment
    simulation.Environment = Counting
    try:
        step.run_events(tasks, follows, record=watched)
    finally:
        simulation.Environment = original
    assert len(tasks) == 13
    if watched:
        # two starts, an alarm and an end for each of 9 tasks with traffic, one alarm for each of
        # the 4 without, 5 wake-ups of a unit that had nothing to do, and the end of the program
        assert len(counted) == 2 + 2 * 9 + 4 + 5 + 1
    else:
        # two starts, an alarm and an end for the task that runs while the other unit starts; for
        # each of 4 changes of unit one catches up and the other wakes; one catches up at the end of
        # the program, which is the last event; and there is none after it
        assert len(counted) == 2 + 2 + 2 * 4 + 2 + 1


def test_a_tensor_that_changed_is_quantised_again():
    builder = StepBuilder()
    x = builder.tensor(64, 64)
    builder.gemm(64, 64, 64, a=x)
    builder.ops.append(Op("aten.add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "", (x,), (x,)))
    builder.gemm(64, 64, 64, a=x)
    stages = [op["stage"] for op in simulate("edge-16x16", one_step_trace(builder)).ops]
    assert stages.count("quantise") == 4  # x twice, two weights


@pytest.mark.parametrize("issue", ["in_order", "dataflow"])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_rates_of_phases_and_layers_stay_within_the_machine(issue, precision):
    settings = {"runtime.issue": issue, "accelerator.precision": precision}
    result = simulate("edge-16x16", "resnet20_digits", settings)
    for row in (*result.phases, *result.layers):
        assert row["bandwidth_bytes_per_s"] <= 12.8e9
        assert row["average_power_w"] <= row["peak_power_w"] * (1 + 1e-9)


def test_array_use_is_of_the_whole_run_and_utilization_of_busy_time():
    """A product on 16 x 16 elements at 1 GHz beside a step of work for the CPU."""
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    total = Replay(machine(), one_step_trace(builder)).run().total
    peak = 256 * 10**9
    assert total["array_use"] == pytest.approx(64**3 / (peak * total["latency_s"]))
    assert total["array_utilization"] == pytest.approx(64**3 / (peak * total["accelerator_busy_s"]))
