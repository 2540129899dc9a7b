"""Descriptions that begin with another one: `base: edge-16x16`, and `base: cortex-a76` of a CPU.

A description has all that its base says, sources and ranges included, beside what it says itself:
mappings are joined key by key, units by their name; a number, a text or a list takes the place of
the base's, and `null` takes it away. A part with a base of its own, and a unit of another kind,
take the place of the whole part. Name and description are not inherited.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simulator.errors import InputError, nearest, shown
from simulator.files.text import is_file
from simulator.files.yaml import Document, read_document
from simulator.hardware.shipped import CONFIGS, EXAMPLE, cpu_names, hardware_names
from simulator.hardware.stated import is_long_form
from simulator.memo import remember

KEY = "base"
_NOT_INHERITED = (KEY, "name", "description")
_YamlPath = tuple[str, ...]


class DescriptionFile(NamedTuple):
    """A file of a description: itself, or one of its bases."""

    path: Path
    document: Document


class _BaseKind(NamedTuple):
    """What a base is of: a word for messages, the names that ship, and their folder."""

    word: str
    names: Callable[[], list[str]]
    folder: Path


_SOC = _BaseKind("hardware", hardware_names, CONFIGS)
_CPU = _BaseKind("CPU", cpu_names, CONFIGS / "cpus")


def read_files(path: Path) -> list[DescriptionFile]:
    """Return the file at `path` after its bases, the lowest first.

    Raises InputError where a base is not there, or leads back.
    """
    return _chain(path, _SOC)


def joined_document(files: Sequence[DescriptionFile]) -> Document:
    """Return what the files of a description say together, its CPUs with their own bases.

    Equal files give the same object, which is not to be changed. Raises InputError as `read_files`.
    """
    lowest, *others = (each.document for each in files)
    whole = lowest
    for upper in others:
        whole = _joined(whole, upper, ())
    for place, name in _cpu_bases(whole.content):
        folders = [each.path.parent for each in reversed(files)]
        path = _find(name, _CPU, folders, f"{files[-1].path.name}: {'.'.join(place)}.")
        part, *more = (each.document for each in _chain(path, _CPU))
        for upper in more:
            part = _joined(part, upper, ())
        whole = _joined(part, whole, place)
    return whole


def _chain(path: Path, kind: _BaseKind) -> list[DescriptionFile]:
    files: list[DescriptionFile] = []
    while True:
        if any(path.resolve() == each.path.resolve() for each in files):
            names = " -> ".join(each.path.name for each in reversed(files))
            raise InputError(f"{names} -> {path.name}: base leads back: remove one of them")
        document = read_document(path, EXAMPLE)
        files.insert(0, DescriptionFile(path, document))
        if KEY not in document.content:
            return files
        path = _find(document.content[KEY], kind, [path.parent], f"{path.name}: ")


def _find(name: Any, kind: _BaseKind, folders: Iterable[Path], where: str) -> Path:
    """Return the file of a base: beside the description, or one that ships."""
    beside = [folder / name for folder in folders] if isinstance(name, str) else []
    for path in (*beside, kind.folder / f"{name}.yaml"):
        if is_file(path):
            return path
    fix = nearest(str(name), kind.names(), "give a YAML file or one of {}")
    raise InputError(f"{where}{KEY}: no {kind.word} {shown(name)}: {fix}")


def _cpu_bases(content: Mapping[str, Any]) -> Iterator[tuple[_YamlPath, Any]]:
    """Yield where each CPU with a base stands, and its base: the host, and units of this kind."""
    units = content.get("units")
    further = units.items() if isinstance(units, dict) else ()
    named = [(("units", name), raw) for name, raw in further if isinstance(name, str)]
    for place, raw in ((("cpu",), content.get("cpu")), *named):
        if isinstance(raw, dict) and KEY in raw and raw.get("kind", "cpu") == "cpu":
            yield place, raw[KEY]


@remember("descriptions on their bases", most=64)
def _joined(lower: Document, upper: Document, place: _YamlPath) -> Document:
    """Return `upper` with what `lower` says at `place` below it: all, or of a CPU there."""
    join = _Join(place)
    inherited = {key: value for key, value in lower.content.items() if key not in _NOT_INHERITED}
    content = _with(upper.content, place, lambda own: join.of(inherited, own, place))
    comments = {(*place, *at): text for at, text in lower.comments.items()}
    left = {at: text for at, text in comments.items() if not join.replaces(at)}
    return Document(content, left | dict(upper.comments))


def _with(
    content: Mapping[str, Any], place: _YamlPath, change: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """Return `content` with the mapping at `place` changed."""
    if not place:
        return change(content)
    first, rest = place[0], place[1:]
    return {**content, first: _with(content[first], rest, change)}


class _Join:
    """Joins a description with its base, and keeps in mind where it takes the base's place."""

    def __init__(self, place: _YamlPath) -> None:
        self._place = place
        self._replaced: set[_YamlPath] = set()

    def of(
        self, lower: Mapping[str, Any], upper: Mapping[str, Any], at: _YamlPath
    ) -> dict[str, Any]:
        """Return both mappings as one."""
        values = dict(lower)
        for key, own in upper.items():
            place = (*at, str(key))
            below: Any = values.get(key)
            if own is None:
                values.pop(key, None)
            elif _go_together(below, own, place):
                values[key] = self.of(below, own, place)
                continue
            elif key != KEY or at != self._place:
                values[key] = own
            self._replaced.add(place)
        if "core" in upper and "costs" not in upper:  # those of the other class, then
            values.pop("costs", None)
        return values

    def replaces(self, at: _YamlPath) -> bool:
        """Return whether the description says something itself at a place, or above it."""
        return any(at[:depth] in self._replaced for depth in range(1, len(at) + 1))


def _go_together(lower: Any, upper: Any, place: _YamlPath) -> bool:
    """Return whether two values are parts to be joined: no numbers in the long form, nor a part
    with a base of its own, nor units of two kinds.
    """
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return False
    if len(place) == 2 and place[0] == "units":
        return KEY not in upper and upper.get("kind", lower.get("kind")) == lower.get("kind")
    return KEY not in upper and not is_long_form(lower) and not is_long_form(upper)
