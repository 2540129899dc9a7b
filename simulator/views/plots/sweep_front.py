"""The points of a design space in two objectives, the front among them, and named baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from simulator.si import share
from simulator.views.design_space import KnobAxis, Measure, PointRow, SweepTable, named
from simulator.views.frontier import knee
from simulator.views.plots.canvas import (
    BLACK,
    BLUE,
    INK,
    SILVER,
    VERMILLION,
    canvas,
    short,
)
from simulator.views.plots.labels import far_apart, place_labels
from simulator.views.plots.sweep_notes import WIDE, enumeration, measure_axis, scene, span_axis

_LABELS = 12
_SMALL = 0.4  # of an axis: a front that is shorter than this is enlarged
_MAP = "cividis"
_HEIGHT = 5.2
_SHORT = 12  # characters that a label beside its point may have
_LINE_INCHES = 0.17

Objectives = Sequence[Measure]


def front(table: SweepTable) -> Figure | None:
    """Draw the points in the first two objectives, and a staircase along the best of them.

    Where the front is a small part of it all, a second panel enlarges it. A third objective is
    the colour. Points of the front carry their knobs, or a number that a key below explains. None
    without two objectives or without a point that has them.
    """
    objectives = [Measure(column) for column in table.objectives]
    points = [row for row in table.feasible if _has_values(row, objectives)]
    if len(objectives) < 2 or not points:
        return None
    best = _front(points, objectives)
    bend = knee_of(best, objectives)
    telling, common = _telling(table, best)
    names = [named(row, telling) for row in best]
    lines = min(len(best), _LABELS) if max(map(len, names)) > _SHORT else 0
    figure = canvas(
        _title(best, objectives, names, len(points)),
        _note(table, objectives, common, has_knee=bend is not None),
        _HEIGHT + _LINE_INCHES * (lines + 1) if lines else _HEIGHT,
    )  # fmt: skip
    baselines = {n: row for n, row in table.baselines.items() if _has_values(row, objectives[:2])}
    everything = [*points, *baselines.values()]
    views = [everything, best] if _is_small(best, everything, objectives) else [everything]
    panels, key = _panels(figure, len(views), lines)
    for axes, rows in zip(panels, views, strict=True):
        _limits(axes, rows, objectives)
        _scatter(axes, points, best, objectives)
        _staircase(axes, best, objectives)
        _mark_knee(axes, bend, objectives)
        for row in baselines.values():
            axes.plot(*_xy(row, objectives), "D", color=VERMILLION, ms=7, mec="white", zorder=4)
    if len(objectives) > 2:
        _colours(panels, points, objectives[2])
    figure.draw_without_rendering()  # settles where the axes lie, before labels are placed
    _label(panels, key, list(zip(names, best, strict=True)), baselines, objectives)
    return figure


def knee_of(best: Sequence[PointRow], objectives: Objectives) -> PointRow | None:
    """Return the knee of the front in all objectives, None where it has none."""
    front = [row for row in best if row.get("pareto")]
    number = knee([[measure.of(row) or 0.0 for measure in objectives] for row in front])
    return None if number is None else front[number]


def _mark_knee(axes: Axes, row: PointRow | None, objectives: Objectives) -> None:
    if row is not None:
        x, y = _xy(row, objectives)
        axes.plot(x, y, "o", ms=12, mfc="none", mec=VERMILLION, mew=1.6, zorder=5)


def _is_small(best: Sequence[PointRow], rows: Sequence[PointRow], objectives: Objectives) -> bool:
    """Whether `best` spans so little of what `rows` do that its points would lie on a heap."""
    if len(best) < 2:
        return False
    for measure in objectives[:2]:
        near, far = ([measure.of(row) or 0.0 for row in each] for each in (best, rows))
        if max(near) - min(near) < _SMALL * (max(far) - min(far)):
            return True
    return False


def _panels(figure: Figure, count: int, lines: int) -> tuple[list[Axes], Axes | None]:
    """Return axes side by side, and below them those of a key of so many lines, if any."""
    ratios = [_HEIGHT - 1.0, _LINE_INCHES * (lines + 1)] if lines else [1.0]
    grid = figure.add_gridspec(len(ratios), count, height_ratios=ratios)
    panels = [figure.add_subplot(grid[0, i]) for i in range(count)]
    return panels, figure.add_subplot(grid[1, :]) if lines else None


def _label(
    panels: Sequence[Axes],
    key: Axes | None,
    best: Sequence[tuple[str, PointRow]],
    baselines: Mapping[str, PointRow],
    objectives: Objectives,
) -> None:
    """Name the baselines in the first panel, and points far apart on the front in the last.

    With a key the points are numbers, which the key explains.
    """
    spots = [_xy(row, objectives) for _, row in best]
    chosen = far_apart(panels[-1], spots, _LABELS)
    if key is not None:
        _explain(key, [best[i] for i in chosen], objectives)
    labels = [(spots[i], str(n) if key else best[i][0]) for n, i in enumerate(chosen, 1)]
    names = [(_xy(row, objectives), short(name, 24)) for name, row in baselines.items()]
    if len(panels) > 1:
        panels[0].set_title("all points")
        panels[1].set_title("the front, enlarged")
        place_labels(panels[0], names, spots)
        names = []
    place_labels(panels[-1], [label for label in (*names, *labels) if label[1]], spots)


def _explain(key: Axes, best: Sequence[tuple[str, PointRow]], objectives: Objectives) -> None:
    """Write a line per numbered point: its knobs and its objectives."""
    key.set_axis_off()
    columns = [0.018, 0.035, *(0.7 + 0.32 * i / len(objectives) for i in range(len(objectives)))]
    epochs = ", per epoch" if any(row.get("epochs") for _, row in best) else ""
    table = [["", f"on the front{epochs}", *(measure.name for measure in objectives)]]
    for number, (name, row) in enumerate(best, 1):
        table.append([str(number), short(name, 66), *(m.text(row) for m in objectives)])
    for line, cells in enumerate(table):
        for i, (x, text) in enumerate(zip(columns, cells, strict=True)):
            key.text(
                x, 1 - (line + 0.5) / len(table), text, transform=key.transAxes, va="center",
                fontsize=7.5, color=BLACK if line else INK, ha="left" if i else "right",
            )  # fmt: skip


def _has_values(row: PointRow, objectives: Objectives) -> bool:
    return all(measure.of(row) is not None for measure in objectives)


def _xy(row: PointRow, objectives: Objectives) -> tuple[float, float]:
    return objectives[0].of(row) or 0.0, objectives[1].of(row) or 0.0


def _front(points: Sequence[PointRow], objectives: Objectives) -> list[PointRow]:
    """Return the points on the front, and those on its edge in the two objectives drawn."""
    edge = {id(row) for row in _edge(points, objectives)}
    front = [row for row in points if row.get("pareto") or id(row) in edge]
    return sorted(front, key=lambda row: _xy(row, objectives))


def _edge(points: Sequence[PointRow], objectives: Objectives) -> list[PointRow]:
    """Return the points that no other beats in the two objectives drawn, from left to right."""
    edge: list[PointRow] = []
    for row in sorted(points, key=lambda row: _xy(row, objectives)):
        if not edge or _xy(row, objectives)[1] < _xy(edge[-1], objectives)[1]:
            edge.append(row)
    return edge


def _telling(table: SweepTable, best: Sequence[PointRow]) -> tuple[list[KnobAxis], list[str]]:
    """Return the axes that tell the points of the front apart, and what all of them share."""
    apart = [axis for axis in table.axes if len({axis.of(row) for row in best}) > 1]
    if len(best) == 1:
        return table.axes, []
    shared = [axis.phrase(axis.of(best[0])) for axis in table.axes if axis not in apart]
    return apart, shared


def _limits(axes: Axes, rows: Sequence[PointRow], objectives: Objectives) -> None:
    """Let the axes span `rows`, with room for labels."""
    for measure, which in zip(objectives, "xy", strict=False):
        values = [measure.of(row) or 0.0 for row in rows]
        span_axis(axes, which, measure, values, measure.label(rows))
    axes.grid(visible=True)


def _scatter(
    axes: Axes, points: Sequence[PointRow], best: Sequence[PointRow], objectives: Objectives
) -> None:
    chosen = {id(row) for row in best}
    beaten = [row for row in points if id(row) not in chosen]
    if len(objectives) < 3:
        _dots(axes, beaten, objectives, color=SILVER, s=12, linewidths=0)
        _dots(axes, best, objectives, color=BLUE, s=32, zorder=3, edgecolors="white")
        return
    norm = _norm(points, objectives[2])
    looks: tuple[tuple[Sequence[PointRow], dict[str, Any]], ...] = (
        (beaten, {"s": 12, "alpha": 0.35, "linewidths": 0}),
        (best, {"s": 36, "zorder": 3, "edgecolors": INK, "linewidths": 0.7}),
    )
    for rows, look in looks:
        third = [objectives[2].of(row) or 0.0 for row in rows]
        _dots(axes, rows, objectives, c=third, cmap=_MAP, norm=norm, **look)


def _norm(points: Sequence[PointRow], measure: Measure) -> Normalize:
    values = [measure.of(row) or 0.0 for row in points]
    low, high = min(values), max(values)
    return LogNorm(low, high) if low > 0 and high / low > WIDE else Normalize(low, high)


def _colours(panels: Sequence[Axes], points: Sequence[PointRow], measure: Measure) -> None:
    """Explain the colours of the third objective."""
    colours = ScalarMappable(_norm(points, measure), _MAP)
    bar = panels[0].figure.colorbar(colours, ax=panels, pad=0.02, aspect=35)
    values = [measure.of(row) or 0.0 for row in points]
    measure_axis(bar.ax.yaxis, measure, values, measure.label(points))


def _dots(axes: Axes, rows: Sequence[PointRow], objectives: Objectives, **look: Any) -> None:
    pairs = [_xy(row, objectives) for row in rows]
    axes.scatter([x for x, _ in pairs], [y for _, y in pairs], **look)


def _staircase(axes: Axes, best: Sequence[PointRow], objectives: Objectives) -> None:
    """Draw the edge of what the space reaches; it goes on to the ends of the axes."""
    edge = [_xy(row, objectives) for row in _edge(best, objectives)]
    x = [edge[0][0], *(x for x, _ in edge), axes.get_xlim()[1]]
    y = [axes.get_ylim()[1], *(y for _, y in edge), edge[-1][1]]
    axes.plot(x, y, drawstyle="steps-post", color=BLUE, linewidth=1.2, zorder=2)


def _title(
    best: Sequence[PointRow], objectives: Objectives, names: Sequence[str], points: int
) -> str:
    first, second = objectives[:2]
    left = min(best, key=lambda row: _xy(row, objectives))
    low = min(best, key=lambda row: _xy(row, objectives)[::-1])
    if left is low:
        values = " and ".join(f"{m.label(best)} {m.text(left)}" for m in (first, second))
        return f"{short(names[best.index(left)] or 'The only point', 50)} is best in both: {values}"
    (x, top), (right, y) = _xy(left, objectives), _xy(low, objectives)
    return (
        f"{share(top - y, top)} less {second.name} costs {share(right - x, x)} more {first.name} "
        f"from end to end of the front, {len(best)} of {points} points"
    )


def _note(
    table: SweepTable, objectives: Objectives, common: Sequence[str], *, has_knee: bool
) -> str:
    shared = f" All points on the front: {enumeration(common)}." if common else ""
    ring = " Ring: its knee." if has_knee else ""
    named_too = " Diamonds: baselines." if table.baselines else ""
    colours = (
        "Blue: the front, which no point beats; grey: beaten."
        if len(objectives) < 3
        else "Large: the front, which no point beats in all objectives; the line is that of the "
        "two axes alone."
    )
    return f"{scene(table)} {colours}{ring}{named_too}{shared}"
