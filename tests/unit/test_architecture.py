"""ARCHITECTURE.md: its paths exist, and its rooms are those of the import contracts, in order."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:simulator|workloads|tests|hwconfigs)/?[\w./-]*)`", TEXT)))


def layers():
    """Return the modules of the layers contract from top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [each for each in contracts["contracts"] if each["type"] == "layers"]
    return [{name.strip() for name in layer.split("|")} for layer in contract["layers"]]


def rooms():
    """Return the modules of the table of rooms, in its order."""
    table = TEXT[TEXT.index("## Rooms") : TEXT.index("## Read")]
    paths = re.findall(r"^\| `([\w/.]+)` \|", table, re.MULTILINE)
    return [path.removesuffix(".py").replace("/", ".") for path in paths]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_exists(path):
    assert (ROOT / path).exists()


def test_rooms_are_the_layers_in_their_order():
    left = rooms()
    for layer in layers():
        assert set(left[: len(layer)]) == layer
        left = left[len(layer) :]
    assert left == []


def test_every_module_is_in_a_room():
    known = {name for layer in layers() for name in layer}
    modules = {
        f"simulator.{path.stem}"
        for path in (ROOT / "simulator").iterdir()
        if not path.name.startswith("__") and (path.suffix == ".py" or path.is_dir())
    }
    assert modules <= known


def test_words_are_in_order_and_said_once():
    table = TEXT[TEXT.index("## Words") : TEXT.index("## To add")]
    words = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)[1:]
    assert len(words) == len(set(words)) >= 40
    assert [word[0].lower() for word in words] == sorted(word[0].lower() for word in words)
