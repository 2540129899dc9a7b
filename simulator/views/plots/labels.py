"""Labels of points that cover neither each other nor the points that they name.

The layout of the figure has to be settled, by `Figure.draw_without_rendering`.
"""

from collections.abc import Sequence
from math import hypot
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from simulator.views.plots.canvas import INK

XY = tuple[float, float]

_TYPE = 7.5  # points
_EM = 0.62 * _TYPE  # points that a character takes, generously
_LINE = 1.2 * _TYPE
_MARK = 3.5  # points that a marker reaches from its centre
_NEAR = 10.0  # points from its anchor within which a label needs no line to it
# Where a label may lie, seen from its point, the best direction first: left of and below a front
# that falls to the right nothing lies.
_DIRECTIONS = ((-1, -1), (-1, 0), (0, -1), (1, 1), (1, 0), (0, 1), (1, -1), (-1, 1))
_DISTANCES = (4.0, 9.0, 15.0, 22.0, 30.0, 40.0, 52.0, 66.0, 82.0, 100.0)


class Box(NamedTuple):
    """A rectangle on the figure, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def within(self, other: "Box") -> bool:
        """Whether `other` holds all of it."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


def far_apart(axes: Axes, spots: Sequence[XY], most: int) -> list[int]:
    """Return at most `most` positions in `spots`, in order: both ends, then the farthest in turn.

    `spots` are points of `axes`; how far they are from each other is measured on the figure.
    """
    shown = [_anchor(axes, spot) for spot in spots]
    chosen = sorted({0, len(spots) - 1})[:most]
    while len(chosen) < min(most, len(spots)):
        waiting = (i for i in range(len(spots)) if i not in chosen)
        chosen.append(
            max(waiting, key=lambda i: min(_distance(shown[i], shown[j]) for j in chosen))
        )
    return sorted(chosen)


def place_labels(axes: Axes, labels: Sequence[tuple[XY, str]], marks: Sequence[XY]) -> None:
    """Write each text near its point of `axes`, with a line to it where it lies farther off.

    No label covers another one or one of `marks`, which are points too; should there be no room
    at all for one, it stands right of its point.
    """
    frame = Box(*(float(side) * _to_points(axes) for side in axes.get_window_extent().extents))
    obstacles = [_around(_anchor(axes, spot)) for spot in (*marks, *(spot for spot, _ in labels))]
    for spot, text in labels:
        anchor, size = _anchor(axes, spot), (_EM * len(text), _LINE)
        away, box = _free(anchor, size, obstacles, frame)
        obstacles.append(box)
        line = {"arrowstyle": "-", "color": INK, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
        centre = ((box.left + box.right) / 2 - anchor[0], (box.bottom + box.top) / 2 - anchor[1])
        note = axes.annotate(
            text, spot, centre, textcoords="offset points", fontsize=_TYPE, ha="center",
            va="center", arrowprops=line if away > _NEAR else None, zorder=5,
        )  # fmt: skip
        note.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def _distance(one: XY, other: XY) -> float:
    return hypot(one[0] - other[0], one[1] - other[1])


def _to_points(axes: Axes) -> float:
    return 72 / float(axes.figure.dpi)


def _anchor(axes: Axes, spot: XY) -> XY:
    x, y = axes.transData.transform(spot) * _to_points(axes)
    return float(x), float(y)


def _around(spot: XY) -> Box:
    return Box(spot[0] - _MARK, spot[1] - _MARK, spot[0] + _MARK, spot[1] + _MARK)


def _free(anchor: XY, size: XY, obstacles: Sequence[Box], frame: Box) -> tuple[float, Box]:
    """Return the nearest box of this size beside `anchor` that is free, and how far off it is."""
    boxes = (
        (distance, _beside(anchor, size, distance, direction))
        for distance in _DISTANCES
        for direction in _DIRECTIONS
    )
    return next(
        (
            (distance, box)
            for distance, box in boxes
            if box.within(frame) and not any(box.meets(other) for other in obstacles)
        ),
        (_DISTANCES[0], _beside(anchor, size, _DISTANCES[0], (1, 0))),
    )


def _beside(anchor: XY, size: XY, distance: float, direction: tuple[int, int]) -> Box:
    across, up = direction
    left = anchor[0] + across * distance - size[0] * (1 - across) / 2
    bottom = anchor[1] + up * distance - size[1] * (1 - up) / 2
    return Box(left, bottom, left + size[0], bottom + size[1])
