"""Objects that other installed packages add to trainsoc, found by entry points.

A package names them in its `pyproject.toml`, for example

    [project.entry-points."trainsoc.dataflows"]
    toy = "my_package.toy:TOY"

Entry points are files beside the installed package, so worker processes find the same objects.
They are read only when a name is not built in, since that takes some milliseconds.
"""

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from simulator.errors import InputError
from simulator.memo import remember


def load(group: str, name: str) -> Any | None:
    """Return the object registered as `name` in `group`, or None if there is none.

    Raises InputError where packages disagree on the name, or the object cannot be imported.
    """
    points = {point.value: point for point in _points(group) if point.name == name}
    if len(points) > 1:
        raise InputError(
            f"{group}: {name} is registered as {' and as '.join(sorted(points))}; "
            "uninstall all packages but one of these"
        )
    return _loaded(group, *points.values()) if points else None


def names(group: str) -> list[str]:
    """Return the names registered in `group`, sorted."""
    return sorted({point.name for point in _points(group)})


def _points(group: str) -> tuple[EntryPoint, ...]:
    return _points_on(tuple(sys.path), group)


@remember("entry points of groups", most=16)
def _points_on(_path: tuple[str, ...], group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; what is installed changes with the path alone."""
    return tuple(entry_points(group=group))


def _loaded(group: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # code of another package may fail in any way
        raise InputError(
            f"{group}: {point.name} is registered as {point.value}, which cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
