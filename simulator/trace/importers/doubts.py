"""What the notes on an imported trace say of the ops whose cost is not known."""

from collections.abc import Iterable

from simulator.si import percent
from simulator.trace.importers.calls import Call, Doubt
from simulator.trace.importers.program import Program

_LISTED = 12  # names in a note; the rest is counted


def doubts(program: Program, *, timed: bool) -> dict[str, str]:
    """Return a note on the products that are not understood, and one on all other ops of unknown
    cost: how many of each, and, where the ops were `timed`, what share of the time was theirs.
    """
    calls = [call for step in program.steps for call in step]
    whole_ns = _ns(calls) if timed else 0
    products = [call for call in calls if call.doubt is Doubt.PRODUCT]
    others = [call for call in calls if call.doubt not in (Doubt.NONE, Doubt.PRODUCT)]
    notes = {"unknown_products": products, "unknown_ops": others}
    return {key: _note(found, whole_ns) for key, found in notes.items() if found}


def _note(calls: list[Call], whole_ns: int) -> str:
    groups: dict[tuple[str, Doubt], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.seen.node.name, call.doubt), []).append(call)
    ordered = sorted(groups.items(), key=lambda group: (-_ns(group[1]), -len(group[1]), group[0]))
    parts = [_part(*key, found) for key, found in ordered[:_LISTED]]
    if rest := [call for _, found in ordered[_LISTED:] for call in found]:
        parts.append(f"{len(rest)} more of {len(ordered) - _LISTED} other names")
    share = f" ({percent(_ns(calls), whole_ns, 0)} of the time)" if whole_ns else ""
    counted = f"{len(calls)} op{'s' * (len(calls) != 1)}"
    return f"{counted}{share}: {', '.join(parts)}"


def _part(name: str, doubt: Doubt, found: list[Call]) -> str:
    why = "" if doubt is Doubt.PRODUCT else f" ({doubt.value})"
    return f"{len(found)} x {name}{why}"


def _ns(calls: Iterable[Call]) -> int:
    return sum(call.seen.node.measured_ns or 0 for call in calls)
