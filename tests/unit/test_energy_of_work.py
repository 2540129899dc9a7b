"""What work on a CPU and a memory spends, from few numbers by hand."""

import pytest

from simulator import simulate
from simulator.hardware import load_hardware
from simulator.trace.op import Op, OpKind, Phase
from tests.builders import StepBuilder, machine, one_step_trace

GRAIN = 32768  # elements that ATen gives to a thread at least
CLOCK = 1_402_000_000
# An operating point whose voltage is that of the energies; arithmetic alone takes time.
ARITHMETIC_ONLY = {
    "cpu__clock": "1402 MHz", "cpu__llc__size": "0 B", "cpu__bandwidth_per_core": "1 TB/s",
    "cpu__bandwidth": "1 TB/s", "interconnect__width": "1 KiB", "dram__preset": "ideal",
    "cpu__costs__first_touch": "1 TB/s",
}  # fmt: skip


def one_op(kind, read, written, name="aten.op", phase=Phase.FORWARD, builder=None):
    builder = builder or StepBuilder()
    x, y = builder.tensor(read), builder.tensor(written)
    builder.ops.append(Op(name, kind, phase, "layer", (x,), (y,)))
    return builder


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_a_cpu_spends_the_cycles_of_all_cores_that_compute_and_static_power_all_the_time(cores):
    """89 pJ a cycle and 60 mW; dispatch is on one core, arithmetic on all of them, while the others
    spin at 0.7 of a cycle. What it reads and writes passes a cache at a picojoule per byte.
    """
    settings = ARITHMETIC_ONLY | {"cpu__cache_energy": "1 pJ"}
    hardware = machine("cpu-only", cpu__cores=cores, **settings)
    elements = 4 * GRAIN
    builder = one_op(OpKind.TRANSCENDENTAL, elements, elements)
    total = simulate(hardware, one_step_trace(builder)).total
    arithmetic = elements * hardware.cpu.costs.exponential // 1000
    dispatch = 65_000
    assert total["latency_s"] == pytest.approx((dispatch + arithmetic / cores) / CLOCK)
    spent = 89e-12 * (dispatch + arithmetic) + 60e-3 * total["latency_s"]
    spent += 0.7 * 89e-12 * (cores - 1) * dispatch + 1e-12 * 2 * 4 * elements
    assert total["energy_by_component_j"]["cpu"] == pytest.approx(spent)


def test_what_the_last_level_cache_serves_passes_at_its_rate():
    """1 MB read and written again at 1 GB/s, long after the first op fetched it."""
    builder = StepBuilder()
    tensor = builder.tensor(250_000)
    for _ in range(2):
        builder.ops.append(
            Op("aten.relu_", OpKind.ELEMENTWISE, Phase.FORWARD, "act", (tensor,), (tensor,))
        )
    cache = {"cpu__llc__size": "2 MiB", "cpu__llc__bandwidth": "1 GB/s"}
    hardware = machine("cpu-only", **{**ARITHMETIC_ONLY, **cache})
    _, second = simulate(hardware, one_step_trace(builder)).ops
    assert second["dram_read_bytes"] == second["dram_write_bytes"] == 0
    dispatch_s = 65_000 / CLOCK
    assert second["end_s"] - second["start_s"] == pytest.approx(dispatch_s + 2e-3)


def test_a_stream_opens_each_row_once():
    """Rows of 4096 B in granules of 64 B: 63 of 64 bursts find their row open."""
    builder = one_op(OpKind.REDUCTION, 1 << 20, 1, "aten.sum")
    hardware = machine("cpu-only", cpu__llc__size="0 B", dram__preset="LPDDR4-3200_x32_1ch")
    total = simulate(hardware, one_step_trace(builder)).total
    assert total["row_hit_rate"] == pytest.approx(63 / 64, abs=1e-3)


@pytest.mark.parametrize(("read", "written"), [(1 << 18, 1), (1, 1 << 18), (1 << 18, 1 << 18)])
def test_memory_spends_on_rows_opened_on_bursts_read_and_on_bursts_written(read, written):
    """pJ of LPDDR4-3200_x32_1ch: 2410 to open a row; of a burst of 64 B 2695 and 3.223 a bit on the
    bus to read, 1980 and 1.182 to write. Its controller never lets it sleep.
    """
    builder = one_op(OpKind.ELEMENTWISE, read, written)
    hardware = load_hardware("cpu-only", {
        "cpu.llc.size": "0 B",
        "dram.preset": "LPDDR4-3200_x32_1ch",
        "dram.idle.self_refresh": None,
        "dram.idle.power_down": None,
        "technology.dram_typical": "100 %",
    })  # fmt: skip
    result = simulate(hardware, one_step_trace(builder))
    total = result.total
    reads, writes = (-(-total[f"dram_{name}_bytes"] // 64) for name in ("read", "write"))
    opened = (1 - total["row_hit_rate"]) * (reads + writes)
    spent_pj = 2410 * opened + (2695 + 512 * 3.223) * reads + (1980 + 512 * 1.182) * writes
    costs = result.prices.costs
    standing_w = (costs.static_uw["dram"] + sum(costs.state_uw["dram"])) / 1e6
    expected = 1e-12 * spent_pj + standing_w * total["latency_s"]
    assert total["energy_by_component_j"]["dram"] == pytest.approx(expected, rel=1e-4)


def test_a_board_draws_its_power_for_the_whole_run():
    builder = one_op(OpKind.ELEMENTWISE, 1000, 1000)
    total = simulate(machine("cpu-only", technology__board_power="5 W"), one_step_trace(builder, 7))
    assert total.total["board_energy_j"] == pytest.approx(5 * total.total["latency_s"])


def test_the_peak_of_a_phase_is_the_power_of_its_own_op_and_what_is_always_drawn():
    """The first op is on four cores, the second on one: no task leaves power behind."""
    builder = one_op(OpKind.TRANSCENDENTAL, 4 * GRAIN, 4 * GRAIN)
    one_op(OpKind.TRANSCENDENTAL, GRAIN, GRAIN, phase=Phase.LOSS, builder=builder)
    result = simulate(machine("cpu-only", **ARITHMETIC_ONLY), one_step_trace(builder))
    static_w = result.prices.whole_static_uw / 1e6
    for phase, op in zip(result.phases, result.ops, strict=True):
        taken_s = op["end_s"] - op["start_s"]
        assert phase["peak_power_w"] == pytest.approx(op["energy_j"] / taken_s, rel=1e-5)
        assert phase["peak_power_w"] > static_w
    first, second = (phase["peak_power_w"] for phase in result.phases)
    assert first > 1.5 * second
