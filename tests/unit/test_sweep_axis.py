"""The values that an axis takes, in every form that a command line and a file have for them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.hardware.settings import quantity_of
from simulator.sweeps.axis import Axis, parse_axes, read_axes
from simulator.units import FREQUENCY, SIZE

ROWS, COLS, PAD = "accelerator.rows", "accelerator.cols", "accelerator.scratchpad"


def _values(text: str) -> list[str]:
    (axis,) = parse_axes([text])
    return [choice[0] for choice in axis.choices]


def _bytes(text: str) -> list[int]:
    return [SIZE.parse(value) for value in _values(text)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", ["8"]),
        ("8,16", ["8", "16"]),
        (" 8 , 16 ,", ["8", "16"]),
        ("8..64:x2", ["8", "16", "32", "64"]),
        ("8..60:x2", ["8", "16", "32"]),
        ("8 .. 32 : + 8", ["8", "16", "24", "32"]),
        ("8..8:x2", ["8"]),
        ("4..6:+1,100", ["4", "5", "6", "100"]),
        ("1..1000:x10", ["1", "10", "100", "1000"]),
    ],
)
def test_values_of_a_text(text, values):
    assert _values(f"{ROWS}={text}") == values


def test_the_path_of_a_trace_may_begin_with_dots():
    assert _values("trace=../a.trace,../../b.trace") == ["../a.trace", "../../b.trace"]


def test_equal_keys_move_together():
    (axis,) = parse_axes([f"{ROWS} = {COLS} = 8,16"])
    assert axis == Axis((ROWS, COLS), (("8", "8"), ("16", "16")))
    assert (axis.name, axis.is_equal) == (f"{ROWS} = {COLS}", True)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 50), st.integers(0, 500), st.integers(2, 5))
def test_multiplying_ranges_are_all_powers_that_fit(low, more, by):
    high = low + more
    expected = [low * by**n for n in range(20) if low * by**n <= high]
    assert [int(value) for value in _values(f"{ROWS}={low}..{high}:x{by}")] == expected


@settings(deadline=None, max_examples=100)
@given(st.integers(-20, 50), st.integers(0, 300), st.integers(1, 40))
def test_ranges_in_steps_are_those_of_python(low, more, by):
    high = low + more
    expected = list(range(low, high + 1, by))
    assert [int(value) for value in _values(f"{ROWS}={low}..{high}:+{by}")] == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 64), st.integers(1, 32), st.integers(100, 900))
def test_ranges_with_units_are_exact(low, high, step):
    """Low and high ends may be in different units: whatever the text of a value, it is exact."""
    ends = low * 2**10, high * 2**20
    assert _bytes(f"{PAD}={low} KiB..{high} MiB:x2") == [
        ends[0] * 2**n for n in range(20) if ends[0] * 2**n <= ends[1]
    ]
    assert _bytes(f"{PAD}={low} KiB..{high} MiB:+{step} kB") == list(
        range(ends[0], ends[1] + 1, step * 1000)
    )


def test_the_example_of_mixed_units():
    assert _values(f"{PAD}=512 KiB..2 MiB:x2") == ["512 KiB", "1 MiB", "2 MiB"]
    clocks = _values("cpu.clock=500 MHz..1.5 GHz:+500 MHz")
    assert [FREQUENCY.parse(clock) for clock in clocks] == [5 * 10**8, 10**9, 15 * 10**8]


@pytest.mark.parametrize(
    ("entries", "choices"),
    [
        ({ROWS: 8}, [("8",)]),
        ({ROWS: [8, "16"]}, [("8",), ("16",)]),
        ({ROWS: "8..32:x2"}, [("8",), ("16",), ("32",)]),
        ({ROWS: ["8..16:x2", 100]}, [("8",), ("16",), ("100",)]),
        ({ROWS: {"from": 8, "to": 32, "times": 2}}, [("8",), ("16",), ("32",)]),
        ({ROWS: {"from": 8, "to": 32, "step": 12}}, [("8",), ("20",), ("32",)]),
        ({PAD: {"from": "1 KiB", "to": "2 KiB", "step": "1 KiB"}}, [("1 KiB",), ("2 KiB",)]),
        ({f"{ROWS} = {COLS}": [8, 16]}, [("8", "8"), ("16", "16")]),
        ({f"{ROWS} = {COLS}": {"from": 8, "to": 16, "times": 2}}, [("8", "8"), ("16", "16")]),
        ({f"{ROWS}, {COLS}": [[8, 16], [16, 8]]}, [("8", "16"), ("16", "8")]),
        ({"accelerator.transposer": [True, False]}, [("true",), ("false",)]),
    ],
)
def test_values_of_a_file(entries, choices):
    (axis,) = read_axes(entries)
    assert list(axis.choices) == choices


def test_linked_keys_have_a_name_that_reads_back():
    (axis,) = read_axes({f"{ROWS}, {COLS}": [[8, 16], [16, 8]]})
    assert axis.name == f"{ROWS}, {COLS}"
    assert read_axes({axis.name: [list(choice) for choice in axis.choices]}) == (axis,)


@pytest.mark.parametrize("how", ["", "accelerator.rows", "=8", "accelerator.rows=", "a==8"])
def test_a_text_that_is_no_axis_shows_how_to_write_one(how):
    with pytest.raises(InputError, match=re.escape(f"--set {how}: write it as key=v1,v2")):
        parse_axes([how])


@pytest.mark.parametrize(
    "values",
    ["64..8:x2", "8..64:x1", "8..64:x0", "8..64:x-2", "8..64:+0", "8..64:+-2", "0..8:x2"],
)
def test_empty_and_endless_ranges_are_told(values):
    with pytest.raises(InputError, match="is empty or has no end"):
        parse_axes([f"{ROWS}={values}"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{ROWS}=,", "has no values"),
        (f"{ROWS}=8,8", "axis accelerator.rows: 8 is given twice"),
        (f"{ROWS}=8,4..8:+2", "axis accelerator.rows: 8 is given twice"),
        (f"{ROWS}={ROWS}=8", "accelerator.rows is given twice"),
        ("acelerator.rows=8", "did you mean accelerator.rows?"),
        ("traces=a", "did you mean trace?"),
        (f"{ROWS}=1..100000:+1", "has more than 10000 values"),
        (f"{ROWS}=a..b:+1", "not numbers"),
        (f"{ROWS}=1..nan:+1", "not numbers"),
        (f"{ROWS}=nan..3:x2", "not numbers"),
        (f"{ROWS}=1..3:xnan", "not numbers"),
        (f"{ROWS}=1..inf:x2", "not numbers"),
        ("accelerator.precision=int8..fp32:x2", "not numbers"),
        (f"{PAD}=64..256:x2", "'64' has no unit"),
        (f"{PAD}=64 KiB..1 MiB:+64", "'64' has no unit"),
        (f"{PAD}=64 KiB..1 MHz:x2", "not a unit of size"),
    ],
)
def test_a_wrong_axis_is_told(text, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        parse_axes([text])


def test_a_key_in_two_axes_is_told():
    with pytest.raises(InputError, match=f"axis {ROWS}: given twice; list all its values once"):
        parse_axes([f"{ROWS}=8", f"{ROWS}={COLS}=16"])
    with pytest.raises(InputError, match="given twice"):
        read_axes({ROWS: [8], f"{ROWS}, {COLS}": [[8, 8]]})


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({ROWS: []}, "has no values"),
        ({ROWS: None}, "null is no value"),
        ({ROWS: [[8]]}, "[8] is no value"),
        ({ROWS: {"from": 8, "to": 64}}, "write a range as {from: 8, to: 64, times: 2} or step: 8"),
        ({ROWS: {"from": 8, "to": 64, "times": 2, "step": 8}}, "write a range as"),
        ({ROWS: {"from": 8, "to": [64], "times": 2}}, "[64] is no value"),
        ({f"{ROWS}, {COLS}": [[8, 8], [8]]}, "with a value for each"),
        ({f"{ROWS}, {COLS}": [8, 16]}, "with a value for each"),
        ({f"{ROWS}, {COLS}": []}, "with a value for each"),
        ({f"{ROWS}, {COLS}": [[8, 16], [8, 16]]}, "8 16 is given twice"),
    ],
)
def test_a_wrong_axis_of_a_file_is_told(entries, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_axes(entries)


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("accelerator.scratchpad", "_bytes"), ("cpu.clock", "_hz"), ("runtime.launch", "_ps")],
)
def test_a_setting_has_the_dimension_of_its_field(path, suffix):
    assert quantity_of(path).suffix == suffix


@pytest.mark.parametrize("path", [ROWS, "trace", "accelerator", "nothing.at.all", "latency_s"])
def test_what_is_no_quantity_has_no_dimension(path):
    assert quantity_of(path) is None
