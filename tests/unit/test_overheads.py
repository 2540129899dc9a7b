"""Are prices beside arithmetic and memories those of their sources, by hand?"""

import pytest

from simulator.activity import Action, Counts
from simulator.energy import prices, tables
from simulator.energy.boundary import Boundary
from simulator.energy.core_prices import cached_byte_pj, vector_pj
from simulator.energy.overheads import clock_pj, overhead, register_bits, register_pj_per_byte
from simulator.hardware import load_hardware
from simulator.hardware.precision import ARRAY_FORMATS
from simulator.replay import Replay
from tests.builders import ACTIONS, StepBuilder, array_work, machine, one_step_trace

AT_45 = {"technology__node": "45 nm", "technology__sram_cell": "itrs-lop"}
EDGE = machine("edge-16x16", **AT_45)


def price(found, key):
    return found.dynamic_aj[ACTIONS[key]] / 10**6


def test_a_flip_flop_of_4_fF_costs_its_capacitance():
    """1 fF of clock pins and 2 fF of wire, a third more for the tree: C V^2 at 0.9 V is 3.2 fJ."""
    assert clock_pj(1, 45) == pytest.approx((1 + 2) * 1.3 * 0.9**2 / 1000, rel=0.02)
    assert register_bits("int8") == 8 + 8 + 32
    assert register_bits("fp32") == 3 * 32
    assert register_bits("int8", dot_width=8) == 8 + 8 + 4
    assert all(register_bits(name) >= 32 for name in ARRAY_FORMATS)


def test_clock_and_control_of_an_element_for_a_cycle():
    """48 bits of 3.2 fJ and a quarter for control, of which a tenth is drawn when gated."""
    expected = 48 * 3.2e-3 * 1.25 * 0.9
    assert price(prices(EDGE), "array_element_cycles") == pytest.approx(expected, rel=1e-4)


def test_an_array_is_clocked_for_all_its_elements_while_it_computes():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    work = array_work(EDGE, builder.ops[0].gemms[0], 32)
    cycled = work.counts[Action("accelerator", "array_element_cycles")]
    assert cycled == 256 * work.compute_cycles
    assert cycled >= work.counts.macs_issued


def test_a_vector_instruction_pays_lanes_registers_and_its_share_of_loads():
    """Horowitz at 45 nm: four fp32 MACs of 4.6 pJ; 64 B of registers at half a 16-bit MAC of 0.883
    pJ each; 0.375 loads of 110 pJ at 28 nm (Vasilakis), by the trend of int8 multiplication.
    """
    load = 110 * tables.node_trend(45, 28)
    expected = 4 * 4.6 + 64 * 0.883 / 2 + 0.375 * load
    assert vector_pj(EDGE.cpu, EDGE.technology) == pytest.approx(expected, rel=1e-3)
    assert register_pj_per_byte(45) == pytest.approx(0.883 / 2, rel=1e-3)
    assert price(prices(EDGE), "cpu_vector_macs") == pytest.approx(
        expected * float(EDGE.cpu.supply_ratio) ** 2, rel=1e-3
    )


def test_a_byte_through_the_caches_is_a_share_of_a_line_and_of_a_load():
    row = next(
        r for r in tables.read_rows("sram")
        if (r["cell"], r["node_nm"], r["size_bytes"], r["width_bits"])
        == ("itrs-lop", "45", "524288", "512")
    )  # fmt: skip
    expected = float(row["read_pj"]) / 64 + 110 * tables.node_trend(45, 28) / 16
    assert cached_byte_pj(EDGE.cpu, EDGE.technology) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("preset", "pj_per_bit", "mw"),
    [("LPDDR4-3200_x32_1ch", 0.96, 10), ("DDR4-2400_x64_1ch", 1.76, 30), ("HBM2_8ch", 0.61, 8)],
)
def test_the_chips_side_of_the_memory_is_cacti_ios(preset, pj_per_bit, mw):
    """Sums of phy_*_d and phy_*_s in CACTI's extio_technology.cc; 1.5 pJ/B of the controller."""
    found = prices(machine("edge-16x16", dram__preset=preset, **AT_45))
    for key in ("dram_read_bytes", "dram_write_bytes"):
        assert price(found, key) == pytest.approx(8 * pj_per_bit + 1.5, rel=1e-4)
    assert found.costs.state_uw["controller"] == (0, mw * 1000)


def test_what_a_description_says_of_its_cores_replaces_the_tables():
    said = {"cpu.vector_energy": "7 pJ", "cpu.cache_energy": "0 pJ"}
    found = prices(load_hardware(EDGE, said))
    assert price(found, "cpu_vector_macs") == 7
    assert price(found, "cpu_cache_bytes") == 0
    waiting = price(found, "cpu_wait_cycles") / price(found, "cpu_cycles")
    assert waiting == pytest.approx(overhead("wait").value, rel=1e-4)


@pytest.mark.parametrize(("spin", "waits"), [("0 cycles", 0), ("1000 cycles", 1000)])
def test_cores_without_a_part_spin_for_so_long_and_sleep(spin, waits):
    """A product of 64^3 on all four cores: three wait while one dispatches, for 65,000 cycles."""
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    result = Replay(machine("cpu-only", cpu__spin=spin), one_step_trace(builder)).run()
    (task,) = (task for record in result.records for task in record.tasks)
    waited = task.work.counts[ACTIONS["cpu_wait_cycles"]]
    assert waited == pytest.approx(3 * waits, abs=3)
    assert task.work.counts[ACTIONS["cpu_vector_macs"]] == 64**3 // 4


def test_work_on_one_core_wakes_no_team():
    builder = StepBuilder()
    builder.elementwise(builder.tensor(100))
    result = Replay(machine("cpu-only"), one_step_trace(builder)).run()
    counts = result.whole.counts
    assert counts[ACTIONS["cpu_wait_cycles"]] == 0
    assert counts[ACTIONS["cpu_cache_bytes"]] == 2 * 4 * 100
    assert isinstance(counts, Counts)


def test_serial_links_draw_power_whether_or_not_anything_passes():
    """Two links of 400 Gb/s both ways at 5 pJ/bit are 8 W; a SoC without them has no such part."""
    rate = 2 * 2 * 400
    found = prices(load_hardware(EDGE, {"technology.serial": f"{rate} Gb/s"}))
    without = prices(EDGE)
    assert found.costs.static_uw["serial"] == 8_000_000
    assert "serial" not in without.costs.static_uw
    assert found.at(Boundary.ARRAY).whole_static_uw == without.at(Boundary.ARRAY).whole_static_uw
    added = found.at(Boundary.CHIP).whole_static_uw - without.at(Boundary.CHIP).whole_static_uw
    assert added == 8_000_000
    low, high = (costs.static_uw["serial"] for costs in (found.low, found.high))
    assert (low, high) == (2_240_000, 16_000_000)
    assert found.costs.dynamic_aj == without.costs.dynamic_aj


def test_the_registers_of_a_vector_operation_come_on_top_of_its_arithmetic():
    """fp32 arithmetic at 45 nm is 2.3 pJ, the mean of 3.7 and 0.9; three registers of 4 B read and
    one written take half a 16-bit MAC of 0.883 pJ per byte.
    """
    npu = machine("edge-16x16-npu", **AT_45)
    charged = load_hardware(npu, {"accelerator.vector.operands": 4})
    assert price(prices(npu), "vector_ops") == pytest.approx(2.3, rel=1e-6)
    expected = 2.3 + 4 * 4 * 0.883 / 2
    assert price(prices(charged), "vector_ops") == pytest.approx(expected, rel=1e-3)


def test_serial_links_are_in_a_runs_energy_by_component():
    linked = load_hardware("edge-16x16", {"technology.serial": "10 Gb/s"})
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    whole = Replay(linked, one_step_trace(builder)).run().whole
    spent = whole.energy_by_component_aj["serial"]
    assert spent == 50_000 * whole.tally.latency_ps
    assert "serial" not in whole.units
