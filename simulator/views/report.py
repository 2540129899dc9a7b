"""What a result says: the phase table, the verdict against a baseline, two runs side by side."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.energy.prices import COMPONENTS
from simulator.results.uncertainty import bracket, si_with
from simulator.si import percent, si, si_range, times

Row = dict[str, Any]
_USED = ("array_use", "array_utilization")  # of the time in which a row ran, of busy time
_SAME = 0.005  # ratios closer to 1 are no difference


def run_report(document: Row, by: str = "phase") -> Group:
    """Return the tables that answer a run: where time and energy go, and the memory held.

    Latency is the time charged to a row, bandwidth and power are over the time it was active.
    """
    rows = ROWS[by](document)
    table = _cost_table(rows, document["total"])
    note = Text(
        "Latency is what is charged to a row: where rows overlap, the critical path's share. "
        "Bandwidth, power and array use are over the time in which a row ran.",
        style="dim",
    )
    return Group(Text(_headline(document)), table, note, _memory(document))


def verdict(document: Row, baseline: Row) -> Group:
    """Return speed-up and energy ratio against `baseline`, for each phase and the whole."""
    table = _table("phase", "speed-up", "energy ratio", *_pair_names(document, baseline))
    known = document.get("uncertainty", {})
    for name, ours, theirs in _paired(document, baseline):
        ratios = _ratio_cells(name, ours, theirs, known)
        cells = *ratios, *_amounts(ours, theirs)
        table.add_row(name, *cells, style="bold" if name == "total" else "")
    return Group(Text(verdict_sentence(document, baseline), style="bold"), table)


def verdict_sentence(document: Row, baseline: Row) -> str:
    """Return the answer in one sentence, naming both precisions."""
    known = document.get("uncertainty", {})
    ours, theirs = document["total"], baseline["total"]
    speed = theirs["latency_s"] / ours["latency_s"] if ours["latency_s"] else 0.0
    energy = theirs["energy_j"] / ours["energy_j"] if ours["energy_j"] else 0.0
    if abs(speed - 1) < _SAME and abs(energy - 1) < _SAME:
        return (
            f"Training {document['trace']} on {document['hardware']} costs what it costs on "
            f"{baseline['hardware']} ({_precisions(document)})."
        )
    worth = {(True, True): "is worth it", (False, False): "is not worth it"}.get(
        (speed > 1, energy > 1), "is a trade"
    )
    return (
        f"Training {document['trace']} on {document['hardware']} {worth}: "
        f"{_faster(speed, known.get('speedup'))} and "
        f"{_frugal(energy, known.get('energy_ratio'))} than {baseline['hardware']} "
        f"({_precisions(document)})."
    )


def side_by_side(left: Row, right: Row, known: Row) -> Table:
    """Return two runs side by side: latency and energy per phase; ratios right over left.

    `known` has the intervals of ratios, where samples of the two runs can be compared.
    """
    table = _table("", *_pair_names(left, right), "latency ratio", "energy ratio")
    for name, ours, theirs in _paired(left, right):
        start = _start(name)
        values = [
            si_with(document, f"{start}{key}", row[key], unit)
            for key, unit in (("latency_s", "s"), ("energy_j", "J"))
            for document, row in ((left, ours), (right, theirs))
        ]
        ratios = _ratio_cells(name, ours, theirs, known)
        table.add_row(name, *values, *ratios, style="bold" if name == "total" else "")
    return table


def summary(document: Row, baseline: Row | None) -> Row:
    """Return the comparison of a run with its baseline in plain numbers."""
    if baseline is None:
        return {}
    phases = {
        name: {
            "speedup": _ratio(theirs["latency_s"], ours["latency_s"]),
            "energy_ratio": _ratio(theirs["energy_j"], ours["energy_j"]),
        }
        for name, ours, theirs in _paired(document, baseline)
    }
    return {
        "baseline": baseline["hardware"],
        "sentence": verdict_sentence(document, baseline),
        "phases": phases,
    }


def _faster(ratio: float, known: Row | None) -> str:
    return _more_or_less(ratio, known, "faster", "slower")


def _frugal(ratio: float, known: Row | None) -> str:
    return _more_or_less(ratio, known, "less energy", "more energy")


def _more_or_less(ratio: float, known: Row | None, more: str, less: str) -> str:
    """Return a ratio in words, and its interval where it is known."""
    if ratio >= 1:
        return f"{times(ratio)} {more}{bracket(known)}"
    return f"{times(_ratio(1, ratio) or 0)} {less}{bracket(known, inverted=True)}"


def _precisions(document: Row) -> str:
    precision = document["precision"]
    traced, executed = " + ".join(precision["traced"]), " + ".join(precision["executed"])
    if traced == executed:
        return f"GEMMs in {traced}, as traced"
    return f"traced in {traced}, GEMMs executed in {executed}"


def _headline(document: Row) -> str:
    total, epochs = document["total"], document["epochs_simulated"]
    return (
        f"{document['trace']} on {document['hardware']}: {epochs} epoch{'s' * (epochs != 1)}, "
        f"{document['steps_simulated']} steps in "
        f"{si_with(document, 'latency_s', total['latency_s'], 's')}, "
        f"{_energy(document)} ({_precisions(document)})"
        f"{_contention(total)}"
    )


def _energy(document: Row) -> str:
    """Return the energy with its interval, or without samples with the ends of all prices."""
    total = document["total"]
    if "uncertainty" in document:
        return si_with(document, "energy_j", total["energy_j"], "J")
    if "energy_low_j" not in total:  # a result of an earlier version
        return si(total["energy_j"], "J")
    return si_range(total["energy_j"], total["energy_low_j"], total["energy_high_j"], "J")


def _contention(total: Row) -> str:
    lost = total.get("contention_s", 0.0)
    return f"; {si(lost, 's')} lost at the memory to the other master" if lost else ""


def _cost_table(rows: Sequence[tuple[str, Row]], total: Row) -> Table:
    table = _table(
        "",
        "latency",
        "share",
        "DRAM",
        "bandwidth",
        "energy",
        *COMPONENTS,
        "power",
        "array use",
        "of busy time",
    )
    for name, row in [*rows, ("total", total)]:
        bold = "bold" if name == "total" else ""
        table.add_row(name, *_cost_cells(row, total), style=bold, end_section=row is rows[-1][1])
    return table


def _cost_cells(row: Row, total: Row) -> list[str]:
    parts = row.get("energy_by_component_j")
    return [
        si(row["latency_s"], "s"),
        percent(row["latency_s"], total["latency_s"]),
        si(row["dram_read_bytes"] + row["dram_write_bytes"], "B"),
        si(row["bandwidth_bytes_per_s"], "B/s"),
        si(row["energy_j"], "J"),
        *(si(parts[name], "J") if parts else "" for name in COMPONENTS),
        si(row["average_power_w"], "W"),
        *(percent(row[key], 1) if row.get(key) else "-" for key in _USED),
    ]


def _phase_rows(document: Row) -> list[tuple[str, Row]]:
    return [(row["phase"], row) for row in document["phases"]]


def _layer_rows(document: Row) -> list[tuple[str, Row]]:
    rows = sorted(document["layers"], key=lambda row: -row["latency_ps"])
    return [(f"{row['layer'] or '-'} {row['phase']}", row) for row in rows]


def _op_rows(document: Row) -> list[tuple[str, Row]]:
    return _summed(
        (f"{row['op']} {row['stage']}" if row["stage"] != "op" else row["op"], row)
        for row in document["ops"]
    )


def _stage_rows(document: Row) -> list[tuple[str, Row]]:
    return _summed((f"{row['phase']} {row['stage']}", row) for row in document["ops"])


ROWS = {"phase": _phase_rows, "layer": _layer_rows, "op": _op_rows, "stage": _stage_rows}
"""What the rows of a run's table can be."""


def _summed(named: Iterable[tuple[str, Row]]) -> list[tuple[str, Row]]:
    """Return one row per name, the longest first."""
    sums: dict[str, Row] = {}
    for name, row in named:
        _add_op(sums.setdefault(name, {}), row)
    for row in sums.values():
        moved = row["dram_read_bytes"] + row["dram_write_bytes"]
        row["bandwidth_bytes_per_s"] = _ratio(moved, row["latency_s"]) or 0.0
        row["average_power_w"] = _ratio(row["energy_j"], row["latency_s"]) or 0.0
    return sorted(sums.items(), key=lambda item: -item[1]["latency_s"])


def _add_op(into: Row, row: Row) -> None:
    into["latency_s"] = into.get("latency_s", 0.0) + row["attributed_s"] * row["count"]
    for key in ("energy_j", "dram_read_bytes", "dram_write_bytes"):
        into[key] = into.get(key, 0) + row[key] * row["count"]


def _memory(document: Row) -> Text:
    names = ("parameters", "gradients", "optimizer_state", "activations")
    held = document["memory"]
    parts = ", ".join(f"{name.replace('_', ' ')} {si(held[name], 'B')}" for name in names)
    return Text(f"Memory: {si(held['peak_bytes'], 'B')} at its peak ({parts}).")


def _paired(document: Row, baseline: Row) -> list[tuple[str, Row, Row]]:
    theirs = {row["phase"]: row for row in baseline["phases"]}
    pairs = [
        (row["phase"], row, theirs[row["phase"]])
        for row in document["phases"]
        if row["phase"] in theirs
    ]
    return [*pairs, ("total", document["total"], baseline["total"])]


def _pair_names(left: Row, right: Row) -> list[str]:
    names = [left["hardware"], right["hardware"]]
    return [f"{name} {what}" for what in ("latency", "energy") for name in names]


def _ratio_cells(name: str, ours: Row, theirs: Row, known: Row) -> list[str]:
    """Return the ratios of a phase, or of the total, with their intervals where they are known."""
    cells = []
    for key, ratio_name in (("latency_s", "speedup"), ("energy_j", "energy_ratio")):
        ratio = _ratio(theirs[key], ours[key])
        interval = known.get(f"{_start(name)}{ratio_name}")
        cells.append("-" if ratio is None else f"{times(ratio)}{bracket(interval)}")
    return cells


def _amounts(ours: Row, theirs: Row) -> list[str]:
    values = [si(row["latency_s"], "s") for row in (ours, theirs)]
    return values + [si(row["energy_j"], "J") for row in (ours, theirs)]


def _start(name: str) -> str:
    """Return what the keys of intervals of this phase, or of the total, begin with."""
    return "" if name == "total" else f"{name}_"


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
