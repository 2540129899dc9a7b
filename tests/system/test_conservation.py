"""Whatever is split - by phase, layer, epoch, op - adds up to the totals, exactly."""

from hypothesis import HealthCheck, given, settings

from simulator.activity import ARRAY_MACS, Action
from simulator.hardware.unit import ACCELERATOR
from simulator.replay import Replay
from simulator.timing.shares import WHOLE
from tests.system.strategies import machines, traces

EXACT = ("latency_ps", "energy_aj", "macs", "macs_issued", "dram_read_bytes", "dram_write_bytes")


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(machines(), traces())
def test_a_replay_keeps_what_it_counts(hardware, trace):
    """One replay for all that must hold of it, since replays take the time."""
    result = Replay(hardware, trace).run()
    parts_add_up_to_the_total(result)
    macs_are_those_of_the_trace(result, trace)
    nothing_is_faster_than_the_machine(result, hardware)
    for record in result.records:
        no_task_is_faster_than_its_unit(record, hardware)
    energy_is_counts_times_prices_plus_static_power_times_time(result)
    assert Replay(hardware, trace).run().to_json(ops=True) == result.to_json(ops=True)


def parts_add_up_to_the_total(result):
    total = result.total
    for key in EXACT:
        for parts in (result.phases, result.layers, result.epochs):
            assert sum(part[key] for part in parts) == total[key]
    ops = result.ops
    assert sum(op["attributed_ps"] * op["count"] for op in ops) == total["latency_ps"]
    for key in ("energy_aj", "macs", "dram_read_bytes", "dram_write_bytes"):
        assert sum(op[key] * op["count"] for op in ops) == total[key]


def macs_are_those_of_the_trace(result, trace):
    wanted = sum(
        gemm.batch * gemm.m * gemm.n * gemm.k * trace.runs_of(index)
        for index, step in enumerate(trace.steps)
        for op in step.ops
        for gemm in op.gemms
    )
    assert result.total["macs"] == wanted
    assert result.total["macs_issued"] >= wanted


def nothing_is_faster_than_the_machine(result, hardware):
    peak = hardware.dram.peak_bytes_per_s
    for row in (result.total, *result.epochs, *result.phases, *result.layers):
        assert 0 <= row["array_use"] <= row["array_utilization"] <= 1
        assert row["bandwidth_bytes_per_s"] <= peak * (1 + 1e-9)
        assert row["average_power_w"] <= row["peak_power_w"] * (1 + 1e-9)
    for row in (result.total, *result.epochs):
        assert row["accelerator_busy_s"] <= row["latency_s"] * (1 + 1e-12)
        assert row["cpu_busy_s"] <= row["latency_s"] * (1 + 1e-12)


def no_task_is_faster_than_its_unit(record, hardware):
    for task, span in zip(record.tasks, record.spans, strict=True):
        took, work = span.end_ps - span.start_ps, task.work
        assert took >= max(work.progress.channel_ps, work.progress.duration_ps(WHOLE))
        if work.unit == ACCELERATOR:
            array = hardware.accelerator
            slots = array.rows * array.cols * array.clock * took
            assert work.counts[Action(ACCELERATOR, ARRAY_MACS)] * 10**12 <= slots


def energy_is_counts_times_prices_plus_static_power_times_time(result):
    prices = result.prices
    dynamic = sum(
        amount * prices.dynamic_aj[action] * record.count
        for record in result.records
        for task in record.tasks
        for action, amount in task.work.counts.items()
    )
    static = prices.whole_static_uw * result.total["latency_ps"]
    awake = sum(
        prices.states_aj(states) * record.count
        for record in result.records
        for states in record.states
    )
    assert result.total["energy_aj"] == dynamic + static + awake
