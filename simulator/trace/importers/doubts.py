"""Notes on the ops of an imported trace whose cost is unknown."""

from collections.abc import Iterable

from simulator.si import percent
from simulator.trace.importers.calls import Call, Doubt
from simulator.trace.importers.program import ImportedRun

_MOST_NAMES = 12  # names in a note; others are only counted


def doubts(run: ImportedRun, *, timed: bool) -> dict[str, str]:
    """Return a note on products of unknown size, and one on all other ops of unknown cost.

    Each has the number of ops by name and, if the run is `timed`, their share of the time.
    """
    calls = [call for step in run.steps for call in step]
    whole_ns = _ns(calls) if timed else 0
    products = [call for call in calls if call.doubt is Doubt.PRODUCT]
    others = [call for call in calls if call.doubt not in (Doubt.NONE, Doubt.PRODUCT)]
    notes = {"unknown_products": products, "unknown_ops": others}
    return {key: _note(members, whole_ns) for key, members in notes.items() if members}


def _note(calls: list[Call], whole_ns: int) -> str:
    groups: dict[tuple[str, Doubt], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.event.node.name, call.doubt), []).append(call)
    ordered = sorted(groups.items(), key=lambda group: (-_ns(group[1]), -len(group[1]), group[0]))
    parts = [_part(*key, members) for key, members in ordered[:_MOST_NAMES]]
    if rest := [call for _, members in ordered[_MOST_NAMES:] for call in members]:
        parts.append(f"{len(rest)} more of {len(ordered) - _MOST_NAMES} other names")
    share = f" ({percent(_ns(calls), whole_ns, 0)} of the time)" if whole_ns else ""
    counted = f"{len(calls)} op{'s' * (len(calls) != 1)}"
    return f"{counted}{share}: {', '.join(parts)}"


def _part(name: str, doubt: Doubt, members: list[Call]) -> str:
    why = "" if doubt is Doubt.PRODUCT else f" ({doubt.value})"
    return f"{len(members)} x {name}{why}"


def _ns(calls: Iterable[Call]) -> int:
    return sum(call.event.node.measured_ns or 0 for call in calls)
