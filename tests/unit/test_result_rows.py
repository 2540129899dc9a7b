"""Rows of a result against hand counts, where time charged, time active and time alone differ."""

import pytest

from simulator import simulate
from simulator.trace.op import Op, OpKind, Phase, Role
from simulator.trace.trace import StorageKind
from simulator.views.report import ROWS
from tests.builders import StepBuilder, machine, one_step_trace

COUNT = 5
WIDE_PORTS = {"cpu__bandwidth_per_core": "1 TB/s", "cpu__bandwidth": "1 TB/s"}


def overlapped(products=1):
    """Return a run in which short products hide behind a long update that shares their memory."""
    builder = StepBuilder()
    for _ in range(products):
        builder.gemm(8, 512, 512, phase=Phase.DGRAD, role=Role.DGRAD, layer="fc")
    weight, gradient = (
        builder.tensor(1 << 20, kind=kind, name=f"{kind}")
        for kind in (StorageKind.PARAMETER, StorageKind.GRADIENT)
    )
    builder.ops.append(
        Op("add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "w", (weight, gradient), (weight,))
    )
    hardware = machine(
        runtime__issue="dataflow", runtime__launch="0 us", accelerator__precision="fp32",
        cpu__llc__size="0 B", **WIDE_PORTS,
    )  # fmt: skip
    return simulate(hardware, one_step_trace(builder, COUNT))


@pytest.fixture(scope="module")
def result():
    return overlapped()


def test_cycles_of_the_array_are_those_of_its_span_whatever_is_charged_to_it(result):
    (product,) = [op for op in result.ops if op["stage"] == "gemm"]
    span_ns = round(1e12 * (product["end_s"] - product["start_s"])) // 1000
    assert product["total_cycles"] == span_ns  # at 1 GHz
    assert product["stall_cycles"] == span_ns - product["compute_cycles"] > 0
    assert product["attributed_ps"] == 0  # hidden
    assert product["contention_s"] > 0  # and slowed, so that alone it takes less


def test_average_power_is_dynamic_energy_over_the_time_active_and_static_power(result):
    """Static energy goes with the time charged to a row, static power is always powers."""
    static_w = result.prices.whole_static_uw / 1e6
    hidden = 0
    for row in (result.total, *result.phases, *result.layers):
        traffic = row["dram_read_bytes"] + row["dram_write_bytes"]
        active_s = traffic / row["bandwidth_bytes_per_s"]
        dynamic_j = row["energy_j"] - static_w * row["latency_s"]
        assert row["average_power_w"] == pytest.approx(static_w + dynamic_j / active_s)
        hidden += row["latency_s"] < 0.9 * active_s
    assert hidden >= 2  # the product's phase and layer


def test_an_array_is_used_by_its_macs_in_the_time_active_and_utilised_in_its_busy_time(result):
    """Of 16 x 16 MACs in every ns."""
    peak, macs = 16 * 16 * 1e9, COUNT * 8 * 512 * 512
    for row, mine in ((result.total, macs), *((row, row["macs"]) for row in result.phases)):
        traffic = row["dram_read_bytes"] + row["dram_write_bytes"]
        active_s = traffic / row["bandwidth_bytes_per_s"]
        assert row["macs"] == mine
        assert row["array_use"] == pytest.approx(mine / (peak * active_s))
        if mine:
            assert row["array_utilization"] == pytest.approx(
                mine / (peak * row["accelerator_busy_s"])
            )
    assert result.total["array_use"] < 0.5 * result.total["array_utilization"]


def test_the_peak_of_a_phase_is_the_power_of_all_that_runs_at_once_with_one_of_its_ops():
    """The first product runs beside the launch of the second, then beside the update."""
    result = overlapped(products=2)
    static_w, powers = result.prices.whole_static_uw / 1e6, []
    for op in result.ops:
        dynamic_j = op["energy_j"] - static_w * op["attributed_s"]
        powers.append((op["start_s"], op["end_s"], dynamic_j / (op["end_s"] - op["start_s"])))
    for phase in result.phases:
        mine = [op for op in result.ops if op["phase"] == phase["phase"]]
        moments = {
            at for at, _, _ in powers if any(op["start_s"] <= at < op["end_s"] for op in mine)
        }
        together = [sum(w for start, end, w in powers if start <= at < end) for at in moments]
        assert phase["peak_power_w"] == pytest.approx(static_w + max(together), rel=1e-4)


@pytest.mark.parametrize("by", ["op", "stage", "layer", "phase"])
def test_rows_of_a_report_add_up_to_the_whole_run(result, by):
    rows = [row for _, row in ROWS[by](result.as_dict(ops=True))]
    for key in ("latency_s", "energy_j", "dram_read_bytes", "dram_write_bytes"):
        assert sum(row[key] for row in rows) == pytest.approx(result.total[key]), key
    assert result.total["latency_s"] > 0.9 * COUNT * max(op["end_s"] for op in result.ops)


@pytest.mark.parametrize(
    ("kind", "elements", "bound"),
    [
        (OpKind.ELEMENTWISE, 10**3, "launch"),  # dispatch 46 us, memory 2 us, cores 1 us
        (OpKind.ELEMENTWISE, 10**6, "memory"),  # 46 us, 2.1 ms (8 MB at 3.75 GB/s), 0.1 ms
        (OpKind.TRANSCENDENTAL, 10**6, "compute"),  # 46 us, 2.1 ms, 9 ms (50 cycles on 4 cores)
    ],
)
def test_an_op_of_the_cpu_is_bound_by_what_takes_longest(kind, elements, bound):
    builder = StepBuilder()
    x, y = builder.tensor(elements), builder.tensor(elements)
    builder.ops.append(Op("aten.op", kind, Phase.FORWARD, "act", (x,), (y,)))
    (op,) = simulate(machine("cpu-only", cpu__llc__size="0 B"), one_step_trace(builder)).ops
    assert op["bound"] == bound


@pytest.mark.parametrize(
    ("settings", "bound"),
    [
        ({}, "compute"),  # 32 x 32 folds of 512 rows take 524 us, 1.5 MB at 12.8 GB/s 120 us
        ({"accelerator__launch_latency": "1 ms"}, "launch"),
        ({"accelerator__dma__bandwidth": "1 GB/s"}, "memory"),  # 1.5 ms
    ],
)
def test_a_product_of_the_array_is_bound_by_what_takes_longest(settings, bound):
    builder = StepBuilder()
    builder.gemm(512, 512, 512)
    ops = simulate(machine(**settings), one_step_trace(builder)).ops
    assert [op["bound"] for op in ops if op["stage"] == "gemm"] == [bound]


def test_the_launch_of_a_product_is_launch_bound():
    builder = StepBuilder()
    builder.gemm(512, 512, 512)
    ops = simulate(machine(), one_step_trace(builder)).ops
    assert {op["bound"] for op in ops if op["stage"] in ("launch", "synchronise")} == {"launch"}
