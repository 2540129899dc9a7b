"""Tables of a trace: the run, then phases, layers and memory of one step."""

from collections.abc import Callable
from itertools import groupby

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from simulator.si import digits, percent, si
from simulator.trace.trace import StepKind
from simulator.views.memory_view import peak_sentence
from simulator.views.part_view import part_sentence
from simulator.views.trace_documents import (
    DistinctStepRow,
    LayerTotals,
    Peak,
    PhaseTotals,
    StepCount,
    TraceSummary,
    TraceTotals,
)

_LARGEST = 8  # rows of a table
_KINDS = 5  # columns of op kinds
_GROUPS = 12  # lines of epochs
_DIFFERENCES = 3
_MANY = 8  # steps in a row that differ in sizes alone, from which on they share a line
_LONGEST = 28  # characters of a name


def trace_table(document: TraceSummary) -> Group:
    """Return the tables of a document of `trace_summary`."""
    notes = [Text(note) for note in (document["provenance"], *document["notes"]) if note]
    parts: list[RenderableType] = [
        Text(_headline(document)),
        *notes,
        *([Text(part_sentence(document["part"]))] if "part" in document else []),
        _distinct(document),
        *_epochs(document),
        Text(""),
        Text(_step_line(document)),
        _phases(document["phases"]),
        _Abreast(_by_flops(document["layers"]), _by_bytes(document["layers"])),
        Text(peak_sentence(document["peak"])),
        _Abreast(
            _footprint_by_kind(document["peak"]),
            _footprint_by_layer(document["peak"]),
            _largest(document["peak"]),
        ),
    ]
    return Group(*parts)


def _table(*columns: str, text: int = 1) -> Table:
    """Return an empty table, the first `text` columns left-aligned."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        if index < text:
            table.add_column(column, no_wrap=True, overflow="ellipsis", max_width=_LONGEST)
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


class _Abreast:
    """Tables beside each other where the terminal is wide enough, else one below the other."""

    def __init__(self, *tables: Table) -> None:
        self._tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the tables; rich calls this."""
        widths = [Measurement.get(console, options, each).maximum for each in self._tables]
        if sum(widths) + _GAP * len(widths) > options.max_width:
            yield from self._tables
            return
        grid = Table.grid(padding=(0, _GAP))
        grid.add_row(*self._tables)
        yield grid


_GAP = 4  # columns between tables


# The run


def _headline(document: TraceSummary) -> str:
    epochs = document["epochs"]
    return (
        f"{document['name']}: {epochs} epoch{'s' * (epochs != 1)}, "
        f"{document['steps']} training and {document['evaluation_steps']} evaluation steps"
        f"{_generation(document)} "
        f"({document['distinct_steps']} distinct), {document['parameters']:,} parameters."
    )


def _generation(document: TraceSummary) -> str:
    """Return the steps of a language model that generates, "" without any."""
    runs = {
        kind: sum(row["runs"] for row in document["distinct"] if row["kind"] == kind)
        for kind in (StepKind.PREFILL, StepKind.DECODE)
    }
    return "".join(f", {count} {kind}" for kind, count in runs.items() if count)


def _distinct(document: TraceSummary) -> Table:
    table = _table("step", "kind", "first input", "runs", "ops", "GEMM FLOP", "peak", text=3)
    table.add_column("differs from")
    for rows in _alike(document["distinct"]):
        row = rows[-1]
        table.add_row(
            _numbers([each["index"] for each in rows]),
            row["kind"],
            " x ".join(map(str, row["input_shape"])) or "-",
            str(sum(each["runs"] for each in rows)),
            str(row["ops"]),
            si(row["flops"], "FLOP"),
            si(row["peak_bytes"], "B"),
            _unlike(row),
        )
    return table


def _alike(rows: list[DistinctStepRow]) -> list[list[DistinctStepRow]]:
    """Return the rows, many in a row that differ in sizes alone together, as decodes do."""
    groups = [
        list(same)
        for _, same in groupby(rows, key=lambda row: (row["kind"], row["ops"], row["input_shape"]))
    ]
    return [part for group in groups for part in _split(group)]


def _split(group: list[DistinctStepRow]) -> list[list[DistinctStepRow]]:
    return [group] if len(group) > _MANY else [[row] for row in group]


def _numbers(indices: list[int]) -> str:
    return str(indices[0]) if len(indices) == 1 else f"{indices[0]}-{indices[-1]}"


def _unlike(row: DistinctStepRow) -> str:
    """Return what a step has more or less of than the usual one of its kind."""
    if row["unlike"] is None:
        return "most frequent of its kind"
    changes = [f"{count:+d} {name}" for name, count in row["more_ops"].items()]
    more = ["..."] if len(changes) > _DIFFERENCES else []
    what = ", ".join(changes[:_DIFFERENCES] + more) or "same ops, other tensors"
    return f"step {row['unlike']}: {what}"


def _epochs(document: TraceSummary) -> list[Text]:
    """Return a line for each set of equal epochs."""
    groups = document["steps_per_epoch"]
    lines = [Text(f"{_span(g['epochs'])}: {_counts(g['steps'])}") for g in groups[:_GROUPS]]
    left = len(groups) - _GROUPS
    return lines + ([Text(f"... and {left} more kinds of epoch")] if left > 0 else [])


def _span(ranges: list[list[int]]) -> str:
    numbers = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return f"epoch{'s' * (not single)} {numbers}"


def _word(kind: str) -> str:
    return "step" if kind == StepKind.TRAIN else kind


def _counts(steps: list[StepCount]) -> str:
    parts = [f"{_word(s['kind'])} {s['step']} x {s['count']}" for s in steps]
    more = len(parts) - 2 * _MANY
    return ", ".join(parts if more <= 0 else [*parts[:_MANY], f"{more} more", *parts[-_MANY:]])


# One step


def _step_line(document: TraceSummary) -> str:
    shown = document["distinct"][document["step"]]
    return (
        f"Step {shown['index']} ({shown['kind']}, {shown['runs']} of the run's steps): "
        f"{si(shown['flops'], 'FLOP')} of GEMMs, {si(shown['bytes'], 'B')} read and written, "
        f"{_intensity(shown)} FLOP / byte."
    )


def _intensity(row: TraceTotals) -> str:
    """Return the arithmetic intensity of a row, or a dash where there are no GEMMs."""
    intensity = row["flops_per_byte"]
    return digits(intensity) if intensity else "-"


def _phases(rows: list[PhaseTotals]) -> Table:
    kinds = _heaviest(rows)
    names = [f"bytes of\n{kind}" for kind in (*kinds, "others")]
    table = _table("phase", "ops", "GEMMs", "GEMM FLOP", "FLOP / byte", "bytes", *names)
    for row in rows:
        traffic = {kind: part["bytes"] for kind, part in row["by_kind"].items()}
        others = row["bytes"] - sum(traffic.get(kind, 0) for kind in kinds)
        table.add_row(
            row["phase"],
            str(row["ops"]),
            _or_dash(row["gemms"], ""),
            _or_dash(row["flops"], "FLOP"),
            _intensity(row),
            _or_dash(row["bytes"], "B"),
            *(_or_dash(traffic.get(kind, 0), "B") for kind in kinds),
            _or_dash(others, "B"),
        )
    return table


def _heaviest(rows: list[PhaseTotals]) -> list[str]:
    """Return the kinds of op that move most bytes, most first."""
    traffic: dict[str, int] = {}
    for row in rows:
        for kind, part in row["by_kind"].items():
            traffic[kind] = traffic.get(kind, 0) + part["bytes"]
    return sorted((k for k in traffic if traffic[k]), key=lambda kind: -traffic[kind])[:_KINDS]


def _or_dash(value: int, unit: str) -> str:
    if not value:
        return "-"
    return si(value, unit) if unit else str(value)


def _by_flops(rows: list[LayerTotals]) -> Table:
    return _layers(rows, "layers by GEMM FLOP", lambda row: row["flops"])


def _by_bytes(rows: list[LayerTotals]) -> Table:
    return _layers(rows, "layers by bytes", lambda row: row["bytes"])


def _layers(rows: list[LayerTotals], title: str, amount: Callable[[LayerTotals], int]) -> Table:
    """Return the layers with the largest amounts, with their share of all of them."""
    table = _table(title, "GEMM FLOP", "bytes", "FLOP / byte", "share")
    whole = sum(map(amount, rows))
    largest = sorted((row for row in rows if amount(row)), key=lambda row: -amount(row))[:_LARGEST]
    for row in largest:
        flops, traffic = _or_dash(row["flops"], "FLOP"), _or_dash(row["bytes"], "B")
        share = percent(amount(row), whole)
        table.add_row(row["layer"] or "(no layer)", flops, traffic, _intensity(row), share)
    return table


def _footprint_by_kind(peak: Peak) -> Table:
    table = _table("at the peak", "bytes", "share")
    for group, size in peak["by_kind"].items():
        table.add_row(group.replace("_", " "), _or_dash(size, "B"), percent(size, peak["bytes"]))
    return table


def _footprint_by_layer(peak: Peak) -> Table:
    table = _table("by layer", "bytes")
    for row in peak["layers"][:_LARGEST]:
        table.add_row(row["layer"] or "(no layer)", si(row["bytes"], "B"))
    return table


def _largest(peak: Peak) -> Table:
    table = _table("largest storages", "kind", "bytes", "ops", text=2)
    for row in peak["storages"][:_LARGEST]:
        made = " of ".join(filter(None, (row["op_name"], row["layer"])))
        what = row["name"] or (f"for {made}" if row["kind"] == "input" else made)
        ops = f"{row['first_op']}-{row['last_op']}"
        table.add_row(what, row["kind"].replace("_", " "), si(row["bytes"], "B"), ops)
    return table
