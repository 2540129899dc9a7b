"""The notebooks run from top to bottom, and their checks hold."""

import json
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def shell(monkeypatch):
    """IPython in this process: what tests know of networks and memories, notebooks share."""
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    from traitlets.config import Config
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell takes it
    return interactive.InteractiveShell(config=Config(HistoryManager={"enabled": False}))


@pytest.mark.torch
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, shell):
    pytest.importorskip("torch")
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            shell.run_cell("".join(cell["source"])).raise_error()
