"""One name, one thing: class names are unique, and no name is a past participle used as a noun."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("simulator", "workloads", "trainsoc")

SAME = {
    "Recording",  # the protocol in `replay`, and the class of capture that meets it
    "CostRow", "EpochRow", "LayerRow", "PhaseRow",  # for mypy, and for pydantic by the table
    "Dynamic", "Precision",  # for mypy, and for pydantic by the registry of formats
}  # fmt: skip
"""Class names of several modules that mean one thing."""

PARTICIPLES = """
asked begun drawn found given held kept known listed mapped met moved noticed owed paid
remembered said taken told wanted
"""
"""What was asked, found or given has a name of its own: a request, rows, arguments."""

KEYS = {"simulator/views/trace_documents.py": {"held"}}
"""Fields that are keys of a JSON document, by module: users read them."""

Source = tuple[str, ast.Module]


@cache
def sources() -> list[Source]:
    """Return all modules with their paths."""
    files = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_bytes())) for path in files]


def types_in(path: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the name of each class and type alias, with its meaning: an alias's is its text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_"), f"{path}:{node.lineno}"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, text = node.targets[0].id.lstrip("_"), ast.unparse(node.value)
            if re.match(r"[A-Z]\w*[a-z]", name) and not text.startswith("TypeVar"):
                yield name, text


def shared(modules: Iterable[Source]) -> dict[str, set[str]]:
    """Return the names of types that have several meanings, with these."""
    meanings = defaultdict(set)
    for path, tree in modules:
        for name, meaning in types_in(path, tree):
            meanings[name].add(meaning)
    return {name: several for name, several in meanings.items() if len(several) > 1}


def names_in(path: str, tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module defines: its own, classes, functions, parameters, variables."""
    yield Path(path).stem
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def participles(path: str, tree: ast.Module) -> set[str]:
    return {name.strip("_").lower() for name in names_in(path, tree)} & {*PARTICIPLES.split()}


def test_a_type_name_means_one_thing():
    several = shared(sources())
    assert {name: several[name] for name in several.keys() - SAME} == {}


def test_no_name_is_a_participle():
    nouns = {path: participles(path, tree) - KEYS.get(path, set()) for path, tree in sources()}
    assert {path: words for path, words in nouns.items() if words} == {}


def test_both_checks_see_what_they_look_for():
    one = ast.parse("class _Loop: ...\nclass Loop: ...\nRow = dict[str, int]\nMap = dict[int, int]")
    two = ast.parse("def held(asked, *, x):\n  self.found = 1\nRow = dict\nMap = dict[int, int]")
    assert set(shared([("a/one.py", one), ("a/two.py", two)])) == {"Loop", "Row"}
    assert participles("a/mapped.py", two) == {"asked", "found", "held", "mapped"}
    assert participles("a/one.py", one) == set()
