"""Errors against measured and published figures: those pinned, and so in docs/trust.md; how rows
are held out.
"""

import pytest

from tests import accuracy, pins
from tests.held_out import Row, along, left_out
from tests.pins import Figures, is_near
from tests.validation import Pair

ROWS = [row for table in accuracy.TABLES.values() for row in table]
PINS = pins.read()
SLOW = ("DRAMsim3", "Raspberry Pi 4", "Xiaomi 11 Pro", "Xiaomi 10", "Redmi Note 9 Pro")


def marked(row: Row, *, refit: bool):
    marks = [pytest.mark.torch] if row.torch else []
    slow = row.slow and (refit or row.machine in SLOW)
    return pytest.param(row, marks=[*marks, *([pytest.mark.slow] if slow else [])], id=row.name)


def pin_of(row):
    return PINS["rows"][row.name]


@pytest.mark.parametrize("row", [marked(row, refit=False) for row in ROWS])
def test_errors_are_those_pinned(row):
    if row.torch:
        pytest.importorskip("torch")
    assert row.figures().differing(Figures(**pin_of(row)["figures"])) == []


@pytest.mark.parametrize("row", [marked(row, refit=True) for row in ROWS if row.is_fitted])
def test_errors_on_rows_held_out_are_those_pinned(row):
    if row.torch:
        pytest.importorskip("torch")
    held_out, wanted = row.held_out(), pin_of(row)["held_out"]
    assert held_out.keys() == wanted.keys()
    for name, errors in held_out.items():
        assert all(map(is_near, errors, wanted[name])), name


@pytest.mark.torch
def test_every_part_of_the_xavier_s_step_takes_what_is_pinned():
    pytest.importorskip("torch")
    parts, wanted = accuracy.xavier_parts(), PINS["parts"]
    assert len(parts) == 11
    assert parts.keys() == wanted.keys()
    for name, ms in parts.items():
        now, pin = Pair(name, *ms), Pair(name, *wanted[name])
        assert now.measured == pytest.approx(pin.measured)
        assert is_near(100 * now.error, 100 * pin.error), name


@pytest.mark.torch
def test_the_published_restart_gives_the_errors_pinned():
    pytest.importorskip("torch")
    assert accuracy.with_restart().differing(Figures(**PINS["restart"])) == []


def test_every_row_is_pinned_and_every_pin_is_of_a_row():
    assert [row.name for row in ROWS] == list(PINS["rows"])
    fitted = [row.name for row in ROWS if row.is_fitted]
    assert [name for name, pin in PINS["rows"].items() if pin["held_out"]] == fitted


def test_the_page_shows_what_is_pinned():
    page = pins.TRUST.read_text()
    assert pins.with_tables(page, accuracy.tables(PINS)) == page
    assert accuracy.restart_text(PINS) in page.replace("\n", " ")


def test_another_pin_changes_its_cell_of_the_page_alone():
    before = pins.TRUST.read_text().splitlines()
    changed = {**PINS["rows"], "SCALE-Sim: compute cycles of its array": {
        "figures": Figures(388, 1.26, -0.31, 7.4)._asdict(), "held_out": {},
    }}  # fmt: skip
    text = pins.with_tables("\n".join(before) + "\n", accuracy.tables({**PINS, "rows": changed}))
    pairs = zip(before, text.splitlines(), strict=True)
    ((old, new),) = [pair for pair in pairs if len({*pair}) > 1]
    assert "| 388 | 0 | 0 | 0 |" in old
    assert "| 388 | 1.3 % | 0 % | 7 % |" in new


PIN = Figures(rows=40, mean=5.0, bias=-0.2, worst=30.0)


@pytest.mark.parametrize(
    ("figures", "differing"),
    [
        (PIN, []),
        (PIN._replace(mean=5.09, bias=-0.29, worst=30.5), []),  # by less than 2 %
        (PIN._replace(mean=5.11), ["mean"]),
        (PIN._replace(bias=-0.31), ["bias"]),  # by more than 2 % of the mean error
        (PIN._replace(worst=29.3), ["worst"]),
        (PIN._replace(rows=39), ["rows"]),
        (PIN._replace(mean=10.0, bias=-0.4, worst=60.0), ["mean", "bias", "worst"]),
    ],
)
def test_errors_may_move_by_two_percent_of_themselves(figures, differing):
    assert figures.differing(PIN) == differing


def test_errors_near_nothing_may_move_by_a_hundredth_of_a_point_and_identities_not_at_all():
    near, equal = Figures(10, 0.03, 0.0, 0.05), Figures(10, 0.0, 0.0, 0.0)
    assert near._replace(mean=0.039).differing(near) == []
    assert near._replace(mean=0.06).differing(near) == ["mean"]  # doubled
    assert equal._replace(mean=1e-6, worst=1e-5).differing(equal) == ["mean", "worst"]


def rows_of(*predicted):
    """Return four rows, of which all were measured as 100."""
    return tuple(Pair(str(i), 100, value) for i, value in enumerate(predicted))


def test_figures_are_those_of_the_rows():
    assert pins.figures_of(rows_of(110, 95, 100, 85)) == pytest.approx((4, 7.5, -2.5, 15))


def test_what_one_part_fits_is_judged_by_the_other():
    """The first candidate is right about the first two rows, the second about the last two."""
    candidates = [rows_of(100, 100, 150, 130), rows_of(120, 140, 100, 100)]
    first = left_out(candidates, lambda i, _: i < 2)
    assert first == pytest.approx((0.40, 0.30))  # (50 + 30) / 2 and (20 + 40) / 2


def test_a_constant_that_is_added_once_moves_rows_along_a_line():
    (at,) = along(rows_of(100, 50), rows_of(104, 58), [0.5])
    assert [pair.predicted for pair in at] == [102, 54]
