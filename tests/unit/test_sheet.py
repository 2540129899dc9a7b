"""Do tables fit their width, leave out what is worth least, and read back as what they hold?"""

import csv
import io

import pytest
from rich.console import Console

from simulator.views.sheet import FORMATS, Heading, Sheet, SheetCell


def _sheet(names=("a", "total"), columns=6, text="123 ms", interval=""):
    headings = [Heading("", "part"), *(Heading(f"h{n}", f"h{n}_s", n) for n in range(columns))]
    rows = [
        [SheetCell(name, name), *(SheetCell(text, n / 4, interval) for n in range(columns))]
        for name in names
    ]
    return Sheet(headings, rows)


def _lines(sheet, width):
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False).print(sheet.fitted(width))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 40, 52, 60, 80, 200])
def test_no_line_is_wider_than_asked(width):
    assert max(len(line) for line in _lines(_sheet(), width)) <= width


@pytest.mark.parametrize("text", ["123 ms", "1", "8.1 µs", "漢字 ms"])
@pytest.mark.parametrize("columns", [0, 1, 6])
def test_a_table_needs_the_width_that_rich_measures(text, columns):
    sheet = _sheet(columns=columns, text=text, interval=" (1 .. 2)")
    table = sheet.fitted(1000).renderables[0]
    needed = Console(width=1000, markup=False, emoji=False).measure(table).maximum
    assert sheet.fitted(needed).renderables[0].columns[-1] == table.columns[-1]
    if columns:
        narrower = sheet.fitted(needed - 1).renderables
        assert len(narrower[0].columns) == len(table.columns) - (columns > 1)
        assert "--wide also shows" in str(narrower[1])


def test_the_sparest_columns_go_first_and_are_named():
    text = "\n".join(_lines(_sheet(), 40))
    assert "h0" in text.splitlines()[1]
    assert "h5" not in text.splitlines()[1]
    assert "--wide also shows h3, h4, h5." in text
    assert "--wide" not in "\n".join(_lines(_sheet(), 200))


def test_no_row_is_broken_where_columns_can_be_left_out():
    lines = _lines(_sheet(), 40)
    assert sum("123 ms" in line for line in lines) == 2


def test_intervals_go_where_columns_alone_do_not_do():
    wide, narrow = (_lines(_sheet(columns=1, interval=" (100 .. 200)"), w) for w in (60, 20))
    assert any("123 ms (100 .. 200)" in line for line in wide)
    assert any("123 ms" in line for line in narrow)
    assert not any("(" in line for line in narrow)


def test_csv_has_every_value_in_its_plain_unit():
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](_sheet(names=("x, y", "total"))))))
    assert [row["part"] for row in rows] == ["x, y", "total"]
    assert [float(rows[0][f"h{n}_s"]) for n in range(6)] == [n / 4 for n in range(6)]


def test_markdown_and_latex_escape_what_would_end_a_cell():
    sheet = _sheet(names=("a|b_c & 5 %",), columns=1)
    header, ruler, row = FORMATS["md"](sheet).splitlines()
    assert header.count("|") == ruler.count("|") == 3
    assert row == "| a\\|b_c & 5 % | 123 ms |"
    latex = FORMATS["latex"](sheet)
    assert "a|b\\_c \\& 5 \\% & 123 ms \\\\" in latex
    assert latex.count("{tabular}") == 2


def test_names_are_not_obeyed_as_markup():
    assert any("[/red]" in line for line in _lines(_sheet(names=("[/red]",)), 80))
