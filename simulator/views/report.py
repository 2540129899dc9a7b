"""The tables of a run: what each phase, layer, op or stage costs, and the memory it needs."""

from collections.abc import Iterable, Iterator, Sequence
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
from simulator.results.metric_row import CostRow
from simulator.results.metrics import ENERGY, ENERGY_BY_COMPONENT, LATENCY, metric, spoken
from simulator.results.uncertainty import si_with
from simulator.si import digits, percent, si, si_range
from simulator.units import PS_PER_S

_READS, _WRITES = metric("dram_read_bytes"), metric("dram_write_bytes")
_BANDWIDTH, _POWER = metric("bandwidth_bytes_per_s"), metric("average_power_w")
_TOKENS, _TOKEN_RATE = metric("tokens"), metric("tokens_per_s")
_TOKEN_ENERGY = metric("energy_per_token_j")
_SHARES = metric("array_use"), metric("array_utilization")
_CONTENTION, _EXACT = metric("contention_s"), metric("latency_ps")
TOTAL = "total"


class CostLine(NamedTuple):
    """A part of a run, and what it costs."""

    name: str
    costs: CostRow


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
    doubts = [Text(each) for each in document["provenance"].get("notes", ())]
    rest = [*doubts, *_tokens(document), _memory(document), *_savings(document)]
    return Group(Text(_headline(document)), table, note, *rest)


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


def _headline(document: ResultDocument) -> str:
    total, epochs = document["total"], document["epochs_simulated"]
    return (
        f"{document['trace']} on {document['hardware']}: {epochs} epoch{'s' * (epochs != 1)}, "
        f"{document['steps_simulated']} steps in "
        f"{si_with(document, LATENCY.key, LATENCY.of(total), 's')}, "
        f"{_energy(document)} ({precisions(document)})"
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
    further = (name for name in ENERGY_BY_COMPONENT.of(total) if name not in COMPONENTS)
    components = (*COMPONENTS, *further)
    table = amount_table(
        "",
        "latency",
        "share",
        "DRAM",
        "bandwidth",
        "energy",
        *components,
        "power",
        "array use",
        "of busy time",
    )
    for name, costs in [*rows, CostLine(TOTAL, total)]:
        last = bool(rows) and costs is rows[-1].costs
        table.add_row(
            name, *_cost_cells(costs, total, components), style=style_of(name), end_section=last
        )
    return table


def _cost_cells(row: CostRow, total: CostRow, components: Sequence[str]) -> list[str]:
    parts = ENERGY_BY_COMPONENT.of(row)
    return [
        si(LATENCY.of(row), "s"),
        percent(LATENCY.of(row), LATENCY.of(total)),
        si(_READS.of(row) + _WRITES.of(row), "B"),
        si(_BANDWIDTH.of(row), "B/s"),
        si(ENERGY.of(row), "J"),
        *(si(parts[name], "J") if parts else "" for name in components),
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


def _memory(document: ResultDocument) -> Text:
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
    return Text(f"Memory: {si(memory['peak_bytes'], 'B')} at its peak ({parts}).")


def _fusion(fusion: FusionDocument) -> Text:
    groups = fusion["groups"]
    parts = sum(len(row["parts"]) for row in groups)
    if not groups:
        return Text(f"Fusion ({fusion['mode']}): no two ops of this trace can be fused here.")
    return Text(
        f"Fusion ({fusion['mode']}): of {fusion['ops_traced']} ops in all distinct steps, {parts} "
        f"run as {len(groups)}; {si(fusion['saved_bytes'], 'B')} of results between them are never "
        "stored."
    )


def _sparsity(sparsity: SparsityDocument) -> Text:
    dense, time_s = sparsity["dense_macs"], sparsity["skipped_ps"] / PS_PER_S
    zeros, skipped = dense - sparsity["useful_macs"], sparsity["skipped_macs"]
    share = percent(skipped, sparsity["issued_macs"] + skipped)
    return Text(
        f"Sparsity: of {si(dense, 'MAC')} of all products {si(zeros, 'MAC')} "
        f"({percent(zeros, dense)}) multiply zeros; accelerators skip {share} of what units would "
        f"execute, {si(skipped, 'MAC')}, and {si(time_s, 's')} of computing."
    )


def style_of(name: str) -> str:
    """Return the style of a row: the total is bold."""
    return "bold" if name == TOTAL else ""


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
