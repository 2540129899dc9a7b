"""Why points have no results: they miss an accuracy, their network was pruned, they cannot run."""

import re
from collections import Counter
from collections.abc import Iterable

from simulator.si import percent

_MISSED = re.compile(r"(?P<condition>.+): trained, its network has [\d.e+-]+")
_PRUNED = re.compile(r"pruned after \d+ of \d+ epochs at .+")

_HAVE_PRUNED, _CANNOT = "have pruned networks", "cannot run"


def missed(condition: str, accuracy: float) -> str:
    """Return why a point is infeasible whose trained network misses a condition."""
    return f"{condition.strip()}: trained, its network has {accuracy:.4g}"


def pruned(after: int, epochs: int, accuracy: float) -> str:
    """Return why a point is infeasible whose network was not trained to the end."""
    return f"pruned after {after} of {epochs} epochs at {percent(accuracy, 1, 0)}"


def shortfalls(reasons: Iterable[str]) -> list[str]:
    """Return in words how many points lack what: "3 miss accuracy >= 95 %", "2 cannot run"."""
    counts = Counter(map(_kind, reasons))
    return [f"{number} {kind}" for kind, number in sorted(counts.items(), key=_order)]


def _kind(reason: str) -> str:
    if match := _MISSED.fullmatch(reason):
        return f"miss {match['condition']}"
    return _HAVE_PRUNED if _PRUNED.fullmatch(reason) else _CANNOT


def _order(item: tuple[str, int]) -> tuple[int, str]:
    last = [_HAVE_PRUNED, _CANNOT]
    return (last.index(item[0]) + 1 if item[0] in last else 0), item[0]
