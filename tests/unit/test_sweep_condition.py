"""Conditions against Python's own arithmetic, and what is told of those that cannot be read."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.sweeps.condition import column_for, condition, holding, where

# Names as people write them: the column, and how many of its units are one of the condition's.
_NAMES = {
    "rows": ("accelerator.rows", 1),
    "accelerator.cols": ("accelerator.cols", 1),
    "scratchpad": ("accelerator.scratchpad", 1),
    "launch": ("runtime.launch", 10**12),
    "clock": ("cpu.clock", 1),
    "latency": ("latency_s", 1),
    "area": ("area_total_mm2", 1),
}
_UNITS = {"": 1, " KiB": 2**10, "ms": 1e-3, " ms": 1e-3, " MHz": 1e6, " mm2": 1}
_COMPARED = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "=": "==", "==": "==", "!=": "!="}
_COMPARED["<>"] = "!="


def _knobs(**values) -> pl.DataFrame:
    """Return a table with a column for each of `_NAMES`, the same values in each row by default."""
    told = {"rows": [8], "accelerator.cols": [16], "scratchpad": [65536], "launch": [10**7]}
    told |= {"clock": [10**9], "latency": [0.02], "area": [2.5]}
    told |= values
    longest = max(map(len, told.values()))
    return pl.DataFrame(
        {_NAMES[n][0]: v * (longest if len(v) == 1 else 1) for n, v in told.items()}, strict=False
    )


_whole = st.integers(0, 2000)
_tables = st.lists(
    st.fixed_dictionaries(
        {
            "accelerator.rows": st.integers(1, 64),
            "accelerator.cols": st.integers(1, 64),
            "accelerator.scratchpad": _whole.map(lambda n: 1024 * n),
            "runtime.launch": _whole.map(lambda n: 10**6 * n),
            "cpu.clock": _whole.map(lambda n: 10**6 * n),
            "latency_s": st.floats(0, 1, width=32),
            "area_total_mm2": st.floats(0, 64),
        }
    ),
    min_size=1,
    max_size=5,
).map(pl.DataFrame)


def _number(drawn: tuple[int, str]) -> tuple[str, str]:
    number, unit = drawn
    return f"{number}{unit}", repr(float(f"{number}e-3") if "ms" in unit else number * _UNITS[unit])


# Each strategy makes the same expression twice: (for trainsoc, for Python).
_leaf = st.one_of(
    st.sampled_from(sorted(_NAMES)).map(lambda name: (name, f"v[{name!r}]")),
    st.tuples(st.integers(0, 99), st.sampled_from(sorted(_UNITS))).map(_number),
)


def _sums(inner):
    def joined(drawn):
        (left, python_left), sign, (right, python_right) = drawn
        return f"{left} {sign} {right}", f"{python_left} {sign} {python_right}"

    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(joined),
        inner.map(lambda pair: tuple(f"({text})" for text in pair)),
    )


_sum = st.recursive(_leaf, _sums, max_leaves=4)
_comparison = st.tuples(_sum, st.sampled_from(sorted(_COMPARED)), _sum).map(
    lambda drawn: (
        f"{drawn[0][0]} {drawn[1]} {drawn[2][0]}",
        f"{drawn[0][1]} {_COMPARED[drawn[1]]} {drawn[2][1]}",
    )
)


def _logic(inner):
    joined = st.tuples(inner, st.sampled_from(["and", "or"]), inner)
    return st.one_of(
        joined.map(
            lambda drawn: tuple(f"{a} {drawn[1]} {b}" for a, b in zip(*drawn[::2], strict=True))
        ),
        inner.map(lambda pair: tuple(f"not {text}" for text in pair)),
        inner.map(lambda pair: tuple(f"({text})" for text in pair)),
    )


_conditions = st.recursive(_comparison, _logic, max_leaves=4)


@settings(deadline=None, max_examples=100)
@given(_conditions, _tables)
def test_a_condition_is_what_python_computes(pair, table):
    text, python = pair
    expected = []
    for row in table.iter_rows(named=True):
        values = {name: row[column] / inner for name, (column, inner) in _NAMES.items()}
        expected.append(bool(eval(python, {"v": values})))
    if not _mistaken(text):
        assert holding(table, [text]).to_list() == expected
        return
    with pytest.raises(InputError, match=r"of what|is in|has no unit"):
        holding(table, [text])


_OWN_UNITS = {"scratchpad": "KiB", "launch": "ms", "latency": "ms", "clock": "MHz", "area": "mm2"}


def _mistaken(text):
    """Whether a name is compared with a number in a unit that is not its own, each by itself; 0
    needs none.
    """
    name, number = f"(?P<name>{'|'.join(_NAMES)})", r"(?P<number>\d+) ?(?P<unit>KiB|ms|MHz|mm2|)"
    sign = "(?:<=|>=|==|!=|<>|<|>|=)"
    for alone in (f"{name} {sign} {number}", f"{number} {sign} {name}"):
        for match in re.finditer(rf"(?:^|\(|and |or |not ){alone}(?=$|\)| and| or)", text):
            own = _OWN_UNITS.get(match["name"], "")
            if match["unit"] != own and (match["unit"] or int(match["number"])):
                return True
    return False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("area <= 2 mW", "area is in mm2, not in mW"),
        ("20 ms > scratchpad", "scratchpad is in KiB, not in ms"),
        ("rows < 9 and (rows >= 3 ms)", "rows has no unit; leave out ms"),
        ("latency < 1 kcycles", "latency is in s, not in kcycles"),
    ],
)
def test_a_unit_of_another_quantity_is_refused(text, why):
    with pytest.raises(InputError, match=why):
        holding(_knobs(), [text])


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("latency < 20", "such as 20 s"),
        ("20 > latency", "such as 20 s"),
        ("rows <= 8 and (area < 2)", "such as 2 mm2"),
        ("scratchpad >= 65536", "such as 65536 KiB"),
    ],
)
def test_a_number_without_its_unit_is_refused(text, fix):
    with pytest.raises(InputError, match=re.escape(fix)):
        holding(_knobs(), [text])


@pytest.mark.parametrize("text", ["latency_s < 20", "latency > 0", "rows < 9", "latency * 2 < 4"])
def test_a_number_whose_unit_is_plain_is_taken(text):
    assert holding(_knobs(), [text]).to_list() == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rows between 8 and 16", [False, True, True, False]),
        ("rows in (4, 16)", [True, False, True, False]),
        ("rows / 16 < 0.3", [True, False, False, False]),
        ("rows % 8 = 0", [False, True, True, False]),
        ("log2(rows) >= 3 and sqrt(rows) < 4", [False, True, False, False]),
        ("rows is null", [False, False, False, True]),
        ("launch = 5 us", [False, True, False, False]),
        ("scratchpad = 64 KiB", [True] * 4),
        ("launch > 1 us", [True, True, False, False]),
        ("average_power_w < 3", [True, False, False, False]),
        ("power(rows, 2) < 20", [True, False, False, False]),
        ("trace = 'a'", [True, False, False, False]),
        ("trace = 'it''s'", [False, True, False, False]),
        ('trace = "it\'s"', [False, True, False, False]),
        ("feasible and rows >= 8", [False, False, True, False]),
    ],
)
def test_other_forms(text, expected):
    table = _knobs(rows=[4, 8, 16, None], launch=[10**7, 5 * 10**6, None, None]).with_columns(
        pl.Series("average_power_w", [1.0, 3.0, 5.0, None]),
        pl.Series("trace", ["a", "it's", "b", None]),
        pl.Series("feasible", [True, False, True, False]),
    )
    assert holding(table, [text]).to_list() == expected


@pytest.mark.parametrize("name", ["rows", "launch", "latency", "scratchpad"])
@pytest.mark.parametrize("rest", ["{} < 0", "{} >= 0", "not {} < 0", "{} * 2 != 3", "0 < {}"])
def test_a_missing_value_never_meets_a_condition(name, rest):
    table = _knobs(**{name: [None, None]}).with_columns(pl.col(_NAMES[name][0]).cast(pl.Int64))
    assert holding(table, [rest.format(name)]).to_list() == [False, False]
    mixed = _knobs(**{name: [None, 10**13]})
    assert holding(mixed, [f"{name} > 1 {_OWN_UNITS.get(name, '')}"]).to_list() == [False, True]


def test_products_beyond_64_bits_do_not_wrap():
    table = _knobs(scratchpad=[2**40, 1024])
    assert holding(table, ["scratchpad * scratchpad > 1 MiB"]).to_list() == [True, False]
    assert holding(table, ["rows < 99999999999999999999999"]).to_list() == [True, True]


def test_conditions_hold_together_and_over_what_is_the_same_everywhere():
    table = _knobs(rows=[4, 8, 16])
    assert holding(table, ["rows > 4", "rows < 16"]).to_list() == [False, True, False]
    fixed = {"dram.capacity": 2**30}
    assert holding(table, ["capacity = 1 GiB"], fixed).to_list() == [True] * 3
    assert holding(table, []).to_list() == [True] * 3
    assert where(table, ["rows >= 8"])["accelerator.rows"].to_list() == [8, 16]


def test_a_name_is_the_column_that_it_ends():
    columns = ["energy_j", "area_total_mm2", "accelerator.rows", "cpu.clock", "dram.clock"]
    assert column_for("energy", columns) == "energy_j"
    assert column_for("area", columns) == "area_total_mm2"
    assert column_for("rows", columns) == "accelerator.rows"
    assert column_for("cpu.clock", columns) == "cpu.clock"
    with pytest.raises(InputError, match=r"clock may be cpu\.clock or dram\.clock"):
        column_for("clock", columns)


def test_what_a_table_has_comes_before_what_is_fixed():
    found = condition("clock > 1 GHz", ["cpu.clock"], ["dram.clock", "interconnect.clock"])
    assert found.names == {"cpu.clock"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rowz < 3", "no rowz; did you mean rows?"),
        ("lattency < 3 ms", "did you mean latency"),
        ("rows < 3 KB", "no unit 'KB'; did you mean KiB"),
        ("rows < 3 Mhz", "no unit 'Mhz'; did you mean MHz"),
        ("8 <= rows <= 32", "write `8 <= rows and rows <= 32`"),
        ("rows < 3 or (4 < rows = 8)", "write `8 <= rows and rows <= 32`"),
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("rows", "it is a value and compares nothing"),
        ("rows + 1", "it is a value and compares nothing"),
        ("rows < 3; drop table x", "'; drop table' means nothing here"),
        ("rows := 3", "':= 3' means nothing here"),
        ("__import__('os')", "no __import__"),
        ("rows.__class__ < 3", "no rows.__class__"),
        ("(select 1) < rows", "no select"),
        ("read_csv('x') < rows", "no read_csv"),
        ("(rows < 3", ""),
        ("rows < 3)", ""),
        ("rows <", ""),
        ("rows < 'a'", ""),
        ("rows < 3 and 5", ""),
        ("power(rows) < 5", ""),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(text, why):
    with pytest.raises(InputError) as told:
        holding(_knobs(), [text])
    sentence = str(told.value)
    assert sentence.startswith(f"condition {text.strip()!r}: ")
    assert sentence.endswith("; an example: rows * cols <= 1024 and latency < 20 ms")
    assert why in sentence
    assert "\n" not in sentence


_SOUP = """( ) + - * / % , ; [ 3 0.5 1e9 KiB ms 'a' -- and or not in between is null like true abs
    power x eval __import__ lambda"""
_soup = st.lists(st.sampled_from([*_NAMES, *_COMPARED, *_SOUP.split()]), max_size=8).map(" ".join)


@settings(deadline=None, max_examples=100)
@given(_soup)
def test_any_text_is_answered_or_refused(text):
    try:
        found = holding(_knobs(rows=[4, None]), [text])
    except InputError as error:
        told = str(error)
    else:
        told = "condition"
        assert (found.dtype, len(found), found.null_count()) == (pl.Boolean, 2, 0)
    assert re.fullmatch(r"condition.*", told)  # on one line


def test_nothing_is_executed(monkeypatch):
    def forbidden(*_):
        raise AssertionError("executed")

    for name in ("eval", "exec", "compile", "__import__"):
        monkeypatch.setitem(condition.__globals__, name, forbidden)
    for text in ("__import__('os').system('true')", "exec('1') < 3", "eval('1') < rows"):
        with pytest.raises(InputError):
            condition(text, _knobs().columns)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("(" * 300 + "rows < 3" + ")" * 300, "more than 200 words", id="nested"),
        pytest.param("1 + " * 20_000 + "1 < rows", "more than 200 words", id="long"),
        pytest.param("rows < 1e999999999", "too large a number", id="huge"),
        pytest.param("rows < 1e999999999999999999 KiB", "too large a number", id="huge size"),
        pytest.param(f"{'x' * 10**5} < 1", "an example", id="endless name"),
        pytest.param("rows < 'a'", "numbers, texts and truth values", id="mixed"),
        pytest.param("rows < and", "no complete comparison", id="half"),
    ],
)
def test_conditions_have_bounds_and_plain_words(text, told):
    with pytest.raises(InputError) as caught:
        where(pl.DataFrame({"accelerator.rows": [8]}), [text])
    assert told in str(caught.value)
    assert len(str(caught.value)) <= 300
