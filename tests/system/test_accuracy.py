"""The README's tables of how far to trust a machine, value for value; how rows are held out."""

import pytest

from tests import accuracy
from tests.accuracy import Row, left_out
from tests.command_line import ROOT
from tests.validation import Pair

README = (ROOT / "README.md").read_text()
ROWS = [row for table in accuracy.TABLES.values() for row in table]


def marked(row: Row, *, refit: bool):
    marks = [pytest.mark.torch] if row.torch else []
    slow = row.slow and (refit or row.machine in ("DRAMsim3", "Raspberry Pi 4"))
    return pytest.param(
        row, marks=[*marks, *([pytest.mark.slow] if slow else [])], id=f"{row.machine}: {row.what}"
    )


@pytest.mark.parametrize("row", [marked(row, refit=False) for row in ROWS])
def test_errors_are_those_of_the_readme(row):
    if row.torch:
        pytest.importorskip("torch")
    assert f"| {' | '.join(row.cells())} |" in README


@pytest.mark.parametrize(
    "row", [marked(row, refit=True) for row in ROWS if row.refitted or row.apart]
)
def test_errors_on_rows_held_out_are_those_of_the_readme(row):
    if row.torch:
        pytest.importorskip("torch")
    assert row.line() in README


@pytest.mark.torch
def test_every_part_of_the_xavier_s_step_stands_in_the_readme():
    pytest.importorskip("torch")
    lines = accuracy.xavier_parts()
    assert len(lines) == 11
    for line in lines:
        assert line in README


@pytest.mark.torch
def test_the_readme_says_what_the_published_restart_would_give():
    pytest.importorskip("torch")
    assert accuracy.restarted() in README.replace("\n", " ")


def rows_of(*predicted):
    """Return four rows, of which all were measured as 100."""
    return tuple(Pair(str(i), 100, value) for i, value in enumerate(predicted))


def test_what_one_part_fits_is_judged_by_the_other():
    """The first candidate is right about the first two rows, the second about the last two."""
    candidates = [rows_of(100, 100, 150, 130), rows_of(120, 140, 100, 100)]
    first = left_out(candidates, lambda i, _: i < 2)
    assert first == pytest.approx((0.40, 0.30))  # (50 + 30) / 2 and (20 + 40) / 2


def test_a_constant_that_is_added_once_moves_rows_along_a_line():
    (at,) = accuracy.along(rows_of(100, 50), rows_of(104, 58), [0.5])
    assert [pair.predicted for pair in at] == [102, 54]
