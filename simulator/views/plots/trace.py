"""One step of a trace: FLOPs and bytes by phase, and the memory held while its ops run."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.si import scale, share, si
from simulator.views.memory_view import peak_sentence
from simulator.views.plots.canvas import (
    INK,
    KINDS,
    MEMORY,
    SILVER,
    canvas,
    in_order,
    legend,
    only,
    short,
    spoken,
    swatches,
)
from simulator.views.plots.series import PhaseStretch, bars
from simulator.views.trace_documents import MemoryOverTime, Peak, PhaseTotals, TraceSummary

_OTHERS = "all others"
_PIXELS = 800  # across the axes: what is closer together than one cannot be told apart
_LANE_INCHES = 0.17
_ROW_INCHES = 0.24
_SMALL = 7.5


def work(document: TraceSummary) -> Figure:
    """Draw GEMM FLOPs and bytes of every phase, the bytes by kind of op."""
    rows = [row for row in document["phases"] if row["flops"] or row["bytes"]]
    figure = canvas(_work_title(document, rows), _note(document), 1.6 + _ROW_INCHES * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    factor = _axis(left, [row["flops"] for row in rows], 1.45, "GEMM operations", "FLOP")
    for y, row in enumerate(rows):
        left.barh(y, row["flops"] / factor, 0.8, color=KINDS["gemm"])
        _tell(left, row["flops"] / factor, y, si(row["flops"], "FLOP") if row["flops"] else "none")
    factor = _axis(right, [row["bytes"] for row in rows], 1.8, "read and written", "B")
    for y, row in enumerate(rows):
        _stack(right, y, _by_kind(row), factor)
        _tell(right, row["bytes"] / factor, y, _traffic_text(row))
    left.set_yticks(range(len(rows)), labels=[spoken(row["phase"]) for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    kinds = in_order(KINDS, (kind for row in rows for kind in _by_kind(row)))
    legend(figure, swatches(KINDS | {_OTHERS: SILVER}, kinds), "bytes of")
    return figure


def memory(document: MemoryOverTime) -> Figure:
    """Draw the memory held while each op runs, stacked by kind, above a lane for every phase."""
    phases = list(dict.fromkeys(document["phases"]))
    height = 3.6 + _LANE_INCHES * len(phases)
    figure = canvas(_memory_title(document), _memory_note(document), height)
    ratios = [2.4, 0.3 + _LANE_INCHES * len(phases)]
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
    groups = [group for group, series in document["held"].items() if any(series)]
    factor, prefix = scale(document["peak"]["bytes"])
    _layers(upper, {group: document["held"][group] for group in groups}, factor)
    upper.set_ylabel(f"memory held ({prefix}B)")
    upper.set_title(peak_sentence(document["peak"]), color=INK)
    _mark(upper, document["peak"], factor)
    _lanes(lower, document["phases"], phases)
    handles = [Patch(color=MEMORY[g], label=g.replace("_", " ")) for g in reversed(groups)]
    legend(figure, list(handles), "held")
    return figure


def _axis(axes: Axes, values: list[int], room: float, what: str, unit: str) -> float:
    """Make `room`, in longest bars, for bars and their numbers; return the unit's factor."""
    largest = max(values, default=0)
    factor, prefix = scale(largest)
    axes.set_xlim(0, room * largest / factor or 1)
    axes.set_xlabel(f"{what} ({prefix}{unit})")
    axes.tick_params("y", length=0)
    only(axes, "bottom")
    axes.grid(axis="x")
    return factor


def _tell(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), (3, 0), textcoords="offset points", va="center", fontsize=_SMALL)


def _by_kind(row: PhaseTotals) -> dict[str, int]:
    """Return the bytes of each kind of op that has a colour, and of all others."""
    traffic: dict[str, int] = {}
    for kind, part in row["by_kind"].items():
        name = kind if kind in KINDS else _OTHERS
        if part["bytes"]:
            traffic[name] = traffic.get(name, 0) + part["bytes"]
    return traffic


def _stack(axes: Axes, y: float, traffic: dict[str, int], factor: float) -> None:
    start = 0.0
    for kind in in_order(KINDS, traffic):
        width = traffic[kind] / factor
        axes.barh(y, width, 0.8, left=start, color=KINDS.get(kind, SILVER))
        start += width


def _traffic_text(row: PhaseTotals) -> str:
    text = si(row["bytes"], "B")
    return f"{text}, {row['flops_per_byte']:.1f} FLOP/B" if row["flops"] else text


def _work_title(document: TraceSummary, rows: list[PhaseTotals]) -> str:
    flops, size = sum(row["flops"] for row in rows), sum(row["bytes"] for row in rows)
    name = document["name"]
    if not size:
        return f"A step of {name} moves nothing"
    most = max(rows, key=lambda row: row["bytes"])
    traffic = f"moves {si(size, 'B')}, {share(most['bytes'], size)} of it in {_in(most)}"
    if not flops:
        return f"A step of {name} has no GEMMs and {traffic}"
    most = max(rows, key=lambda row: row["flops"])
    part = share(most["flops"], flops)
    return (
        f"A step of {name} computes {si(flops, 'FLOP')}, {part} of it in {_in(most)}, and {traffic}"
    )


def _in(row: PhaseTotals) -> str:
    return spoken(row["phase"])


def _note(document: TraceSummary) -> str:
    step = document["distinct"][document["step"]]
    return (
        f"{document['name']}, distinct step {step['index']} ({step['kind']}), {step['ops']} ops. "
        "FLOP: 2 x MACs of GEMMs. Bytes: distinct bytes that each op reads and writes, no cache "
        "between two of them."
    )


def _layers(axes: Axes, series_of: dict[str, list[int]], factor: float) -> None:
    moments = len(next(iter(series_of.values()), [0]))
    lower = [0.0] * moments
    for group, series in series_of.items():
        upper = [a + b / factor for a, b in zip(lower, series, strict=True)]
        paint = MEMORY[group]
        axes.stairs(upper, range(moments + 1), baseline=lower, fill=True, color=paint, linewidth=0)
        lower = upper
    axes.set_xlim(0, moments)
    axes.set_ylim(0, 1.12 * max(lower) or 1)
    axes.grid(axis="y")


def _mark(axes: Axes, peak: Peak, factor: float) -> None:
    if peak["op"] is not None:
        place = (peak["op"] + 0.5, peak["bytes"] / factor)
        axes.annotate("▼", place, (0, 1), textcoords="offset points", ha="center", fontsize=_SMALL)


def _lanes(axes: Axes, of_ops: list[str], phases: list[str]) -> None:
    ops: list[PhaseStretch] = [
        {"start_ps": i, "end_ps": i + 1, "phase": phase} for i, phase in enumerate(of_ops)
    ]
    for y, phase in enumerate(phases):
        mine = [op for op in ops if op["phase"] == phase]
        spans = [(b.start_ps, b.end_ps - b.start_ps) for b in bars(mine, len(ops) // _PIXELS)]
        axes.broken_barh(spans, (y - 0.38, 0.76), color=INK, linewidth=0)
    axes.set_yticks(range(len(phases)), labels=[spoken(phase) for phase in phases])
    axes.tick_params("y", length=0, labelsize=_SMALL)
    axes.set_ylim(len(phases) - 0.4, -0.6)
    axes.set_xlabel("op of the step, by number")
    only(axes, "bottom")


def _memory_title(document: MemoryOverTime) -> str:
    peak = document["peak"]
    group, most = max(peak["by_kind"].items(), key=lambda item: item[1])
    return (
        f"A step of {short(document['trace'])} holds at most {si(peak['bytes'], 'B')}, "
        f"{share(most, peak['bytes'])} of it {group.replace('_', ' ')}"
    )


def _memory_note(document: MemoryOverTime) -> str:
    return (
        f"{document['trace']}, distinct step {document['step']} ({document['kind']}). What the "
        "step makes is held from its first to its last use, a gradient to the step's end; of an "
        "input what is used counts. The triangle is the peak."
    )
