"""Two runs side by side: the verdict on a run against its baseline, in a table and a sentence."""

from collections.abc import Mapping
from typing import NamedTuple, TypedDict, cast

from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.results.documents import IntervalRow, ResultDocument, by_phase
from simulator.results.metric_row import CostRow, Metric
from simulator.results.metrics import COMPARED, ENERGY, LATENCY
from simulator.results.uncertainty import bracket, si_with
from simulator.si import si, times
from simulator.views.report import TOTAL, amount_table, over, precisions, style_of

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


def verdict(document: ResultDocument, baseline: ResultDocument) -> Group:
    """Return speed-up and energy ratio against `baseline`, for each phase and the whole."""
    headings = (ratio.label for _, ratio in COMPARED)
    table = amount_table("phase", *headings, *_pair_names(document, baseline))
    intervals = _intervals(document)
    for pair in _paired(document, baseline):
        cells = *_ratio_cells(pair, intervals), *_amounts(pair)
        table.add_row(pair.name, *cells, style=style_of(pair.name))
    return Group(Text(verdict_sentence(document, baseline), style="bold"), table)


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
        f"{_more_or_less(speed, _interval(document, LATENCY), 'faster', 'slower')} and "
        f"{_more_or_less(energy, _interval(document, ENERGY), 'less energy', 'more energy')} "
        f"than {baseline['hardware']} "
        f"({precisions(document)})."
    )


def side_by_side(left: ResultDocument, right: ResultDocument, intervals: Intervals) -> Table:
    """Return two runs side by side: latency and energy per phase; ratios right over left.

    `intervals` has the intervals of ratios, where samples of the two runs can be compared.
    """
    headings = (f"{each.label} ratio" for each, _ in COMPARED)
    table = amount_table("", *_pair_names(left, right), *headings)
    for pair in _paired(left, right):
        values = [
            si_with(document, f"{pair.start}{each.key}", each.of(row), each.unit)
            for each, _ in COMPARED
            for document, row in ((left, pair.ours), (right, pair.theirs))
        ]
        cells = *values, *_ratio_cells(pair, intervals)
        table.add_row(pair.name, *cells, style=style_of(pair.name))
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


def _pair_names(left: ResultDocument, right: ResultDocument) -> list[str]:
    names = [left["hardware"], right["hardware"]]
    return [f"{name} {each.label}" for each, _ in COMPARED for name in names]


def _ratio_cells(pair: PhasePair, intervals: Intervals) -> list[str]:
    """Return the ratios of a part, with their intervals where they have one."""
    cells = []
    for each, ratio in COMPARED:
        value, interval = pair.ratio(each), intervals.get(f"{pair.start}{ratio.key}")
        cells.append("-" if value is None else f"{times(value)}{bracket(interval)}")
    return cells


def _amounts(pair: PhasePair) -> list[str]:
    rows = pair.ours, pair.theirs
    return [si(each.of(row), each.unit) for each, _ in COMPARED for row in rows]
