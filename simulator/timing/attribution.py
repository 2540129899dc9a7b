"""Charging every moment of a step to the task on its critical path."""

from collections.abc import Sequence

from simulator.activity import Span


def attribute(
    spans: Sequence[Span], units: Sequence[str], follows: Sequence[tuple[int, ...]]
) -> list[int]:
    """Return the picoseconds charged to each task; they add up to the step's duration.

    From the last completion (ties: the lowest index) walk back: a task's whole interval is
    charged to it; then on to the one it followed, or that its unit ran before, whose end is this
    start (ties: the lowest index). There always is one, since no unit waits without a reason.
    """
    charged = [0] * len(spans)
    if not spans:
        return charged
    before = _previous_on_unit(spans, units)
    ends = [span.end_ps for span in spans]
    index = ends.index(max(ends))
    while True:
        start = spans[index].start_ps
        charged[index] += spans[index].end_ps - start
        if not start:
            return charged
        earlier = (*follows[index], before[index])
        index = min([i for i in earlier if i >= 0 and ends[i] == start])


def _previous_on_unit(spans: Sequence[Span], units: Sequence[str]) -> list[int]:
    last: dict[str, int] = {}
    before = [-1] * len(spans)
    for index in sorted(range(len(spans)), key=spans.__getitem__):
        before[index] = last.get(units[index], -1)
        last[units[index]] = index
    return before
