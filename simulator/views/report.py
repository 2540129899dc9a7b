"""Tables of a result: costs by phase, the verdict against a baseline, two runs side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypedDict, cast

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.energy.prices import COMPONENTS
from simulator.results.documents import IntervalRow, OpRow, ResultDocument, by_phase
from simulator.results.metric_row import CostRow, Metric
from simulator.results.metrics import COMPARED, ENERGY, ENERGY_BY_COMPONENT, LATENCY, metric
from simulator.results.uncertainty import bracket, si_with
from simulator.si import percent, si, si_range, times

_READS, _WRITES = metric("dram_read_bytes"), metric("dram_write_bytes")
_BANDWIDTH, _POWER = metric("bandwidth_bytes_per_s"), metric("average_power_w")
_SHARES = metric("array_use"), metric("array_utilization")
_CONTENTION, _EXACT = metric("contention_s"), metric("latency_ps")
_SAME = 0.005  # ratios closer to 1 are no difference
_TOTAL = "total"

Intervals = Mapping[str, IntervalRow]


class CostLine(NamedTuple):
    """A part of a run, and what it costs."""

    name: str
    costs: CostRow


class PhasePair(NamedTuple):
    """A part of two runs; `name` is its phase, or "total"."""

    name: str
    ours: CostRow
    theirs: CostRow

    def ratio(self, metric: Metric) -> float | None:
        """Return the metric of `theirs` over that of `ours`; None where that is 0."""
        return _ratio(metric.of(self.theirs), metric.of(self.ours))

    @property
    def start(self) -> str:
        """What the keys of the intervals of this part begin with."""
        return "" if self.name == _TOTAL else f"{self.name}_"


class Summary(TypedDict, total=False):
    """A verdict in plain numbers; empty without a baseline."""

    baseline: str
    sentence: str
    phases: dict[str, dict[str, float | None]]


def run_report(document: ResultDocument, by: str = "phase") -> Group:
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


def verdict(document: ResultDocument, baseline: ResultDocument) -> Group:
    """Return speed-up and energy ratio against `baseline`, for each phase and the whole."""
    headings = (ratio.label for _, ratio in COMPARED)
    table = _table("phase", *headings, *_pair_names(document, baseline))
    known = _intervals(document)
    for pair in _paired(document, baseline):
        cells = *_ratio_cells(pair, known), *_amounts(pair)
        table.add_row(pair.name, *cells, style=_style(pair.name))
    return Group(Text(verdict_sentence(document, baseline), style="bold"), table)


def verdict_sentence(document: ResultDocument, baseline: ResultDocument) -> str:
    """Return the answer in one sentence, naming both precisions."""
    total = PhasePair(_TOTAL, document["total"], baseline["total"])
    speed, energy = total.ratio(LATENCY) or 0.0, total.ratio(ENERGY) or 0.0
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
        f"{_more_or_less(speed, _interval(document, LATENCY), 'faster', 'slower')} and "
        f"{_more_or_less(energy, _interval(document, ENERGY), 'less energy', 'more energy')} "
        f"than {baseline['hardware']} "
        f"({_precisions(document)})."
    )


def side_by_side(left: ResultDocument, right: ResultDocument, known: Intervals) -> Table:
    """Return two runs side by side: latency and energy per phase; ratios right over left.

    `known` has the intervals of ratios, where samples of the two runs can be compared.
    """
    headings = (f"{each.label} ratio" for each, _ in COMPARED)
    table = _table("", *_pair_names(left, right), *headings)
    for pair in _paired(left, right):
        values = [
            si_with(document, f"{pair.start}{each.key}", each.of(row), each.unit)
            for each, _ in COMPARED
            for document, row in ((left, pair.ours), (right, pair.theirs))
        ]
        cells = *values, *_ratio_cells(pair, known)
        table.add_row(pair.name, *cells, style=_style(pair.name))
    return table


def summary(document: ResultDocument, baseline: ResultDocument | None) -> Summary:
    """Return the comparison of a run with its baseline in plain numbers."""
    if baseline is None:
        return {}
    phases = {
        pair.name: {ratio.key: pair.ratio(each) for each, ratio in COMPARED}
        for pair in _paired(document, baseline)
    }
    return {
        "baseline": baseline["hardware"],
        "sentence": verdict_sentence(document, baseline),
        "phases": phases,
    }


def _intervals(document: ResultDocument) -> Intervals:
    """Return the intervals of a run that was sampled, by key."""
    return cast(Intervals, document.get("uncertainty", {}))


def _interval(document: ResultDocument, metric: Metric) -> IntervalRow | None:
    return _intervals(document).get(metric.ratio.key) if metric.ratio else None


def _more_or_less(ratio: float, known: IntervalRow | None, more: str, less: str) -> str:
    """Return a ratio in words, and its interval where it is known."""
    if ratio >= 1:
        return f"{times(ratio)} {more}{bracket(known)}"
    return f"{times(_ratio(1, ratio) or 0)} {less}{bracket(known, inverted=True)}"


def _precisions(document: ResultDocument) -> str:
    precision = document["precision"]
    traced, executed = " + ".join(precision["traced"]), " + ".join(precision["executed"])
    if traced == executed:
        return f"GEMMs in {traced}, as traced"
    return f"traced in {traced}, GEMMs executed in {executed}"


def _headline(document: ResultDocument) -> str:
    total, epochs = document["total"], document["epochs_simulated"]
    return (
        f"{document['trace']} on {document['hardware']}: {epochs} epoch{'s' * (epochs != 1)}, "
        f"{document['steps_simulated']} steps in "
        f"{si_with(document, LATENCY.key, LATENCY.of(total), 's')}, "
        f"{_energy(document)} ({_precisions(document)})"
        f"{_contention(total)}"
    )


def _energy(document: ResultDocument) -> str:
    """Return the energy with its interval, or without samples with the ends of all prices."""
    total = document["total"]
    if "uncertainty" in document:
        return si_with(document, ENERGY.key, ENERGY.of(total), "J")
    low, high = (metric(ENERGY.between(end)).get(total) for end in ("low", "high"))
    if low is None or high is None:  # a result of an earlier version
        return si(ENERGY.of(total), "J")
    return si_range(ENERGY.of(total), low, high, "J")


def _contention(total: CostRow) -> str:
    lost = _CONTENTION.of(total)
    return f"; {si(lost, 's')} lost at the memory to the other master" if lost else ""


def _cost_table(rows: Sequence[CostLine], total: CostRow) -> Table:
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
    for name, costs in [*rows, CostLine(_TOTAL, total)]:
        last = bool(rows) and costs is rows[-1].costs
        table.add_row(name, *_cost_cells(costs, total), style=_style(name), end_section=last)
    return table


def _cost_cells(row: CostRow, total: CostRow) -> list[str]:
    parts = ENERGY_BY_COMPONENT.of(row)
    return [
        si(LATENCY.of(row), "s"),
        percent(LATENCY.of(row), LATENCY.of(total)),
        si(_READS.of(row) + _WRITES.of(row), "B"),
        si(_BANDWIDTH.of(row), "B/s"),
        si(ENERGY.of(row), "J"),
        *(si(parts[name], "J") if parts else "" for name in COMPONENTS),
        si(_POWER.of(row), "W"),
        *(percent(each.of(row), 1) if each.of(row) else "-" for each in _SHARES),
    ]


def _phase_rows(document: ResultDocument) -> list[CostLine]:
    return [CostLine(name, row) for name, row in by_phase(document).items()]


def _layer_rows(document: ResultDocument) -> list[CostLine]:
    rows = sorted(document["layers"], key=lambda row: -_EXACT.of(row))
    return [CostLine(f"{row['layer'] or '-'} {row['phase']}", row) for row in rows]


def _op_rows(document: ResultDocument) -> list[CostLine]:
    return _summed(
        (f"{row['op']} {row['stage']}" if row["stage"] != "op" else row["op"], row)
        for row in document["ops"]
    )


def _stage_rows(document: ResultDocument) -> list[CostLine]:
    return _summed((f"{row['phase']} {row['stage']}", row) for row in document["ops"])


ROWS = {"phase": _phase_rows, "layer": _layer_rows, "op": _op_rows, "stage": _stage_rows}
"""What the rows of a run's table can be."""


def _summed(named: Iterable[tuple[str, OpRow]]) -> list[CostLine]:
    """Return one row per name, the longest first."""
    groups: dict[str, list[OpRow]] = {}
    for name, row in named:
        groups.setdefault(name, []).append(row)
    parts = [CostLine(name, _costs(rows)) for name, rows in groups.items()]
    return sorted(parts, key=lambda part: -LATENCY.of(part.costs))


def _costs(rows: Iterable[OpRow]) -> CostRow:
    """Return what all runs of these pieces of work cost."""
    latency, energy, read, written = 0.0, 0.0, 0, 0
    for row in rows:
        latency += row["attributed_s"] * row["count"]
        energy += row["energy_j"] * row["count"]
        read += row["dram_read_bytes"] * row["count"]
        written += row["dram_write_bytes"] * row["count"]
    return {
        LATENCY.key: latency,
        ENERGY.key: energy,
        _READS.key: read,
        _WRITES.key: written,
        _BANDWIDTH.key: _ratio(read + written, latency) or 0.0,
        _POWER.key: _ratio(energy, latency) or 0.0,
    }


def _memory(document: ResultDocument) -> Text:
    memory = document["memory"]
    kinds = {
        "parameters": memory["parameters"],
        "gradients": memory["gradients"],
        "optimizer state": memory["optimizer_state"],
        "activations": memory["activations"],
    }
    parts = ", ".join(f"{name} {si(size, 'B')}" for name, size in kinds.items())
    return Text(f"Memory: {si(memory['peak_bytes'], 'B')} at its peak ({parts}).")


def _paired(document: ResultDocument, baseline: ResultDocument) -> list[PhasePair]:
    """Return the phases that both runs have, and the total."""
    ours, theirs = by_phase(document), by_phase(baseline)
    phases = [PhasePair(name, row, theirs[name]) for name, row in ours.items() if name in theirs]
    return [*phases, PhasePair(_TOTAL, document["total"], baseline["total"])]


def _pair_names(left: ResultDocument, right: ResultDocument) -> list[str]:
    names = [left["hardware"], right["hardware"]]
    return [f"{name} {each.label}" for each, _ in COMPARED for name in names]


def _ratio_cells(pair: PhasePair, known: Intervals) -> list[str]:
    """Return the ratios of a part, with their intervals where they are known."""
    cells = []
    for each, ratio in COMPARED:
        value, interval = pair.ratio(each), known.get(f"{pair.start}{ratio.key}")
        cells.append("-" if value is None else f"{times(value)}{bracket(interval)}")
    return cells


def _amounts(pair: PhasePair) -> list[str]:
    rows = pair.ours, pair.theirs
    return [si(each.of(row), each.unit) for each, _ in COMPARED for row in rows]


def _style(name: str) -> str:
    return "bold" if name == _TOTAL else ""


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
