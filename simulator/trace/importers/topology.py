"""SCALE-Sim's CSV files: columns by name, notes beside the table, sparsity ratios.

SCALE-Sim splits a row at its commas, drops the text after the last one and reads by position
(scalesim/topology_utils.py of SCALE-Sim v3). Forks add columns or reorder them, so the header
decides here, where it has names.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulator.errors import InputError, shown
from simulator.files.text import read_text
from simulator.trace.header import LARGEST

GEMM = ("m", "n", "k")
CONVOLUTION = ("ifmap_h", "ifmap_w", "filter_h", "filter_w", "channels", "filters", "stride_h")
_OPTIONAL = ("stride_w", "batch", "groups")
_NOTES = ""  # an untitled column: notes beside the table start there
_POSITIONS = {len(form) + 1: ("layer", *form) for form in (GEMM, CONVOLUTION)}
_TITLES = {
    "layer": "Layer", "m": "M", "n": "N", "k": "K",
    "ifmap_h": "IFMAP Height", "ifmap_w": "IFMAP Width",
    "filter_h": "Filter Height", "filter_w": "Filter Width",
    "channels": "Channels", "filters": "Num Filter",
    "stride_h": "Strides", "stride_w": "Stride Width",
    "batch": "Batch Size", "groups": "Groups", "sparsity": "Sparsity",
}  # fmt: skip
_PATTERNS = {
    "layer": r"l|name|layers?( .*)?",
    **{name: name for name in GEMM},
    "ifmap_h": r"(ifmap|input) h(eight)?",
    "ifmap_w": r"(ifmap|input) w(idth)?",
    "filter_h": r"(filt(er)?|kernel) h(eight)?",
    "filter_w": r"(filt(er)?|kernel) w(idth)?",
    "channels": r"((num|input) )?channels?",
    "filters": r"num (of )?filt(er)?s?|filters",
    "stride_h": r"strides?( h(eight)?)?",
    "stride_w": r"strides? w(idth)?",
    "batch": r"batch( size)?",
    "groups": r"groups?",
    "sparsity": r"sparsity( ratio)?",
}
_OTHERS = {
    r"\s*\[\w+\]\s*$": "a configuration of SCALE-Sim",
    r".*\bint(ra|er)line (factor|order)": "a layout of SCALE-Sim",
    r"layer ?id\b|layer,\s*(cycles|dram_)|ifmap sram size": "a report of SCALE-Sim",
}


@dataclass(frozen=True, slots=True)
class TopologyLayer:
    """A layer of a topology: its name ("" if none) and its sizes by column."""

    where: str
    name: str
    sizes: dict[str, int]


def detects(text: str) -> bool:
    """Return whether a file that starts like this is a topology or another file of SCALE-Sim."""
    if _other(text):
        return True
    if text.lstrip()[:1] in ("{", "["):
        return False
    try:
        rows = [cells for _, cells in _lines("", text[: 1 << 12])][:2]
    except InputError:
        return False
    return any(_is_header(row) or _is_layer(row) for row in rows)


def read_topology(path: Path) -> Iterator[TopologyLayer]:
    """Yield the layers of a topology.

    Raises InputError with the line and column that do not fit, and for SCALE-Sim's other files:
    layouts, reports and configurations.
    """
    text = read_text(path)
    if other := _other(text):
        raise InputError(f"{path} is {other}, not a topology: import the CSV that lists the layers")
    columns: tuple[str, ...] = ()
    for line, cells in _lines(str(path), text):
        where = f"{path}: line {line}"
        if _is_header(cells):
            columns = _columns(cells, where)
        elif any(cells[1:]):  # else it is a title of the rows below
            yield _row(cells, columns or _by_position(cells), where)


def _other(text: str) -> str | None:
    """Return which other file of SCALE-Sim the text is, None if none."""
    first = text.lstrip().partition("\n")[0].rstrip()
    return next((what for form, what in _OTHERS.items() if re.match(form, first, re.I)), None)


def _lines(path: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that is not empty, stripped, without empty ones at the end."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    separator = next((sign for sign in ",;\t" if sign in first), ",")
    rows = csv.reader(lines, delimiter=separator)
    while True:
        try:
            cells = [cell.strip() for cell in next(rows)]
        except StopIteration:
            return
        except csv.Error:
            line = f"{path}: line {rows.line_num}"
            raise InputError(f"{line}: is no row of a table: write one row per layer") from None
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield rows.line_num, cells


def _is_header(cells: Sequence[str]) -> bool:
    columns = {_kind(cell) for cell in cells}.intersection((*GEMM, *CONVOLUTION))
    return len(columns) > 1


def _is_layer(cells: Sequence[str]) -> bool:
    return len(cells) in _POSITIONS and all(cell.isdigit() for cell in cells[1:])


def _kind(title: str) -> str:
    """Return the column that a title names, "" if none."""
    words = " ".join(re.findall(r"[a-z]+", title.lower()))
    return next((kind for kind, form in _PATTERNS.items() if re.fullmatch(form, words)), "")


def _columns(titles: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the columns of a header: known kinds, and unknown titles as they are.

    An empty title starts the notes beside the table. A first column with an unknown title has the
    names of the layers.
    """
    end = next((at for at, title in enumerate(titles) if at and not title), len(titles))
    columns = [_kind(title) or title for title in titles[: end + 1]]
    if not _kind(titles[0]):
        columns[0] = "layer"
    _tell_twins_apart(columns)
    form = GEMM if {"m", "n"} & set(columns) else CONVOLUTION
    for kind in form:
        if columns.count(kind) != 1:
            how = "is missing in" if kind not in columns else "stands twice in"
            raise InputError(f"{where}: {_TITLES[kind]} {how} the header: name each column once")
    return tuple(columns)


def _tell_twins_apart(columns: list[str]) -> None:
    """Take two columns of one title for height and width, as 70 of SCALE-Sim's topologies do."""
    for size in ("ifmap", "filter", "stride"):
        places = [at for at, kind in enumerate(columns) if kind in (f"{size}_h", f"{size}_w")]
        if len(places) == 2:
            first, second = places
            if columns[first] == columns[second]:
                columns[first], columns[second] = f"{size}_h", f"{size}_w"


def _by_position(cells: Sequence[str]) -> tuple[str, ...]:
    """Return SCALE-Sim's columns of a table without header."""
    return _POSITIONS[max(_POSITIONS) if len(cells) >= max(_POSITIONS) else min(_POSITIONS)]


def _row(cells: Sequence[str], columns: Sequence[str], where: str) -> TopologyLayer:
    values = dict(zip(columns, cells, strict=False))
    extra = [] if values.pop(_NOTES, None) is not None else cells[len(columns) :]
    for ratio in (values.pop("sparsity", ""), *(cell for cell in extra if ":" in cell)):
        _check_dense(ratio, where)
    form = GEMM if "m" in columns else CONVOLUTION
    lacking = len(cells) < len(columns) and any(kind not in values for kind in form)
    if lacking or any(cell.isdigit() for cell in extra):
        names = ", ".join(_TITLES.get(kind, kind) for kind in columns)
        raise InputError(
            f"{where}: expected {len(columns)} columns ({names}); cells in this row: {len(cells)}"
        )
    name = values.pop("layer", "")
    cells_by_kind = {kind: text for kind, text in values.items() if text or kind in form}
    return TopologyLayer(
        where, name, {kind: _size(kind, text, where) for kind, text in cells_by_kind.items()}
    )


def _check_dense(ratio: str, where: str) -> None:
    """Raise InputError for N:M sparsity unless N = M."""
    n, _, m = ratio.partition(":")
    if n.strip() != m.strip() and re.fullmatch(r"\d+\s*:\s*\d+", ratio):
        raise InputError(f"{where}: {ratio} sparsity cannot be imported: give the dense layer")


def _size(kind: str, text: str, where: str) -> int:
    if kind not in (*GEMM, *CONVOLUTION, *_OPTIONAL):
        raise InputError(
            f"{where}: {shown(kind)} is no column of a topology: remove it, and check the layers"
        )
    cell = f"{where}: {_TITLES[kind]} is {shown(text) if text else 'empty'}"
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise InputError(f"{cell}: sizes are whole numbers; is a comma missing?")
    if text.startswith("-") or not text.strip("+0"):
        raise InputError(f"{cell}: sizes must be 1 or more")
    if len(text) > len(str(LARGEST)) or int(text) > LARGEST:
        raise InputError(f"{cell}: sizes must fit in 64 bits")
    return int(text)
