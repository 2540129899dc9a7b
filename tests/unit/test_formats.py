"""Does a wider number format cost clock, stages and area, and does a run say so?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import simulate, sweep
from simulator.energy.area import areas
from simulator.energy.formats import delay_fo4, fastest_hz, format_notes, stages_for
from simulator.hardware import load_hardware
from simulator.hardware.precision import ARRAY_FORMATS
from simulator.hardware.shipped import hardware_names
from tests.builders import StepBuilder, one_step_trace


def test_cells_multiply_add_has_six_stages_of_11_fo4():
    """Oh et al., JSSC 2006: 66 FO4 in all; at one stage, 63 of logic and 3 of a register."""
    assert delay_fo4("fp32") == 6 * 11
    assert fastest_hz("fp32", 16) == pytest.approx(1e12 / (66 * 16), rel=1e-6)
    assert fastest_hz("fp32", 16, 6) == pytest.approx(1e12 / ((63 / 6 + 3) * 16), rel=1e-6)


@given(st.sampled_from(ARRAY_FORMATS), st.integers(7, 65), st.integers(10**7, 10**10))
def test_the_stages_for_a_clock_are_the_fewest_that_reach_it(name, node, clock):
    stages = stages_for(name, node, clock)
    if stages is None:
        assert fastest_hz(name, node, 32) < clock
        return
    assert fastest_hz(name, node, stages) >= clock
    assert stages == 1 or fastest_hz(name, node, stages - 1) < clock


def test_wider_formats_are_slower():
    for narrow, wide in (("int4", "int8"), ("int8", "int16"), ("int16", "bf16"), ("bf16", "fp32")):
        assert fastest_hz(wide, 16) < fastest_hz(narrow, 16)
    assert delay_fo4("int11") == delay_fo4("int16")


@pytest.mark.parametrize("name", hardware_names())
def test_machines_that_ship_are_clocked_within_their_format_or_say_nothing_of_stages(name):
    """Four of them have a pipeline that nobody published, and a clock that nobody doubts."""
    soc = load_hardware(name)
    unknown = ("edge-16x16-mp", "jetson-xavier-", "scalesim")
    assert not [*format_notes(soc)] or name.startswith(unknown)
    assert not soc.accelerator or not name.startswith(unknown) or not soc.accelerator.pipeline_depth


def _trace():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    return one_step_trace(builder)


def test_an_fp32_array_at_the_clock_of_int8_is_named_with_the_fix():
    fast = {"accelerator.precision": "fp32", "technology.node": "28 nm"}
    (note,) = simulate("edge-16x16", _trace(), fast).identity.provenance["notes"]
    assert "accelerator: an fp32 element of 1 stage reaches about 541 MHz at 28 nm" in note
    assert "set accelerator.pipeline_depth to 2 cycles" in note
    fixed = simulate("edge-16x16", _trace(), {**fast, "accelerator.pipeline_depth": "2 cycles"})
    assert "notes" not in fixed.identity.provenance


def test_a_sweep_marks_the_points_that_are_clocked_beyond_their_format():
    table = sweep(
        {"accelerator.precision": ["int8", "fp32"], "technology.node": ["28 nm"]}, _trace()
    )
    beyond = dict(table.select("accelerator.precision", "clock_beyond_format").iter_rows())
    assert beyond["int8"] is None
    assert beyond["fp32"] == pytest.approx(1e9 * 66 * 28e-12)


def test_an_array_of_several_formats_is_as_large_as_the_largest():
    several, one = (
        {each.component: each.mm2 for each in areas(load_hardware(soc, settings))}
        for soc, settings in (
            ("edge-16x16-mp", {"accelerator.precision": "int8"}),
            ("edge-16x16", {"accelerator.precision": "int16"}),
        )
    )
    assert several["array"] == pytest.approx(one["array"])
