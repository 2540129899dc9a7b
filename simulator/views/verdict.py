"""Two runs side by side: the verdict on a run against its baseline, in a table and a sentence."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict, cast

from rich.console import Group
from rich.text import Text

from simulator.results.documents import IntervalRow, ResultDocument, by_phase
from simulator.results.metric_row import CostRow, Metric
from simulator.results.metrics import COMPARED, ENERGY, LATENCY, metric
from simulator.results.uncertainty import bracket, si_with
from simulator.si import si, times
from simulator.views.joules import joules_of
from simulator.views.report import over, precisions
from simulator.views.sheet import TOTAL, Heading, Sheet, SheetCell

_POWER = metric("average_power_w")
_SAME = 0.005  # ratios closer to 1 are no difference

Intervals = Mapping[str, IntervalRow]


class PhasePair(NamedTuple):
    """A part of two runs; `name` is its phase, or "total"."""

    name: str
    ours: CostRow
    theirs: CostRow

    def ratio(self, metric: Metric) -> float | None:
        """Return the metric of `theirs` over that of `ours`; None where that is 0."""
        return over(metric.of(self.theirs), metric.of(self.ours))

    @property
    def start(self) -> str:
        """What the keys of the intervals of this part begin with."""
        return "" if self.name == TOTAL else f"{self.name}_"


class Summary(TypedDict, total=False):
    """A verdict in plain numbers; empty without a baseline."""

    baseline: str
    sentence: str
    phases: dict[str, dict[str, float | None]]


def verdict(document: ResultDocument, baseline: ResultDocument, width: int) -> Group:
    """Return speedup and energy ratio against `baseline`, for each phase and the whole."""
    intervals = _intervals(document)
    headings = [
        Heading("phase", "phase"),
        *(Heading(ratio.label, ratio.key) for _, ratio in COMPARED),
        *_amount_headings([document["hardware"], baseline["hardware"]], spare=1),
    ]
    rows = [
        [SheetCell(pair.name, pair.name), *_ratio_cells(pair, intervals), *_amounts(pair)]
        for pair in _paired(document, baseline)
    ]
    sentence = Text(verdict_sentence(document, baseline), style="bold")
    note = Text(joules_of(document), style="dim")
    return Group(sentence, Sheet(headings, rows).fitted(width), note)


def verdict_sentence(document: ResultDocument, baseline: ResultDocument) -> str:
    """Return the answer in one sentence, naming both precisions."""
    total = PhasePair(TOTAL, document["total"], baseline["total"])
    speed, energy = total.ratio(LATENCY) or 0.0, total.ratio(ENERGY) or 0.0
    if abs(speed - 1) < _SAME and abs(energy - 1) < _SAME:
        return (
            f"Training {document['trace']} on {document['hardware']} costs what it costs on "
            f"{baseline['hardware']} ({precisions(document)})."
        )
    worth = {(True, True): "is worth it", (False, False): "is not worth it"}.get(
        (speed > 1, energy > 1), "is a trade"
    )
    return (
        f"Training {document['trace']} on {document['hardware']} {worth}: "
        f"{_more_or_less(speed, _interval(document, LATENCY), 'speedup', 'slowdown')} and "
        f"{_more_or_less(energy, _interval(document, ENERGY), 'less energy', 'more energy')} "
        f"against {baseline['hardware']} "
        f"({precisions(document)})."
    )


def side_by_side(
    left: ResultDocument, right: ResultDocument, names: Sequence[str], intervals: Intervals
) -> Sheet:
    """Return two runs side by side: latency and energy per phase; ratios right over left.

    `intervals` has the intervals of ratios, where samples of the two runs can be compared.
    """
    headings = [
        Heading("", "phase"),
        *_amount_headings(names),
        *(Heading(f"{each.label} ratio", f"{each.label}_ratio") for each, _ in COMPARED),
    ]
    rows = [
        [
            SheetCell(pair.name, pair.name),
            *(
                _sure_amount(run, f"{pair.start}{each.key}", each, row)
                for each, _ in COMPARED
                for run, row in ((left, pair.ours), (right, pair.theirs))
            ),
            *_ratio_cells(pair, intervals),
        ]
        for pair in _paired(left, right)
    ]
    return Sheet(headings, rows)


def one_below_another(runs: Mapping[str, ResultDocument]) -> Sheet:
    """Return a row for each of several runs, by name; ratios are over the first one."""
    first = next(iter(runs.values()))["total"]
    headings = [
        Heading("", "run"),
        *(Heading(each.label, each.key) for each, _ in COMPARED),
        *(Heading(f"{each.label} ratio", f"{each.label}_ratio") for each, _ in COMPARED),
        Heading(_POWER.label, _POWER.key, 1),
    ]
    rows = [
        [
            SheetCell(name, name),
            *(_sure_amount(run, each.key, each, run["total"]) for each, _ in COMPARED),
            *_ratio_cells(PhasePair(TOTAL, first, run["total"]), {}),
            _amount(_POWER, run["total"]),
        ]
        for name, run in runs.items()
    ]
    return Sheet(headings, rows)


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


def _more_or_less(ratio: float, interval: IntervalRow | None, more: str, less: str) -> str:
    """Return a ratio in words, and its interval where it has one."""
    if ratio >= 1:
        return f"{times(ratio)} {more}{bracket(interval)}"
    return f"{times(over(1, ratio) or 0)} {less}{bracket(interval, inverted=True)}"


def _paired(document: ResultDocument, baseline: ResultDocument) -> list[PhasePair]:
    """Return the phases that both runs have, and the total."""
    ours, theirs = by_phase(document), by_phase(baseline)
    phases = [PhasePair(name, row, theirs[name]) for name, row in ours.items() if name in theirs]
    return [*phases, PhasePair(TOTAL, document["total"], baseline["total"])]


def _amount_headings(names: Sequence[str], spare: int = 0) -> list[Heading]:
    return [
        Heading(f"{name} {each.label}", f"{name} {each.key}", spare)
        for each, _ in COMPARED
        for name in names
    ]


def _ratio_cells(pair: PhasePair, intervals: Intervals) -> list[SheetCell]:
    """Return the ratios of a part, with their intervals where they have one."""
    cells = []
    for each, ratio in COMPARED:
        value, interval = pair.ratio(each), intervals.get(f"{pair.start}{ratio.key}")
        if value is None:
            cells.append(SheetCell("-", None))
        else:
            cells.append(SheetCell(times(value), value, bracket(interval)))
    return cells


def _amounts(pair: PhasePair) -> list[SheetCell]:
    return [_amount(each, row) for each, _ in COMPARED for row in (pair.ours, pair.theirs)]


def _amount(metric: Metric, row: CostRow) -> SheetCell:
    return SheetCell(si(metric.of(row), metric.unit), metric.of(row))


def _sure_amount(run: ResultDocument, key: str, metric: Metric, row: CostRow) -> SheetCell:
    """Return the metric of a row of `run`, with the interval that the run has for `key`."""
    value = metric.of(row)
    text = si(value, metric.unit)
    return SheetCell(text, value, si_with(run, key, value, metric.unit).removeprefix(text))
