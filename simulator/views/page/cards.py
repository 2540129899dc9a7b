"""The headline numbers of a run: each with its interval, and how a baseline compares."""

from collections.abc import Callable
from typing import NamedTuple

from simulator.results.documents import ResultDocument
from simulator.results.metrics import AREAS, ENERGY, LATENCY, metric
from simulator.results.step_documents import StepDocument
from simulator.results.uncertainty import interval_in
from simulator.si import percent, scale, si, span, times
from simulator.units import PS_PER_S
from simulator.views.page.documents import CardRow

_POWER, _PEAK_POWER = metric("average_power_w"), metric("peak_power_w")
_USE, _UTILIZATION, _BUSY = map(metric, ("array_use", "array_utilization", "cpu_busy_s"))
_SAME = 0.005  # ratios closer to 1 are no difference


class PageRun(NamedTuple):
    """The documents of a finished run, and what it is called."""

    name: str
    document: ResultDocument
    step: StepDocument


class _Number(NamedTuple):
    key: str
    label: str
    of: Callable[[PageRun], float]
    unit: str
    less: str
    more: str


def _per_epoch(run: PageRun, total: float) -> float:
    return total / max(1, run.document["epochs_simulated"])


_NUMBERS = (
    _Number("step", "time per step", lambda run: run.step["duration_ps"] / PS_PER_S, "s",
            "shorter", "longer"),
    _Number("latency", "time per epoch",
            lambda run: _per_epoch(run, LATENCY.of(run.document["total"])), "s",
            "shorter", "longer"),
    _Number("energy", "energy per epoch",
            lambda run: _per_epoch(run, ENERGY.of(run.document["total"])), "J", "less", "more"),
    _Number("power", "average power", lambda run: _POWER.of(run.document["total"]), "W",
            "less", "more"),
    _Number("area", "area", lambda run: run.document.get("area_mm2", {}).get("total", 0.0), "mm2",
            "less", "more"),
    _Number("memory", "peak memory", lambda run: run.document["memory"]["peak_bytes"], "B",
            "less", "more"),
)  # fmt: skip


def cards(run: PageRun, other: PageRun | None) -> list[CardRow]:
    """Return the headline numbers of `run`, and how `other` compares, if there is one."""
    own = [_card(number, run, other) for number in _NUMBERS if number.of(run)]
    return [*own, *_shares(run)]


def _card(number: _Number, run: PageRun, other: PageRun | None) -> CardRow:
    value, ends = number.of(run), _interval(number, run)
    return {
        "key": number.key,
        "label": number.label,
        "unit": number.unit,
        "value": value,
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "text": si(value, number.unit),
        "interval": _span(ends, value, number.unit) if ends else "",
        "against": _against(number, value, other) if other else "",
        "note": _note(number, run.document),
    }


def _interval(number: _Number, run: PageRun) -> tuple[float, float] | None:
    """Return where a number lies nine times in ten, or at the ends of all areas at once."""
    metrics = {"latency": LATENCY, "energy": ENERGY}
    if number.key == "area":
        parts = run.document.get("area", [])
        low, high = (sum(part[end] for part in parts) for end in ("low_mm2", "high_mm2"))
        return (low, high) if low < high else None
    if number.key not in metrics:
        return None
    row = interval_in(run.document, metrics[number.key].key)
    return (_per_epoch(run, row["low"]), _per_epoch(run, row["high"])) if row else None


def _span(ends: tuple[float, float], value: float, unit: str) -> str:
    factor, _ = scale(value, unit)
    return span(ends[0] / factor, ends[1] / factor)


def _against(number: _Number, value: float, other: PageRun) -> str:
    theirs = number.of(other)
    if not value or not theirs:
        return ""
    ratio = theirs / value
    if abs(ratio - 1) < _SAME:
        return f"as {other.name}"
    word = number.less if ratio > 1 else number.more
    return f"{times(max(ratio, 1 / ratio))} {word} than {other.name}"


def _note(number: _Number, document: ResultDocument) -> str:
    if number.key == "power":
        return f"peak {si(_PEAK_POWER.of(document['total']), 'W')}"
    if number.key == "area":
        names = (name for name in document.get("area_mm2", {}) if name != "total")
        return f"{', '.join(names)} only, not the die area" if AREAS.key in document else ""
    if number.key in ("latency", "energy"):
        epochs = document["epochs_simulated"]
        return f"mean of {epochs} epochs" if epochs > 1 else ""
    return "steady training step" if number.key == "step" else ""


def _shares(run: PageRun) -> list[CardRow]:
    total = run.document["total"]
    busy = _BUSY.of(total) / (LATENCY.of(total) or 1)
    rows = [_share("cpu", "CPU busy", busy, "of the run")]
    if run.step["machine"]["array_macs_per_s"]:
        note = f"of its peak; {percent(_UTILIZATION.of(total), 1)} while it is busy"
        rows.insert(0, _share("array", "array use", _USE.of(total), note))
    return rows


def _share(key: str, label: str, value: float, note: str) -> CardRow:
    return {
        "key": key,
        "label": label,
        "unit": "%",
        "value": 100 * value,
        "low": None,
        "high": None,
        "text": percent(value, 1),
        "interval": "",
        "against": "",
        "note": note,
    }
