"""The CPU and the accelerator at the same memory, in whole steps."""

import pytest

from simulator import simulate
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import run_step
from simulator.timing.sharing import sharing_of
from simulator.trace.op import Op, OpKind, Phase, Role
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine, one_step_trace

BARE = {"cpu__llc__size": "0 B", "accelerator__precision": "fp32", "runtime__issue": "dataflow"}


def backward(builder):
    """Matrix-vector products of a linear layer's backward: little arithmetic, much memory."""
    for layer in range(4):
        builder.gemm(8, 1024, 1024, phase=Phase.DGRAD, role=Role.DGRAD, layer=f"fc{layer}")


def optimizer(builder):
    """The update of another layer's weights, which waits for none of it."""
    for layer in range(4):
        weight, gradient = (
            builder.tensor(1024, 1024, kind=kind, name=f"{kind}{layer}")
            for kind in (StorageKind.PARAMETER, StorageKind.GRADIENT)
        )
        op = Op(
            "add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, f"w{layer}",
            (weight, gradient), (weight,),
        )  # fmt: skip
        builder.ops.append(op)


def step(*parts, **settings):
    builder = StepBuilder()
    for part in parts:
        part(builder)
    return simulate(machine(**BARE, **settings), one_step_trace(builder))


@pytest.mark.parametrize("preset", ["LPDDR4-3200_x32_1ch", "DDR4-2400_x64_1ch", "HBM2_8ch"])
def test_an_overlapped_optimizer_costs_less_than_in_turn_but_not_nothing(preset):
    runs = [step(*parts, dram__preset=preset) for parts in ((backward,), (optimizer,))]
    first, second = (run.total["latency_ps"] for run in runs)
    both = step(backward, optimizer, dram__preset=preset)
    assert max(first, second) <= both.total["latency_ps"] < first + second
    if preset != "HBM2_8ch":
        assert both.total["latency_ps"] > max(first, second)
        assert both.total["contention_s"] > 0
    assert all(run.total["contention_s"] == 0 for run in runs)


def test_the_time_lost_to_contention_is_that_of_every_op_beside_its_time_alone():
    both = step(backward, optimizer)
    lost = 0.0
    for op in both.ops:
        took = op["end_s"] - op["start_s"]
        assert 0 <= op["contention_s"] <= took
        lost += op["contention_s"] * op["count"]
    assert lost == pytest.approx(both.total["contention_s"])
    assert sum(p["contention_s"] for p in both.phases) == pytest.approx(lost)


def test_with_memory_for_all_nothing_is_lost():
    ideal = {"dram__preset": "ideal"}
    both = step(backward, optimizer, **ideal)
    alone = [step(part, **ideal).total["latency_ps"] for part in (backward, optimizer)]
    assert both.total["contention_s"] == 0
    assert both.total["latency_ps"] >= max(alone)


def test_bandwidth_is_booked_to_its_master():
    both = step(backward, optimizer)
    masters = both.total["bandwidth_by_master_bytes_per_s"]
    assert masters["cpu"] > 0
    assert masters["accelerator"] > 0
    assert sum(masters.values()) == pytest.approx(both.total["bandwidth_bytes_per_s"])
    dgrad = next(phase for phase in both.phases if phase["phase"] == "dgrad")
    update = next(phase for phase in both.phases if phase["phase"] == "optimizer")
    assert update["bandwidth_by_master_bytes_per_s"]["accelerator"] == 0
    assert dgrad["bandwidth_by_master_bytes_per_s"]["accelerator"] > 0
    assert 0.9 < update["row_hit_rate"] <= 1


@pytest.mark.parametrize(
    ("settings", "winner"),
    [
        ({"interconnect__arbitration": "priority", "interconnect__first": "cpu"}, "cpu"),
        (
            {"interconnect__arbitration": "priority", "interconnect__first": "accelerator"},
            "accelerator",
        ),
        ({"interconnect__arbitration": "weighted", "interconnect__cpu_weight": "8"}, "cpu"),
        ({"interconnect__arbitration": "first_come", "cpu__misses": "1"}, "accelerator"),
    ],
)
def test_arbitration_decides_who_waits(settings, winner):
    fast = {"cpu__bandwidth_per_core": "12 GB/s"}
    fair, other = step(backward, optimizer, **fast), step(backward, optimizer, **fast, **settings)

    def lost(run, unit):
        return sum(op["contention_s"] for op in run.ops if op["unit"] == unit)

    assert lost(other, winner) < lost(fair, winner) + 1e-12
    if "cpu__misses" not in settings:
        loser = "cpu" if winner == "accelerator" else "accelerator"
        assert lost(other, loser) > 0.95 * lost(fair, loser)  # it has more once it is alone


def test_few_line_fills_in_flight_cannot_saturate():
    def seconds(misses):
        wide = dict.fromkeys(("cpu__bandwidth_per_core", "cpu__bandwidth"), "50 GB/s")
        core = {"cpu__cores": "1"} | wide
        return step(optimizer, cpu__misses=misses, **core).total

    one, two, many = (seconds(str(misses))["latency_ps"] for misses in (1, 2, 64))
    assert one == pytest.approx(2 * two, rel=0.1)  # Little's law
    assert many < two / 2


def test_a_wider_port_helps_the_master_that_has_it():
    def of(part, **settings):
        return step(part, dram__preset="HBM2_8ch", **settings).total["latency_ps"]

    narrow = {"interconnect__accelerator_width": "2 B"}
    assert of(backward, **narrow) > of(backward)
    assert of(optimizer, **narrow) == of(optimizer)
    assert of(optimizer, interconnect__cpu_width="1 B") > of(optimizer)


@pytest.mark.parametrize("fidelity", ["flow", "tile"])
def test_masters_disturb_each_other_beyond_sharing(fidelity):
    builder = StepBuilder()
    backward(builder)
    optimizer(builder)
    hardware = machine(**BARE)
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    shared = run_step(tasks, "dataflow", fidelity)
    disturbed = run_step(tasks, "dataflow", fidelity, sharing_of(hardware))
    assert shared.duration_ps <= disturbed.duration_ps < 1.5 * shared.duration_ps
    assert {task.work.unit for task in tasks} == {HOST, ACCELERATOR}
