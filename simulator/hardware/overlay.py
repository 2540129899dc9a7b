"""One SoC with other values of the same settings, time and again."""

from collections.abc import Collection, Container, Mapping
from functools import cached_property, partial
from typing import Any

from simulator.errors import InputError
from simulator.hardware.part import Part, canonical_json, digest_of
from simulator.hardware.resolve import resolved, surviving
from simulator.hardware.settings import layers_of
from simulator.hardware.soc import Hardware, joined
from simulator.hardware.stated import Stated
from simulator.memo import Memo

PlainChanges = dict[tuple[str, str], Any]
"""New values in a plain view: of the entry of a part, or of a whole part, whose name is ""."""

_NOT_ALONE: PlainChanges = {("", ""): None}

_SETTINGS = 4096  # different values of all settings of a sweep: more than grids have
_PARTS = 512  # a guess: arrays and memories of some tens of designs, of some kB each
_APART = ("accelerator", "dram", "interconnect")
"""Parts that nothing but their own settings changes: with the same settings, the same object."""


class Overlay:
    """A SoC with other values of the same settings each time, as the points of a sweep are.

    What no setting touches is taken as it is: neither written out, nor read and checked again.
    """

    def __init__(self, hardware: Hardware, paths: Collection[str]) -> None:
        """Prepare to change the settings at these `paths` of `hardware`."""
        places = frozenset(
            ".".join(names[:depth])
            for names in (_place(path).split(".") for path in paths)
            for depth in range(len(names) + 1)
        )
        self._hardware, self._label = hardware, hardware.name
        self._values = _written_soc(hardware, places)
        self._effects: Memo[PlainChanges] = Memo("effects of settings", _SETTINGS)
        self._parts: Memo[Part] = Memo("parts with other settings", _PARTS)
        self._constants = surviving(hardware.constants, paths)

    def at(self, changes: Mapping[str, Any]) -> Hardware:
        """Return the SoC with `changes`, a value for each path.

        Raises InputError naming path, value and fix; all mistakes at once.
        """
        own = {name: within for name in _APART if (within := _within(name, changes))}
        cached = {name: part for name, key in own.items() if (part := self._parts.find(key))}
        made = tuple(f"{name}." for name in cached)
        rest = {path: value for path, value in changes.items() if not path.startswith(made)}
        description = Stated(_copied({**self._values, **cached}), [*self._constants])
        soc = resolved(self._label, description, rest)
        for name, key in own.items():
            if name not in cached:
                self._parts.keep(key, getattr(soc, name))
        return soc

    def digest_at(self, changes: Mapping[str, str]) -> str:
        """Return the digest of the SoC with `changes`, without reading it where that can be.

        It can where each setting changes entries of its own, as nearly all do: then their values
        together are those that each has by itself. Raises InputError as `at` does, but not always
        where settings do not fit each other.
        """
        effects = [
            self._effects.get(each, partial(self._effect, *each)) for each in changes.items()
        ]
        entries = {place: value for effect in effects for place, value in effect.items()}
        if len(entries) < sum(map(len, effects)) or any(name == "" for _, name in entries):
            return self.at(changes).digest
        views = {key: {**self._plain[key]} for key, _ in entries}
        for (key, name), value in entries.items():
            views[key][name] = value
        return digest_of(joined(self._texts | {key: _text(view) for key, view in views.items()}))

    def _effect(self, path: str, value: str) -> PlainChanges:
        """Return the entries of the plain view that a setting changes by itself.

        What is said at its own path is among them, changed or not: another setting may change it.
        """
        try:
            plain = Overlay(self._hardware, [path]).at({path: value}).plain()
        except InputError:  # it may need another setting beside it
            return _NOT_ALONE
        part, _, rest = path.partition(".")
        own, changes = rest.partition(".")[0], PlainChanges()
        for key, view in plain.items():
            before = self._plain.get(key)
            if isinstance(view, dict) and isinstance(before, dict):
                changes |= {
                    (key, name): view.get(name)
                    for name in view | before
                    if view.get(name) != before.get(name) or (key == part and name.startswith(own))
                }
            elif view != before:
                changes[key, ""] = view
        return changes

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return self._hardware.plain()

    @cached_property
    def _texts(self) -> dict[str, str]:
        return self._hardware.texts


def _within(name: str, changes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the changes within a part; none where one says more than a value, or goes further."""
    own = [(path, value) for path, value in changes.items() if path.startswith(f"{name}.")]
    short = all(isinstance(value, str) and not value.startswith("{") for _, value in own)
    return tuple(own) if short and name not in changes else ()


def _place(path: str) -> str:
    """Return the path of what a setting is kept in."""
    return "runtime.rules" if layers_of(path) else path


def _text(view: Mapping[str, Any]) -> str:
    """Return a part of a plain view as JSON; what is None has no entry there."""
    return canonical_json({name: value for name, value in view.items() if value is not None})


def _written_soc(hardware: Hardware, places: Container[str]) -> dict[str, Any]:
    """Return a SoC as it would stand in a YAML file, but parts at none of `places` as they are."""
    values: dict[str, Any] = {}
    for name, info in Hardware.model_fields.items():
        key, value = info.alias or name, getattr(hardware, name)
        opened = isinstance(value, Part) and key in places
        values[key] = _written(value, f"{key}.", places) if opened else value
    if "units" in places and hardware.further:
        values["units"] = {name: unit.as_text() for name, unit in hardware.further.items()}
    return values


def _written(part: Part, path: str, places: Container[str]) -> dict[str, Any]:
    """Return a part as `_written_soc` does; `path` leads to what it has."""
    values = part.as_text()
    for name, value in part:
        if isinstance(value, Part) and name in values:
            opened = f"{path}{name}" in places
            values[name] = _written(value, f"{path}{name}.", places) if opened else value
    return values


def _copied(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _copied(value) if isinstance(value, dict) else value for name, value in values.items()
    }
