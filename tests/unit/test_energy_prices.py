"""Does every action of a SoC get its price, exactly, in the right component?"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import memo, simulate
from simulator.activity import Counts, DramStates
from simulator.energy import COMPONENTS, prices, tables
from simulator.energy.price_file import Dynamic
from simulator.hardware import load_hardware
from simulator.hardware.precision import ARRAY_FORMATS
from tests.builders import ACTIONS, StepBuilder, counts, one_step_trace

REFERENCE = Path(__file__).parents[1] / "reference" / "energy"
EDGE = load_hardware("edge-16x16")
PRICES = prices(EDGE)

EVERY = tuple(PRICES.dynamic_aj)
amounts = st.lists(st.integers(0, 10**15), min_size=len(EVERY), max_size=len(EVERY)).map(
    lambda found: Counts(dict(zip(EVERY, found, strict=True)))
)


def _edge(**overrides):
    changes = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_hardware(EDGE, changes)


_NO_TIME = DramStates()


def _spent(found, counts, duration_ps=0, states=_NO_TIME):
    return found.within.by_component_aj(counts, duration_ps, states)


def price(costs, key):
    return costs.dynamic_aj[ACTIONS[key]]


@given(amounts, amounts, st.integers(0, 10**6))
def test_energy_is_linear_in_the_counts(a, b, factor):
    whole = _spent(PRICES, a.plus(b.times(factor)))
    x, y = _spent(PRICES, a), _spent(PRICES, b)
    assert whole == {name: x[name] + factor * y[name] for name in COMPONENTS}


@given(amounts)
def test_the_components_sum_to_the_total(counts):
    assert sum(_spent(PRICES, counts).values()) == PRICES.dynamic_aj_of(counts)


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_a_microwatt_during_a_picosecond_is_an_attojoule(first, second):
    whole = _spent(PRICES, Counts(), first + second)
    assert whole == {name: PRICES.static_uw[name] * (first + second) for name in COMPONENTS}
    a, b = _spent(PRICES, Counts(), first), _spent(PRICES, Counts(), second)
    assert whole == {name: a[name] + b[name] for name in COMPONENTS}


def test_every_price_is_an_integer_and_every_action_has_a_component():
    assert all(type(price) is int and price >= 0 for price in PRICES.dynamic_aj.values())
    assert all(type(power) is int and power >= 0 for power in PRICES.static_uw.values())
    assert PRICES.component.keys() == PRICES.dynamic_aj.keys()
    assert set(PRICES.component.values()) == set(COMPONENTS)
    assert set(PRICES.static_uw) == {*COMPONENTS, "board"}


def test_every_action_costs_something():
    assert all(price for price in PRICES.dynamic_aj.values())


def test_a_table_of_prices_takes_every_format_of_an_array():
    assert {f"array_macs_in_{name}" for name in ARRAY_FORMATS} <= set(Dynamic.model_fields)


def test_every_precision_of_an_array_has_a_price_of_its_own():
    soc = _edge()
    names = ("int6", "int8", "int12")
    array = soc.accelerator.model_copy(update={"precision": "fp32", "precisions": names})
    found = prices(soc.model_copy(update={"accelerator": array}))
    mac = {name: round(tables.mac_pj(name, 16) * 10**6) for name in (*names, "fp32")}
    assert price(found, "array_macs_issued") == mac["fp32"]
    assert price(found, "array_macs_in_int6") == mac["int6"]
    assert price(found, "array_macs_in_int8") == mac["int8"]
    assert ACTIONS["array_macs_in_int16"] not in found.dynamic_aj
    int4, int16 = (tables.mac_pj(name, 16) * 10**6 for name in ("int4", "int16"))
    assert int4 < mac["int6"] < mac["int8"] < mac["int12"] < int16 < mac["fp32"]


def test_an_issued_mac_costs_what_the_table_says_at_the_precision_and_node():
    for precision in ("int8", "bf16", "fp32"):
        hardware = _edge(accelerator__precision=precision, technology__node="28 nm")
        expected = tables.mac_pj(precision, 28) * 10**6
        assert price(prices(hardware), "array_macs_issued") == round(expected)


def test_a_scratchpad_byte_is_its_share_of_one_access_as_wide_as_the_array():
    """CACTI, 22 nm, itrs-lop: 256 KiB by 128 bits reads 12.01 pJ, 64 KiB by 512 bits 14.89 pJ."""
    found = prices(_edge(technology__node="22 nm", technology__sram_cell="itrs-lop"))
    assert price(found, "scratchpad_read_bytes") == pytest.approx(12.01e6 / 16, rel=1e-3)
    assert price(found, "scratchpad_write_bytes") == pytest.approx(10.42e6 / 16, rel=1e-3)
    assert price(found, "accumulator_read_bytes") == pytest.approx(14.89e6 / 64, rel=1e-3)
    assert price(found, "accumulator_write_bytes") == pytest.approx(19.76e6 / 64, rel=1e-3)


def test_the_array_leaks_element_by_element_and_the_scratchpads_by_their_bank():
    """Bit Fusion int8 at 45 nm: 257.7 uW for 16 elements; CACTI itrs-lop 45 nm: 256 + 64 KiB."""
    lop = {"technology__node": "45 nm", "technology__sram_cell": "itrs-lop"}
    found = prices(_edge(**lop, accelerator__cols=8))
    # An element has 48 register bits of 3.2 fJ and a quarter for control; a gated clock takes 10 %.
    gated_uw = 0.1 * 128 * 48 * 3.2e-15 * 1.25 * 1e9 * 1e6
    assert found.static_uw["array"] == pytest.approx(257.7 * 8 + gated_uw, abs=1)
    banks = [tables.sram("itrs-lop", 45, 2**18, 128), tables.sram("itrs-lop", 45, 2**16, 256)]
    leaked_mw = sum(bank.leakage_mw for bank in banks)
    assert found.static_uw["scratchpad"] == pytest.approx(leaked_mw * 1000, abs=1)


def test_the_technology_chooses_the_scaling():
    found = prices(_edge(technology__node="7 nm", technology__scaling="stillmaker"))
    assert price(found, "array_macs_issued") == pytest.approx(
        0.3e6 * 0.094, rel=5e-3
    )  # Horowitz's MAC
    anchored = prices(_edge(technology__node="7 nm"))
    for name in ("scratchpad_read_bytes", "accumulator_write_bytes", "interconnect_bytes"):
        assert price(found, name) < price(anchored, name)
    assert price(found, "cpu_cycles") == price(anchored, "cpu_cycles")
    assert price(found, "dram_activates") == price(anchored, "dram_activates")


@given(amounts, st.integers(0, 10**15))
@settings(deadline=None, max_examples=60)
def test_from_32_to_8_bits_each_action_changes_by_the_ratio_of_its_rows(amounts, duration):
    """Horowitz at 45 nm: 0.3 against 4.6 pJ per MAC; CACTI, itrs-lop: 256 KiB by 128 or 512 bits.

    An element has two operands of so many bits in registers, and a sum of 32. The accumulator, 32
    bits wide for both, the CPU, the interconnect and DRAM do not notice.
    """
    at_45 = {"technology__node": "45 nm", "technology__sram_cell": "itrs-lop"}
    narrow, wide = (
        prices(_edge(accelerator__precision=name, **at_45)) for name in ("int8", "fp32")
    )
    lop = [row for row in tables.read_rows("sram") if row["cell"] == "itrs-lop"]
    bank = {
        int(row["width_bits"]): row
        for row in lop
        if (row["node_nm"], row["size_bytes"]) == ("45", "262144")
    }
    ratios = {"array_macs_issued": 0.3 / 4.6, "array_element_cycles": 48 / 96}
    for way in ("read", "write"):
        eight, thirty_two = (float(bank[width][f"{way}_pj"]) / width for width in (128, 512))
        ratios[f"scratchpad_{way}_bytes"] = eight / thirty_two
    for action, count in amounts.items():
        name, alone = action.key, Counts({action: count})
        eight, thirty_two = narrow.dynamic_aj_of(alone), wide.dynamic_aj_of(alone)
        if name in ratios:
            assert eight == pytest.approx(thirty_two * ratios[name], rel=1e-5)
        else:
            assert eight == thirty_two
    for name in ("cpu", "interconnect", "dram", "scratchpad"):
        static = [_spent(found, Counts(), duration)[name] for found in (narrow, wide)]
        assert static[0] == static[1] or name == "scratchpad"


def test_a_whole_edge_tpu_needs_what_is_published():
    """Coral Edge TPU: 4 TOPS of int8 at 2 W, 1.0 pJ per MAC with all that is on the chip, 28 nm.

    64 x 64 elements (recalled) with its 8 MB as one scratchpad and accumulator of low operating
    power (guesses) run a product of 1024 x 1024 x 1024: what array and memories spend, leakage
    apart, must be less than the chip's, which the range reaches.
    """
    knobs = {
        "accelerator.rows": 64, "accelerator.cols": 64, "accelerator.clock": "480 MHz",
        "accelerator.scratchpad": "6 MiB", "accelerator.accumulator": "2 MiB",
        "technology.node": "28 nm", "technology.sram_cell": "itrs-lop", "dram.preset": "ideal",
    }  # fmt: skip
    builder = StepBuilder()
    builder.gemm(1024, 1024, 1024)
    result = simulate("edge-16x16", one_step_trace(builder, 1), knobs)
    (task,) = [
        task
        for record in result.records
        for task in record.tasks
        if task.work.counts[ACTIONS["array_macs_issued"]]
    ]
    macs = task.work.counts[ACTIONS["array_macs_issued"]]
    ends = [
        _on_chip_aj(costs.dynamic_aj, task.work.counts) / 10**6 / macs
        for costs in (result.prices.low, result.prices, result.prices.high)
    ]
    low, value, high = ends
    assert 0.15 < low < value < 1.0 < high < 1.5


def _on_chip_aj(dynamic, counts):
    on_chip = ("array", "scratchpad")
    return sum(n * dynamic[a] for a, n in counts.items() if PRICES.component[a] in on_chip)


def test_the_cpu_is_priced_as_described():
    assert price(PRICES, "cpu_cycles") == EDGE.cpu.energy_per_cycle
    assert PRICES.static_uw["cpu"] == EDGE.cpu.static_power


def test_a_byte_on_the_interconnect_pays_eight_wires_of_the_guessed_length_and_a_router():
    found = price(prices(_edge(technology__node="22 nm")), "interconnect_bytes")
    router = 4.8 * tables.node_trend(22, 45)
    assert found == round((8 * 0.156 * 5 + router) * 10**6)  # CACTI wire at 22 nm, 5 mm


def test_without_an_accelerator_array_and_scratchpad_cost_nothing():
    found = prices(load_hardware(EDGE, {"accelerator": None}))
    spent = _spent(found, Counts(dict.fromkeys(found.dynamic_aj, 1)))
    for component in ("array", "scratchpad"):
        assert spent[component] == 0
        assert found.static_uw[component] == 0
    of_cpu = [name for name in ACTIONS if name.startswith("cpu_")]
    assert spent["cpu"] == sum(price(PRICES, name) for name in of_cpu)


def test_the_ideal_dram_is_free():
    found = prices(_edge(dram__preset="ideal"))
    once = Counts(dict.fromkeys(found.dynamic_aj, 1))
    spent = _spent(found, once, 1000, DramStates(1000, 1000))
    assert spent["dram"] == spent["controller"] == 0


def test_typical_silicon_scales_commands_standby_and_refresh():
    half, all_of_it = (prices(_edge(technology__dram_typical=share)) for share in ("50 %", "100 %"))
    for name in ("dram_activates", "dram_read_bursts", "dram_write_bursts"):
        assert price(half, name) == pytest.approx(price(all_of_it, name) / 2, abs=1)
    for name in ("array_macs_issued", "dram_read_bytes"):
        assert price(half, name) == price(all_of_it, name)
    for states in (DramStates(), DramStates(0, 1), DramStates(1, 1)):
        drawn = [_spent(each, Counts(), 1, states)["dram"] for each in (half, all_of_it)]
        assert drawn[0] == pytest.approx(drawn[1] / 2, abs=2)


def test_dram_standby_and_refresh_add_up_over_the_channels():
    """DDR4-2400 x64: 412.8 mW standby and 695.242 nJ every 9360 x 833 ps, per channel."""
    one, two = (
        _standing_uw(prices(_edge(dram__preset=f"DDR4-2400_x64_{channels}ch", **DATASHEET)))
        for channels in (1, 2)
    )
    assert one == pytest.approx(412_800 + 695.242e-9 / (9360 * 833e-12) * 1e6, abs=1)
    assert two == pytest.approx(2 * one, abs=1)


DATASHEET = {"technology__dram_typical": "100 %"}


def _standing_uw(found):
    """Return what the memory draws in standby."""
    return _spent(found, Counts(), 1, DramStates(1, 1))["dram"]


def _streaming_rows():
    with (REFERENCE / "dram_streaming.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "row", _streaming_rows(), ids=lambda row: f"{row['config']}-{row['pattern']}"
)
def test_streaming_costs_as_much_per_bit_as_in_a_dram_simulator(row):
    """One activate per row of granules, at the bandwidth that the simulator reached."""
    hardware = _edge(dram__preset=row["config"], **DATASHEET)
    device, found = hardware.dram.device, prices(hardware)
    bursts = 10**6
    activates = counts(dram_activates=bursts * device.granule // device.row)
    kind = "dram_read_bursts" if row["pattern"] == "seq_read" else "dram_write_bursts"
    whole = activates.plus(counts(**{kind: bursts}))
    duration_ps = round(bursts * device.granule * 1000 / float(row["bus_GBps"]))
    states = DramStates(duration_ps, duration_ps)
    spent_aj = _spent(found, whole, duration_ps, states)["dram"]
    pj_per_bit = spent_aj / 10**6 / (8 * device.granule * bursts)
    assert pj_per_bit == pytest.approx(float(row["pJ_per_bit_bus"]), rel=0.05)


def test_prices_read_each_table_once_whatever_the_machine():
    def reads():
        return tables.read_rows.cache_info().misses

    memo.clear()
    first = prices(EDGE)
    assert reads() == 5  # arithmetic, overheads, spread, sram, wire
    prices(_edge(technology__node="28 nm", accelerator__precision="fp16"))
    assert reads() == 5
    memo.clear()
    assert prices(EDGE) == first


def test_the_room_imports_no_heavy_library():
    script = (
        "import sys, simulator.energy; "
        "print(*sorted({'simpy', 'torch', 'matplotlib', 'polars', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
