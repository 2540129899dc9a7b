"""The tables of a run: what each phase, layer, op or stage costs, and the memory it needs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.energy.prices import COMPONENTS
from simulator.results.documents import (
    FusionDocument,
    OpRow,
    ResultDocument,
    SparsityDocument,
    by_phase,
)
from simulator.results.metric_row import CostRow, Metric
from simulator.results.metrics import ENERGY, ENERGY_BY_COMPONENT, LATENCY, metric, spoken
from simulator.results.uncertainty import si_with
from simulator.si import digits, percent, si, si_range
from simulator.units import PS_PER_S
from simulator.views.joules import joules_of
from simulator.views.sheet import TOTAL, Heading, Sheet, SheetCell

_READS, _WRITES = metric("dram_read_bytes"), metric("dram_write_bytes")
_BANDWIDTH, _POWER = metric("bandwidth_bytes_per_s"), metric("average_power_w")
_TOKENS, _TOKEN_RATE = metric("tokens"), metric("tokens_per_s")
_TOKEN_ENERGY = metric("energy_per_token_j")
_SHARES = metric("array_use"), metric("array_utilization")
_CONTENTION, _EXACT = metric("contention_s"), metric("latency_ps")


class CostLine(NamedTuple):
    """A part of a run, and what it costs."""

    name: str
    costs: CostRow


def run_report(document: ResultDocument, by: str, width: int, folder: Path | None = None) -> Group:
    """Return what answers a run: the numbers of the whole, then where its time and energy go.

    Latency is the time charged to a row, bandwidth and power are over the time it was active.
    `folder` is where the run was saved, if it was.
    """
    note = Text(
        "Latency is attributed along the critical path, so that rows add up to the total. "
        "Bandwidth, power and array use are over the time in which a row ran. "
        f"{joules_of(document)}",
        style="dim",
    )
    doubts = [Text(each) for each in document["provenance"].get("notes", ())]
    table = cost_sheet(document, by).fitted(width)
    return Group(
        _headline(document, folder), table, note, *doubts, *_tokens(document), *_savings(document)
    )


def _savings(document: ResultDocument) -> Iterator[Text]:
    """Yield a line for each way in which this machine spared itself work."""
    if fusion := document.get("fusion"):
        yield _fusion(fusion)
    if sparsity := document.get("sparsity"):
        yield _sparsity(sparsity)


def precisions(document: ResultDocument) -> str:
    """Return in which precisions a run was traced and its GEMMs ran, in words."""
    precision = document["precision"]
    traced, executed = " + ".join(precision["traced"]), " + ".join(precision["executed"])
    if traced == executed:
        return f"GEMMs in {traced}, as traced"
    return f"traced in {traced}, GEMMs executed in {executed}"


def _headline(document: ResultDocument, folder: Path | None) -> Group:
    """Return the numbers of a whole run, a line each."""
    epochs = document["epochs_simulated"]
    title = (
        f"{document['trace']} on {document['hardware']}: {epochs} epoch{'s' * (epochs != 1)}, "
        f"{document['steps_simulated']} steps"
    )
    lines = Table.grid(padding=(0, 2, 0, 0))
    for name, text in _numbers(document):
        lines.add_row(f"  {name}", text)
    if folder:
        lines.add_row("  saved", f"{folder}; `trainsoc plot {folder}` draws it")
    return Group(Text(title), lines)


def _numbers(document: ResultDocument) -> Iterator[tuple[str, str]]:
    total = document["total"]
    time = si_with(document, LATENCY.key, LATENCY.of(total), "s")
    times = time, *_each(document, LATENCY.of(total), "s"), *_contention(total)
    yield "time", ", ".join(times)
    yield "energy", ", ".join((_energy(document), *_each(document, ENERGY.of(total), "J")))
    yield "power", f"{si(_POWER.of(total), 'W')} on average"
    if area := document["area_mm2"].get(TOTAL):
        parts = (name for name in document["area_mm2"] if name != TOTAL)  # a chip has more
        yield "area", f"{si(area, 'mm2')} ({' + '.join(parts)})"
    yield "memory", _memory(document)
    yield "formats", precisions(document)


def _each(document: ResultDocument, total: float, unit: str) -> Iterator[str]:
    """Yield what an epoch takes of a total, and a step, of whichever kind."""
    epochs, steps = document["epochs_simulated"], document["steps_simulated"]
    yield f"{si(over(total, epochs) or 0.0, unit)} per epoch"
    yield f"{si(over(total, steps) or 0.0, unit)} per step"


def _energy(document: ResultDocument) -> str:
    """Return the energy with its interval, or without samples with the ends of all prices."""
    total = document["total"]
    if "uncertainty" in document:
        return si_with(document, ENERGY.key, ENERGY.of(total), "J")
    low, high = (metric(ENERGY.between(end)).get(total) for end in ("low", "high"))
    if low is None or high is None:  # a result of an earlier version
        return si(ENERGY.of(total), "J")
    return si_range(ENERGY.of(total), low, high, "J")


def _contention(total: CostRow) -> Iterator[str]:
    """Yield what units lose to each other at the memory, if anything."""
    if lost := _CONTENTION.of(total):
        yield f"{si(lost, 's')} of DRAM contention between units"


def cost_sheet(document: ResultDocument, by: str) -> Sheet:
    """Return a row for each part of a run, and one for the whole."""
    total = document["total"]
    spent = ENERGY_BY_COMPONENT.of(total)
    components = [name for name in COMPONENTS if name in spent]
    components += [name for name in spent if name not in COMPONENTS]
    rows = [*ROWS[by](document), CostLine(TOTAL, total)]
    return Sheet(
        _headings(by, components),
        [
            (SheetCell(row.name, row.name), *_cost_cells(row.costs, total, components))
            for row in rows
        ],
    )


def _headings(by: str, components: Sequence[str]) -> list[Heading]:
    """Return the headings of a table of costs; shares and parts of a total are left out first."""
    columns = [Heading(name, ENERGY_BY_COMPONENT.column.format(name), 4) for name in components]
    use, busy_use = _SHARES
    return [
        Heading("", by),
        Heading("latency", LATENCY.key),
        Heading("share", "latency_share"),
        Heading("DRAM", "dram_bytes", 2),
        Heading("bandwidth", _BANDWIDTH.key, 1),
        Heading("energy", ENERGY.key),
        *columns,
        Heading("power", _POWER.key),
        Heading("array use", use.key, 1),
        Heading("of busy time", busy_use.key, 3),
    ]


def _cost_cells(row: CostRow, total: CostRow, components: Sequence[str]) -> list[SheetCell]:
    parts = ENERGY_BY_COMPONENT.of(row)
    traffic, share = _READS.of(row) + _WRITES.of(row), over(LATENCY.of(row), LATENCY.of(total))
    return [
        _amount(LATENCY.of(row), "s"),
        SheetCell(percent(LATENCY.of(row), LATENCY.of(total)), share),
        _amount(traffic, "B"),
        _amount(_BANDWIDTH.of(row), "B/s"),
        _amount(ENERGY.of(row), "J"),
        *(_amount(parts[name], "J") if parts else SheetCell("", None) for name in components),
        _amount(_POWER.of(row), "W"),
        *(_use(each, row) for each in _SHARES),
    ]


def _use(metric: Metric, row: CostRow) -> SheetCell:
    return SheetCell(percent(metric.of(row), 1) if metric.of(row) else "-", metric.get(row))


def _amount(value: float, unit: str) -> SheetCell:
    return SheetCell(si(value, unit), value)


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
        _BANDWIDTH.key: over(read + written, latency) or 0.0,
        _POWER.key: over(energy, latency) or 0.0,
    }


def _tokens(document: ResultDocument) -> Iterator[Text]:
    """Yield a line for each phase in which a language model took in or generated tokens."""
    for name, row in by_phase(document).items():
        if count := _TOKENS.get(row):
            yield Text(
                f"{spoken(name).capitalize()}: {count:,} tokens, "
                f"{digits(_TOKEN_RATE.of(row))} per second, "
                f"{si(_TOKEN_ENERGY.of(row), 'J')} each."
            )


def _memory(document: ResultDocument) -> str:
    memory = document["memory"]
    kinds = {
        "parameters": memory["parameters"],
        "gradients": memory["gradients"],
        "optimizer state": memory["optimizer_state"],
        "activations": memory["activations"],
    }
    beside = {"cache": memory.get("cache", 0), "copies for other units": memory.get("copies", 0)}
    kinds |= {name: size for name, size in beside.items() if size}
    parts = ", ".join(f"{name} {si(size, 'B')}" for name, size in kinds.items())
    return f"{si(memory['peak_bytes'], 'B')} at its peak ({parts})"


def _fusion(fusion: FusionDocument) -> Text:
    groups = fusion["groups"]
    parts = sum(len(row["parts"]) for row in groups)
    if not groups:
        return Text(f"Fusion ({fusion['mode']}): no two ops of this trace can be fused here.")
    compiled = (
        " Compiled code has its calls and launches in these times, which may exceed what it saves."
        if fusion.get("compiled")
        else ""
    )
    return Text(
        f"Fusion ({fusion['mode']}): of {fusion['ops_traced']} ops in all distinct steps, {parts} "
        f"run as {len(groups)}; {si(fusion['saved_bytes'], 'B')} of results between them are never "
        f"stored.{compiled}"
    )


def _sparsity(sparsity: SparsityDocument) -> Text:
    dense, time_s = sparsity["dense_macs"], sparsity["skipped_ps"] / PS_PER_S
    zeros, skipped = dense - sparsity["useful_macs"], sparsity["skipped_macs"]
    share = percent(skipped, sparsity["issued_macs"] + skipped)
    return Text(
        f"Sparsity: of {si(dense, 'MAC')} of all GEMMs {si(zeros, 'MAC')} "
        f"({percent(zeros, dense)}) multiply zeros; accelerators skip {share} of what units would "
        f"execute, {si(skipped, 'MAC')}, and {si(time_s, 's')} of computing."
    )


def over(numerator: float, denominator: float) -> float | None:
    """Return a ratio, None over 0."""
    return numerator / denominator if denominator else None


def amount_table(first: str, *columns: str) -> Table:
    """Return an empty table, all but its first column for numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
