"""How many times faster, and less in energy, than a baseline: with the range of each ratio.

Both machines of a sample pay the same prices. So the range of a ratio is narrower than what the
ranges of the two machines, divided by each other, would say.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.results.documents import IntervalRow, interval_of
from simulator.results.metric_row import Metric
from simulator.results.metrics import COMPARED
from simulator.results.uncertainty import bracket, interval_content
from simulator.si import digits
from simulator.views.plots.canvas import BLACK, BLUE, INK, Results, canvas, only, short

_HEIGHT = 2.4
_ROOM = 1.35  # of the longest bar or whisker, for the number right of it


def against_baseline(results: Results) -> Figure | None:
    """Draw each ratio of the first baseline to the machine in question, whiskers by its samples.

    None without a baseline, or without samples of both machines.
    """
    main, *others = results
    account = results[main].get("uncertainty")
    rows = [
        (metric, interval)
        for metric, ratio in COMPARED
        if account and (interval := interval_of(account, ratio.key))
    ]
    if not others or not account or not rows:
        return None
    ours, theirs = results[main]["total"], results[others[0]]["total"]
    values = [metric.of(theirs) / metric.of(ours) if metric.of(ours) else 0.0 for metric, _ in rows]
    note = (
        f"{others[0]} divided by {main}: more than 1 is better. Whiskers hold "
        f"{interval_content(account)}, the same in both machines."
    )
    figure = canvas(_title(main, others[0], rows, values), note, _HEIGHT)
    _bars(figure.subplots(), rows, values)
    return figure


def _bars(axes: Axes, rows: list[tuple[Metric, IntervalRow]], values: list[float]) -> None:
    for y, ((_, interval), value) in enumerate(zip(rows, values, strict=True)):
        ends = interval["low"], interval["high"]
        axes.barh(y, value, 0.6, color=BLUE)
        axes.plot(ends, (y, y), color=INK, linewidth=1, marker="|", markersize=7)
        text = f"{digits(value)} ×{bracket(interval)}"
        axes.annotate(
            text, (max(value, ends[1]), y), (5, 0), textcoords="offset points", va="center",
            fontsize=8,
        )  # fmt: skip
    axes.axvline(1, color=BLACK, linewidth=1, linestyle="--")
    furthest = max([1.0, *values, *(interval["high"] for _, interval in rows)])
    axes.set_xlim(0, _ROOM * furthest)
    labels = [metric.label for metric, _ in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params("y", length=0)
    axes.set_xlabel("baseline / machine (×)")
    axes.grid(axis="x")
    only(axes, "bottom")


def _title(
    main: str, other: str, rows: list[tuple[Metric, IntervalRow]], values: list[float]
) -> str:
    """Say which ratios keep to one side of 1 over their whole range."""
    words = []
    for (metric, interval), value in zip(rows, values, strict=True):
        sure = "" if interval["low"] > 1 or interval["high"] < 1 else ", or not: its range has 1"
        side = "less" if value >= 1 else "more"
        times = max(value, 1 / value) if value else 0.0
        words.append(f"{digits(times)} × {side} {metric.label}{sure}")
    return f"{short(main)} takes {' and '.join(words)} than {short(other)}"
