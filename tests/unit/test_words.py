"""One name, one thing: class names are unique, and no name is a past participle used as a noun."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("simulator", "workloads", "trainsoc")

SAME = {"Recording"}  # the protocol in `replay` and the class of capture that meets it
"""Class names that two modules share because they are one thing."""

SHARED = set()
"""Class names that still mean several things: the list only shrinks."""

PARTICIPLES = frozenset(
    "asked begun drawn found given held kept known listed mapped met moved noticed owed paid "
    "remembered said taken told wanted".split()
)
"""What was asked, found or given has a name of its own: a request, rows, arguments."""

LEFT: dict[str, str] = {}
"""Participles that rooms still use as nouns: the lists only shrink."""


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def classes(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the name of each class and type alias, and what makes two aliases the same thing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_"), ""
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id.lstrip("_"), ast.unparse(node.value)
            if re.match(r"[A-Z]\w*[a-z]", name) and not value.startswith("TypeVar"):
                yield name, value


def names(path: Path, tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module gives: its own, classes, functions, parameters, variables."""
    yield path.stem
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def shared_names(sources: Iterator[tuple[Path, ast.Module]]) -> dict[str, list[str]]:
    """Return class names with several meanings, and the modules that have them."""
    meanings = defaultdict(list)
    for path, tree in sources:
        for name, value in classes(tree):
            meanings[name].append((value or str(path), str(path)))
    return {
        name: [path for _, path in places]
        for name, places in meanings.items()
        if len({value for value, _ in places}) > 1 or len(places) > len({*places}) > 0
    }


def room(path: Path) -> str:
    """Return the folder or module below a package: "simulator/timing", "simulator/replay"."""
    return "/".join((*path.parts[:1], Path(path.parts[1]).stem))


def participles(path: Path, tree: ast.AST) -> set[str]:
    return {name.strip("_").lower() for name in names(path, tree)} & PARTICIPLES


def test_a_class_name_means_one_thing():
    several = {n: places for n, places in shared_names(modules()).items() if n not in SAME | SHARED}
    assert not several


@pytest.mark.parametrize("place", sorted({room(path) for path, _ in modules()}))
def test_names_are_no_participles(place):
    left = set(LEFT.get(place, "").split())
    used = {
        f"{path}: {word}"
        for path, tree in modules()
        if room(path) == place
        for word in participles(path, tree) - left
    }
    assert not used


def test_both_checks_see_what_they_look_for():
    code = "class _Loop: ...\nclass Loop: ...\nRow = dict[str, int]\ndef held(asked, *, x):\n  found = 1"
    tree = ast.parse(code)
    other = ast.parse("Row = dict[str, float]\nclass Other: ...\nclass Told: ...")
    sources = [(Path("a/b.py"), tree), (Path("a/c.py"), other)]
    assert set(shared_names(iter(sources))) == {"Loop", "Row"}
    assert participles(Path("a/mapped.py"), tree) == {"asked", "found", "held", "mapped"}
    assert participles(Path("a/c.py"), other) == {"told"}
