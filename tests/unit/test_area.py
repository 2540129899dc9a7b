"""Is the silicon area that of its sources, at every node, for every part that has one?"""

import csv
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.energy import tables
from simulator.energy.area import area_trend, areas, element_um2
from simulator.hardware import load_hardware

REFERENCE = Path(__file__).parents[1] / "reference" / "energy"
NODES = range(7, 66)


def _synthesised(precision):
    with (REFERENCE / "bitfusion_area.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["precision"] == precision]
    shapes = {(int(row["rows"]), int(row["cols"])): float(row["area_um2"]) for row in rows}
    return {shape: area / (shape[0] * shape[1]) for shape, area in shapes.items()}


def _of(component, hardware):
    (found,) = [part for part in areas(hardware) if part.component == component]
    return found


@pytest.mark.parametrize("precision", ["int2", "int4", "int8", "int16"])
def test_an_integer_element_is_the_synthesised_one_and_its_range_holds_all_shapes(precision):
    shapes, found = _synthesised(precision), element_um2(precision, 45)
    assert found.value == pytest.approx(shapes[4, 4], rel=1e-5)
    assert found.value * found.low == pytest.approx(min(shapes.values()), rel=1e-4)
    assert found.value * found.high == pytest.approx(max(shapes.values()), rel=1e-4)


def test_a_float_element_is_multiplier_adder_and_registers():
    """Aladdin's library at 40 nm: 8970 + 4360 um2, and 5.98 um2 for each of 32 + 32 + 32 bits."""
    assert element_um2("fp32", 40).value == pytest.approx(8970 + 4360 + 96 * 5.98)
    assert element_um2("fp32", 40).confidence == "C"
    assert element_um2("bf16", 40).confidence == "guess"


@pytest.mark.parametrize(("node", "factor"), [(65, 1.5), (32, 0.46), (16, 0.19), (7, 0.059)])
def test_logic_shrinks_as_published(node, factor):
    """Stillmaker and Baas, Integration 58 (2017), table of areas, from 45 nm."""
    assert area_trend(node, 45) == pytest.approx(factor)
    assert element_um2("int8", node).value == pytest.approx(510.733 * factor)


@pytest.mark.parametrize("precision", ["int2", "int8", "mx6", "fp16", "bf16", "fp32"])
def test_elements_grow_with_the_node(precision):
    found = [element_um2(precision, node).value for node in NODES]
    assert all(small < large for small, large in pairwise(found))


def test_elements_grow_with_the_bits():
    families = (("int2", "int4", "int8", "int16"), ("bf16", "fp16", "fp32"))
    for family in families:
        found = [element_um2(precision, 28).value for precision in family]
        assert found == sorted(set(found))


def test_the_array_is_its_elements():
    one = {"accelerator.rows": 1, "accelerator.cols": 1, "technology.node": "45 nm"}
    many = one | {"accelerator.rows": 16, "accelerator.cols": 8, "accelerator.arrays": 3}
    small, large = (_of("array", load_hardware("edge-16x16", knobs)) for knobs in (one, many))
    assert small.mm2 == pytest.approx(510.733e-6, rel=1e-5)
    assert large.mm2 == pytest.approx(384 * small.mm2)
    assert large.low_mm2 < large.mm2 < large.high_mm2


def test_the_scratchpad_is_the_banks_of_cacti():
    """itrs-lop at 22 nm, 128 bits wide: 256 KiB 0.26431 mm2; 512 bits: 64 KiB 0.0609922 mm2."""
    knobs = {"technology.node": "22 nm", "technology.sram_cell": "itrs-lop"}
    found = _of("scratchpad", load_hardware("edge-16x16", knobs))
    assert found.mm2 == pytest.approx(0.26431 + 0.0609922, rel=1e-5)
    assert found.confidence == "A"
    assert "CACTI 7" in found.source


def test_below_22_nm_memory_shrinks_like_logic_and_is_a_guess():
    large, small = (
        _of("llc", load_hardware("edge-16x16", {"technology.node": node}))
        for node in ("22 nm", "16 nm")
    )
    assert small.mm2 / large.mm2 == pytest.approx(area_trend(16, 22))
    assert (large.confidence, small.confidence) == ("A", "guess")


@pytest.mark.parametrize("cell", ["itrs-hp", "itrs-lop", "itrs-lstp"])
@pytest.mark.parametrize("node", [7, 16, 22, 45])
def test_memory_grows_with_its_size(cell, node):
    knobs = {"technology.sram_cell": cell, "technology.node": f"{node} nm"}
    found = [
        _of("llc", load_hardware("edge-16x16", knobs | {"cpu.llc.size": f"{size} KiB"})).mm2
        for size in (64, 128, 256, 512, 1024, 2048)
    ]
    assert all(small < large for small, large in pairwise(found))


def test_a_weight_buffer_adds_its_bank():
    plain = load_hardware("edge-16x16")
    more = load_hardware("edge-16x16", {"accelerator.weight_buffer": "64 KiB"})
    extra = _of("scratchpad", more).mm2 - _of("scratchpad", plain).mm2
    bank = tables.sram_mm2("itrs-lstp", 22, 2**16, 128) * area_trend(16, 22)
    assert extra == pytest.approx(bank)


def test_what_has_no_source_has_no_area():
    parts = {part.component for part in areas(load_hardware("cpu-only"))}
    assert parts == {"llc"}
    assert not areas(load_hardware("cpu-only", {"cpu.llc.size": "0 B"}))


@pytest.mark.parametrize("table", ["area", "scaling", "spread"])
def test_every_row_has_a_source_and_a_confidence(table):
    for row in tables.read_rows(table):
        assert row["source"]
        assert row["confidence"] in {"A", "B", "C", "guess"}
        assert (row["confidence"] == "guess") == ("guess" in row["source"])
