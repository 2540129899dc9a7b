"""Does the clock choose a voltage, and do energies follow it as the textbook says?"""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from simulator import simulate
from simulator.energy import prices, tables
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.operating import OperatingPoint, supply_ratio
from tests.builders import ACTIONS, StepBuilder, one_step_trace

POINTS = tuple(
    OperatingPoint(clock=clock, voltage=voltage)
    for clock, voltage in (("500 MHz", "0.7 V"), ("1 GHz", "0.8 V"), ("2 GHz", "1 V"))
)


@pytest.mark.parametrize(
    ("clock", "millivolts"),
    [(1, 700), (500, 700), (501, 800), (1000, 800), (1001, 1000), (2000, 1000), (3000, 1200)],
)
def test_the_slowest_point_that_is_fast_enough_gives_the_voltage(clock, millivolts):
    assert supply_ratio(clock * 10**6, POINTS, 800) == Fraction(millivolts, 800)


def test_one_point_holds_for_all_clocks_and_none_changes_nothing():
    assert supply_ratio(9 * 10**9, POINTS[:1], 700) == 1
    assert supply_ratio(9 * 10**9, (), 700) == 1


@given(st.integers(1, 5 * 10**9), st.integers(1, 5 * 10**9))
@settings(deadline=None, max_examples=60)
def test_a_faster_clock_never_needs_less(a, b):
    slow, fast = sorted((a, b))
    assert supply_ratio(slow, POINTS, 800) <= supply_ratio(fast, POINTS, 800)


@pytest.mark.parametrize(
    ("clock", "volts"),
    [("500 MHz", 0.7), ("999 MHz", 0.8), ("1.4 GHz", 0.9), ("1.7 GHz", 1.0), ("1844 MHz", 1.1)],
)
def test_the_cpu_pays_the_voltage_of_its_clock_as_linux_lists_it(clock, volts):
    """hi3660.dtsi; the energy as the square, leakage in proportion, of those at 0.9 V."""
    found = prices(load_hardware("edge-16x16", {"cpu.clock": clock}))
    assert found.dynamic_aj[ACTIONS["cpu_cycles"]] == pytest.approx(
        89e6 * (volts / 0.9) ** 2, abs=1
    )
    assert found.static_uw["cpu"] == pytest.approx(60e3 * volts / 0.9, abs=1)


def _written(raw, folder):
    path = folder / "soc.yaml"
    YAML().dump(raw, path)
    return path


def test_the_array_and_its_memories_pay_theirs(tmp_path):
    raw = load_hardware("edge-16x16").as_text()
    points = [{"clock": "500 MHz", "voltage": "0.6 V"}, {"clock": "1 GHz", "voltage": "0.8 V"}]
    raw["accelerator"] |= {"voltage": "0.8 V", "operating_points": points}
    soc = load_hardware(_written(raw, tmp_path))
    fast = prices(soc)
    slow = prices(load_hardware(soc, {"accelerator.clock": "500 MHz"}))
    assert fast == prices(load_hardware("edge-16x16"))
    for name in ("array_macs_issued", "scratchpad_read_bytes", "accumulator_write_bytes"):
        ratio = slow.dynamic_aj[ACTIONS[name]] / fast.dynamic_aj[ACTIONS[name]]
        assert ratio == pytest.approx(0.75**2, rel=1e-4)
    assert slow.static_uw["scratchpad"] / fast.static_uw["scratchpad"] == pytest.approx(
        0.75, rel=0.01
    )
    # Its elements leak 1.9 mW at 0.8 V (Bit Fusion at 16 nm) and have a clock to gate, of half as
    # many Hz here.
    leakage_uw = 256 * tables.pe_leakage_uw("int8", 16)
    clock_uw = fast.static_uw["array"] - leakage_uw
    expected = 0.75 * leakage_uw + 0.75**2 / 2 * clock_uw
    assert slow.static_uw["array"] == pytest.approx(expected, abs=1)
    assert slow.dynamic_aj[ACTIONS["cpu_cycles"]] == fast.dynamic_aj[ACTIONS["cpu_cycles"]]


def _energy(clock, static_uw):
    builder = StepBuilder()
    for _ in range(4):
        builder.gemm(128, 128, 128)
    settings = {
        "cpu.clock": clock,
        "cpu.static_power": f"{static_uw} uW",
        "cpu.bandwidth_per_core": "100 TB/s",
        "dram.preset": "ideal",
        "dram.bandwidth": "100 TB/s",
        "interconnect.width": "65536 B",
        # Nothing but cycles: vectors and caches have the price of their own, which scale likewise.
        "cpu.vector_energy": "0 pJ",
        "cpu.cache_energy": "0 pJ",
        "cpu.spin": "0 cycles",
    }
    result = simulate("cpu-only", one_step_trace(builder, 3), settings)
    return result.total["energy_aj"], result.total["latency_ps"], result


def test_racing_and_then_sleeping_wins_from_the_leakage_of_the_closed_form_on():
    """Work of N cycles at f and V takes C V^2 N + P V N / f: the two lines over P cross once."""
    slow_clock, fast_clock, reference = "999 MHz", "1402 MHz", 0.9
    slow_v, fast_v = 0.8, 0.9
    _, slow_ps, result = _energy(slow_clock, 0)
    _, fast_ps, _ = _energy(fast_clock, 0)
    cycles = sum(
        task.work.counts[ACTIONS["cpu_cycles"]] * record.count
        for record in result.records
        for task in record.tasks
    )
    assert slow_ps / fast_ps == pytest.approx(1402 / 999, rel=0.01)
    saved_aj = 89e6 * cycles * (1 - (slow_v / fast_v) ** 2)
    crossing_uw = saved_aj / ((slow_v * slow_ps - fast_v * fast_ps) / reference)
    for factor, racing_wins in ((0.98, False), (1.02, True)):
        static_uw = round(crossing_uw * factor)
        assert (_energy(fast_clock, static_uw)[0] < _energy(slow_clock, static_uw)[0]) == (
            racing_wins
        )


@pytest.mark.parametrize(
    ("points", "voltage", "told"),
    [
        ([{"clock": "1 GHz", "voltage": "0.8 V"}], None, "operating_points need voltage"),
        (
            [{"clock": "2 GHz", "voltage": "1 V"}, {"clock": "1 GHz", "voltage": "0.8 V"}],
            "1 V",
            "order them by clock",
        ),
        ([{"clock": "1 GHz", "voltage": "0.8"}], "1 V", "0.9 V"),
    ],
)
def test_a_wrong_list_is_told_in_one_sentence(points, voltage, told, tmp_path):
    raw = load_hardware("cpu-only").as_text()
    raw["cpu"]["operating_points"] = points
    raw["cpu"].pop("voltage")
    if voltage:
        raw["cpu"]["voltage"] = voltage
    with pytest.raises(InputError, match=told) as caught:
        load_hardware(_written(raw, tmp_path))
    assert "soc.yaml: cpu" in str(caught.value)


def test_a_result_says_that_a_clock_lies_beyond_all_points():
    """1.844 GHz at 1.1 V after 1.709 GHz at 1 V: 2 GHz lies 156 / 135 of that beyond."""
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    notes = {
        clock: simulate("cpu-only", one_step_trace(builder), {"cpu.clock": clock})
        .identity.provenance.get("notes", [])
        for clock in ("1844 MHz", "2 GHz")
    }  # fmt: skip
    assert notes["1844 MHz"] == []
    (note,) = notes["2 GHz"]
    assert note.startswith("cpu at 2 GHz is beyond its last operating point, 1.84 GHz at 1.1 V")
    assert "voltage of 1.22 V, a guess" in note
