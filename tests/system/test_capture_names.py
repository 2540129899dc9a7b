# ruff: noqa: E402 - without torch nothing here can be imported
"""A captured script has its own modules, whatever ours are called; where it has none, ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import simulator
import workloads.capture
from simulator.errors import InputError
from simulator.trace.trace import StepKind
from trainsoc.border import ROOT, Border, ours
from workloads.capture import ScriptFailed, capture_script

pytestmark = pytest.mark.torch

STEP = """
import sys, threading
import torch
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def step():
    optimizer.zero_grad()
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
step()
"""
OURS = "from workloads.capture import note, treat; note('accuracy', 0.5)\n"
OWN = "from simulator import NAME; from simulator.env import NAME as INNER; assert NAME == INNER\n"


@pytest.fixture
def captured(tmp_path):
    def captured(text, **modules):
        for name, content in modules.items():
            path = tmp_path / (name if name.endswith(".txt") else f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "train.py").write_text(STEP + text)
        before = dict(sys.modules)
        trace = capture_script(tmp_path / "train.py")
        changed = {name for name, module in before.items() if sys.modules.get(name) is not module}
        assert changed == set()
        return trace

    return captured


def package(name):
    init = "from . import env; NAME = env.NAME"
    return {f"{name}/__init__": init, f"{name}/env": "NAME = 'theirs'"}


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("from simulator import NAME", {"simulator": "NAME = 1"}),
        (OWN, package("simulator")),
        ("import workloads, simulator; assert workloads.X == simulator.X == 1",
         {"simulator": "X = 1", "workloads": "X = 1"}),
        (f"thread = threading.Thread(target=lambda: exec({OWN!r})); thread.start(); thread.join()",
         package("simulator")),
        (f"sys.path.append(sys.path[0] + '/lib')\n{OWN}", package("lib/simulator")),
        (f"sys.path.insert(0, sys.path[0] + '/lib')\n{OWN}", package("lib/simulator")),
        ("import simulator.env", {"simulator/env": ""}),  # a folder without __init__
        (OWN + OURS, package("simulator")),
        ("import simulator\nimport workloads.recipes.methods.rct", package("simulator")),
        ("import statistics, rich; assert statistics.X == rich.X",
         {"statistics": "X = 1", "rich": "X = 1"}),
        (OURS, {"workloads/notes.txt": ""}),
        (OURS + "import simulator; simulator.load_trace", {}),
    ],
)  # fmt: skip
def test_names(captured, text, modules):
    trace = captured(text, **modules)
    assert trace.count(StepKind.TRAIN) == 1
    assert ("accuracy" in trace.origin) == (OURS in text)


def test_ours_are_the_same_modules(captured):
    captured("import workloads.capture; sys.modules['torch'].seen = workloads.capture.note")
    assert torch.seen is workloads.capture.note
    assert workloads.capture.__spec__.loader is not None


def test_ours_see_ours_while_the_script_has_its_own(tmp_path, monkeypatch):
    (tmp_path / "simulator.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with Border().apart(str(tmp_path)):
        import simulator as theirs

        with ours():
            import simulator as inside
        import simulator as again
    assert inside is simulator
    assert theirs is again is not simulator


def test_the_program_starts_beside_a_package_of_its_name(tmp_path):
    (tmp_path / "simulator.py").write_text("raise SystemExit('not the one')")
    command = [sys.executable, "-m", "trainsoc", "--help"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert "capture" in done.stdout


# What Python gives a script


def test_a_script_is_main(tmp_path, capsys):
    text = """
import dataclasses, inspect, os, pickle, sys
@dataclasses.dataclass
class Batch:
    x: int
assert pickle.loads(pickle.dumps(Batch(2))) == Batch(2)
assert "x: int" in inspect.getsource(Batch)
assert sys.modules["__main__"].__dict__ is globals()
print(__file__, sys.argv, sys.path[0], __spec__, __package__, sys.orig_argv[1:])
os.chdir("/")
"""
    path = tmp_path / "train.py"
    path.write_text(text)  # without training: plain Python need not import torch
    plain = [sys.executable, "train.py", "a", "-b"]
    said = subprocess.run(plain, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    folder = Path.cwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(InputError, match="without an optimizer step"):
            capture_script("train.py", ["a", "-b"])
        assert Path.cwd() == tmp_path
    finally:
        os.chdir(folder)
    assert capsys.readouterr().out == said


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "__init__.py").touch()
    (tmp_path / "project" / "size.py").write_text("SIZE = 3")
    text = "from .size import SIZE\nprint(__name__, __package__, __spec__.name, sys.argv[1:])\n"
    for name in ("train", "__main__"):
        (tmp_path / "project" / f"{name}.py").write_text(STEP + text)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("project", "project.size"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("target", ["project.train", "project"])
def test_a_module(target, capsys):
    assert capture_script(target, ["x"], module=True).name == target
    name = "project.train" if target == "project.train" else "project.__main__"
    assert capsys.readouterr().out == f"__main__ project {name} ['x']\n"


@pytest.mark.usefixtures("project")
def test_a_module_of_a_package_as_a_script():
    with pytest.raises(ScriptFailed, match=r"run it as a module: capture -m project\.train$"):
        capture_script("project/train.py")


@pytest.mark.usefixtures("project")
def test_no_such_module():
    with pytest.raises(InputError, match=r"no module named project\.nothing"):
        capture_script("project.nothing", module=True)


def test_a_folder_and_an_archive(tmp_path):
    import zipfile

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "__main__.py").write_text(STEP)
    with zipfile.ZipFile(tmp_path / "code.pyz", "w") as archive:
        archive.write(tmp_path / "code" / "__main__.py", "__main__.py")
    for target in ("code", "code.pyz"):
        assert capture_script(tmp_path / target).count(StepKind.TRAIN) == 1
