"""The points of a design space against plain loops over the same values."""

import itertools
import re
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.energy.area import areas
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.sweeps import space as space_module
from simulator.sweeps.axis import Axis, parse_axes, read_axes
from simulator.sweeps.space import DesignSpace, Point

BASE = load_hardware("edge-16x16")
ROWS, COLS, PAD = "accelerator.rows", "accelerator.cols", "accelerator.scratchpad"
_PADS = ("64 KiB", "256 KiB")
DEVICE = "LPDDR4-3200_x32_1ch"


def _space(*texts: str, conditions: tuple[str, ...] = ()) -> DesignSpace:
    return DesignSpace(BASE, "edge-16x16", parse_axes(texts), conditions)


def _settings(space: DesignSpace) -> list[dict[str, str]]:
    return [dict(space.point(number).settings) for number in space.allowed()]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 4), max_size=5))
def test_numbers_and_indices_are_one_to_one(lengths):
    axes = tuple(
        Axis((f"key{at}",), tuple((str(value),) for value in range(length)))
        for at, length in enumerate(lengths)
    )
    space = DesignSpace(BASE, "edge-16x16", axes)
    grid = list(itertools.product(*map(range, lengths)))
    assert space.size == prod(lengths) == len(grid)
    assert [space.indices(number) for number in range(space.size)] == grid
    assert [space.number(indices) for indices in grid] == list(range(space.size))


def test_points_come_as_nested_loops_give_them():
    space = _space(f"{ROWS}=8,16", f"{PAD}=64 KiB,128 KiB,1 MiB", f"{COLS}=16,4")
    values = itertools.product(("8", "16"), ("64 KiB", "128 KiB", "1 MiB"), ("16", "4"))
    assert _settings(space) == [dict(zip((ROWS, PAD, COLS), each, strict=True)) for each in values]


def test_linked_settings_move_together():
    equal = _space(f"{ROWS}={COLS}=8,16,32")
    assert _settings(equal) == [{ROWS: n, COLS: n} for n in ("8", "16", "32")]
    pairs = DesignSpace(BASE, "edge-16x16", read_axes({f"{ROWS}, {COLS}": [[8, 32], [32, 8]]}))
    assert _settings(pairs) == [{ROWS: "8", COLS: "32"}, {ROWS: "32", COLS: "8"}]
    assert pairs.knobs == (ROWS, COLS)


def test_labels_are_no_settings():
    point = _space("trace=a,b", f"{ROWS}=8").point(1)
    assert point == Point({ROWS: "8"}, {"trace": "b"})


def test_values_are_plain_numbers_whatever_their_text():
    space = _space(f"{PAD}=64 KiB,1 MiB", "accelerator.dataflow=ws,os", "batch=8,16")
    assert space.values == (((65536,), (1048576,)), (("ws",), ("os",)), ((8,), (16,)))
    assert space.table([0, 7]).to_dicts() == [
        {PAD: 65536, "accelerator.dataflow": "ws", "batch": 8},
        {PAD: 1048576, "accelerator.dataflow": "os", "batch": 16},
    ]
    assert _space("batch=\u00b2").values == ((("\u00b2",),),)  # a digit, yet no number


def test_a_space_without_axes_is_one_point():
    space = _space()
    assert (space.size, space.allowed(), space.resolve(space.point(0))) == (1, [0], BASE)


def test_conditions_on_knobs_and_on_what_is_fixed_equal_a_loop():
    space = _space(f"{ROWS}=4,8,16,32", f"{PAD}=64 KiB,256 KiB", conditions=("rows * cols <= 256",))
    expected = [
        settings
        for settings in ({ROWS: r, PAD: p} for r in ("4", "8", "16", "32") for p in _PADS)
        if int(settings[ROWS]) * BASE.accelerator.cols <= 256
    ]
    assert _settings(space) == expected
    both = _space(f"{ROWS}=4,8", conditions=("rows < 8", "cpu.clock = 1.4 GHz"))
    assert _settings(both) == [{ROWS: "4"}]


def _mm2(settings: dict[str, str], part: str = "") -> float:
    parts = areas(load_hardware(BASE, settings))
    return sum(found.mm2 for found in parts if part in ("", found.component))


@pytest.mark.parametrize("part", ["", "array", "scratchpad"])
@pytest.mark.parametrize("kept", [1, 3, 5])
def test_conditions_on_area_equal_a_loop_over_the_areas_of_each_point(part, kept):
    grid = [{ROWS: r, PAD: p} for r, p in itertools.product(("8", "16", "64"), _PADS)]
    limit = sorted(_mm2(settings, part) for settings in grid)[kept]
    text = f"area_{part}_mm2 < {limit!r} mm2" if part else f"area < {limit!r} mm2"
    expected = [settings for settings in grid if _mm2(settings, part) < limit]
    space = _space(f"{ROWS}=8,16,64", f"{PAD}=64 KiB,256 KiB", conditions=(text, "cols = 16"))
    if expected:
        assert _settings(space) == expected
    else:
        with pytest.raises(InputError, match="no point of the space meets"):
            space.allowed()


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        (("rows > 100",), "'rows > 100': change it"),
        (("cols = 16", "rows > 8", "rows < 16"), "both 'rows > 8' and 'rows < 16'"),
        (("area < 0.001 mm2",), "'area < 0.001 mm2'"),
        (
            ("rows != 8", "rows != 16 or cols = 3", "rows != 32"),
            "'rows != 8' and 'rows != 16 or cols = 3' and 'rows != 32' together",
        ),
    ],
)
def test_conditions_that_leave_nothing_are_named(conditions, sentence):
    space = _space(f"{ROWS}=8,16,32", conditions=conditions)
    with pytest.raises(InputError, match=re.escape(f"no point of the space meets {sentence}")):
        space.allowed()


def test_a_condition_on_a_result_is_told_before_anything_runs():
    with pytest.raises(InputError, match="condition 'energy < 1 J'"):
        _space(f"{ROWS}=8,16", conditions=("energy < 1 J",)).allowed()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{ROWS}=8,0", "accelerator.rows: 0: input should be greater than 0"),
        (f"{ROWS}=8..64", "key=8..64:x2 (doubling)"),
        (f"{ROWS}=\u00b2", "accelerator.rows: '\u00b2'"),
        (f"{PAD}=64", "has no unit"),
        ("accelerator.precision=int8,fp33", "'fp33'"),
        ("dram.preset=DDR9", "no DRAM 'DDR9'"),
        ("dram.bandwidth=10 GB/s", "only preset ideal takes another"),
    ],
)
def test_a_value_that_is_wrong_by_itself_is_told(text, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        _ = _space(text, f"{COLS}=8,16").values


def test_a_value_may_need_that_of_another_axis():
    space = _space("dram.bandwidth=10 GB/s", f"dram.preset={DEVICE},ideal")
    assert space.values[0] == ((10**10,),)
    assert space.resolve(space.point(1)).dram.bandwidth == 10**10
    with pytest.raises(InputError, match="only preset ideal takes another"):
        space.resolve(space.point(0))


def test_the_other_value_is_found_in_a_grid_of_which_few_points_are_tried(monkeypatch):
    monkeypatch.setattr(space_module, "_TRIED", 4)
    space = _space(f"{ROWS}=1..8:+1", "dram.bandwidth=10 GB/s", f"dram.preset={DEVICE},ideal")
    assert space.values[1] == ((10**10,),)


def test_points_that_do_not_fit_together_have_no_area():
    texts = ("accelerator.dma.outstanding=4", "accelerator.dma.latency=0 ns,100 ns")
    assert _space(*texts).allowed() == [0, 1]
    assert _space(*texts, conditions=("area > 0 mm2",)).allowed() == [1]


def test_a_grid_too_large_to_list_is_told():
    space = _space(f"{ROWS}=1..1001:+1", f"{COLS}=1..1000:+1")
    with pytest.raises(InputError, match="the grid has 1,001,000 points"):
        space.allowed()


def test_settings_of_a_part_that_another_setting_takes_away_are_told():
    with pytest.raises(InputError, match="accelerator is 'there'"):
        load_hardware(BASE, {"accelerator": "there", ROWS: "8"})
    with pytest.raises(InputError, match="this hardware has no accelerator"):
        load_hardware(BASE, {"accelerator": "none", ROWS: "8"})


def test_a_baseline_is_itself_whatever_the_axes_say():
    other = load_hardware("cpu-only")
    space = DesignSpace(BASE, "edge-16x16", parse_axes([f"{ROWS}=8"]), baselines={"cpu": other})
    assert space.resolve(Point({}, {}, "cpu")) == other
