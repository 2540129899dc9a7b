"""The notebooks run from top to bottom, their checks hold, and they print what is stored in them."""

import json
import re
import sys
from itertools import zip_longest
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# Trains LeNet by every method; predicts all rows that test_accuracy does; runs ResNet-20 on many.
SLOW = ("03_energy_per_epoch", "04_validation", "05_npu", "07_selection")
# What training's threads make of a number, which sum in another order. Accuracies of networks that are
# trained here depend on the kernels of the machine: under low-rank updates by 5 %.
WITHIN, WITHIN_TRAINED = 0.01, {"03_energy_per_epoch": 0.1}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_NOT_TEXT = re.compile(r"^Out\[\d+\]: ?|(?<= in )[\d.]+ s$|<(?:Figure|IPython|PIL|simulator)[^>]*>")


@pytest.fixture
def shell(monkeypatch):
    """IPython in this process: what tests know of networks and memories, notebooks share."""
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    from traitlets.config import Config
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell takes it
    return interactive.InteractiveShell(config=Config(HistoryManager={"enabled": False}))


def _plain(text):
    """Return the lines of an output without their ends, figures and the number of the cell."""
    lines = [_NOT_TEXT.sub("", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line.strip()]


def _stored(cell):
    """Return the lines that a cell printed, then those of its value."""
    texts = ["".join(each["text"]) for each in cell["outputs"] if each.get("name") == "stdout"]
    values = [each["data"] for each in cell["outputs"] if each["output_type"] == "execute_result"]
    return _plain("\n".join([*texts, *("".join(each["text/plain"]) for each in values)]))


def _fresh(shell, source):
    """Run a cell, and return what it prints."""
    from IPython.utils.capture import capture_output

    with capture_output(display=True) as printed:
        shell.run_cell(source).raise_error()
    return _plain(printed.stdout)


def _differing(fresh, stored, within):
    """Return the lines that differ: in words at all, in numbers by more than `within`."""
    pairs = zip_longest(fresh, stored, fillvalue="")
    return [pair for pair in pairs if not _is_alike(*map(_parted, pair), within)]


def _parted(line):
    return _NUMBER.sub("#", " ".join(line.split())), [float(n) for n in _NUMBER.findall(line)]


def _is_alike(fresh, stored, within):
    return fresh[0] == stored[0] and fresh[1] == pytest.approx(stored[1], rel=within, abs=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in SLOW else ())
        for path in NOTEBOOKS
    ],
)
def test_notebook_runs_and_prints_what_is_stored(path, shell):
    pytest.importorskip("torch")
    within = WITHIN_TRAINED.get(path.stem, WITHIN)
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            fresh = _fresh(shell, "".join(cell["source"]))
            assert not _differing(fresh, _stored(cell), within), "stale: make notebooks"
