"""In what several runs differ: traces, methods, and settings of their machines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.hardware import Hardware
from simulator.results.documents import ResultDocument

_MOST = 6  # settings of a machine that are listed
_NAMES = ("name", "description")


def labels(directories: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its last part, or where two are alike, all of it."""
    for names in ([each.name for each in directories], [str(each) for each in directories]):
        if len(set(names)) == len(names) and all(names):
            return names
    return [f"{number}: {each}" for number, each in enumerate(directories, 1)]


def differences(
    names: Sequence[str], runs: Sequence[ResultDocument], machines: Sequence[Hardware | None]
) -> Iterator[str]:
    """Yield a line for each run: what it is of, and where its machine is not that of the first.

    A folder of an earlier version does not say (None).
    """
    width = max(map(len, names))
    first = machines[0]
    for name, run, machine in zip(names, runs, machines, strict=True):
        changes = _changes(first, machine) if first and machine else []
        more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
        with_settings = f", with {', '.join(changes[:_MOST])}{more}" if changes else ""
        method = "" if run["method"] == "as traced" else f" under {run['method']}"
        yield f"{name:{width}}  {run['trace']} on {run['hardware']}{method}{with_settings}"


def _changes(first: Hardware, other: Hardware) -> list[str]:
    """Return the settings of `other` that are not those of `first`, such as "cpu.cores=8"."""
    before, after = first.as_text(), other.as_text()
    parts = [part for part in before | after if part not in _NAMES]
    return [text for part in parts for text in _of_part(part, before.get(part), after.get(part))]


def _of_part(part: str, before: Any, after: Any) -> Iterator[str]:
    """Yield what differs in one part of two machines; of one that only one has, no details."""
    if before is None or after is None:
        yield f"{part}=none" if after is None else f"{part} described"
        return
    ours, theirs = _settings({part: before}), _settings({part: after})
    for path in ours | theirs:
        if ours.get(path) != theirs.get(path):
            yield f"{path}={theirs.get(path, 'none')}"


def _settings(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Return the values of a description by their dotted paths."""
    settings: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            settings |= _settings(value, f"{start}{name}.")
        else:
            settings[f"{start}{name}"] = value
    return settings
