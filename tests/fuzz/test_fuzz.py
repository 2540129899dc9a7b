"""Whatever stands in a file or on a command line: an answer that makes sense, or one sentence.

`pytest tests/fuzz --fuzz 5000` tries so many inputs of each family, `make test` a few.
"""

import json
import random
import shutil
from pathlib import Path

import pytest

from simulator.cli import verbs  # noqa: F401 - its imports are no part of an input's time
from simulator.hardware.shipped import CONFIGS
from simulator.trace.passes.file import METHODS
from simulator.trace.storage import save_trace
from tests.fuzz.inputs import FAMILIES
from tests.fuzz.judge import answer, fault
from tests.system.import_samples import read
from tests.unit.test_trace_check import trace

SOME = 15
OPEN: tuple[str, ...] = ()
"""Families whose refusals still speak in the words of Python, or of a library, now and then."""
MARK = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "ts": 0, "dur": 900}
OPS = (("aten::mm", [[4, 8], [8, 2]]), ("aten::relu", [[4, 2]]), ("aten::add_", [[8, 2], [8, 2]]))
COLUMNS = "IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides"
CONV_CSV = f"Layer name, {COLUMNS},\nc1, 34, 34, 3, 3, 16, 32, 1,\nc2, 32, 32, 3, 3, 32, 32, 2,\n"
GEMM_CSV = "Layer, M, N, K,\ng1, 34, 34, 3,\ng2, 8, 8, 8,\n"


def event(number, name, dims):
    """Return the event of an op of a profile."""
    told = {"Input Dims": dims, "Input type": ["float"] * len(dims), "Sequence number": number}
    return {
        "ph": "X", "cat": "cpu_op", "name": name, "ts": 10 * number + 5, "dur": 8,
        "tid": 1, "pid": 1,
        "args": told | {"Concrete Inputs": [""] * len(dims), "Fwd thread id": 0},
    }  # fmt: skip


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Return a folder with a good input of every kind."""
    folder = tmp_path_factory.mktemp("samples")
    save_trace(trace(), folder / "a.trace")
    content = read("lenet.et_only")
    (folder / "e.json").write_text(json.dumps(content | {"nodes": content["nodes"][:504]}))
    events = [event(number, *op) for number, op in enumerate(OPS)]
    profile = {"traceEvents": [MARK | {"tid": 1, "pid": 1, "args": {}}, *events]}
    (folder / "k.json").write_text(json.dumps(profile))
    (folder / "t.csv").write_text(CONV_CSV)
    (folder / "g.csv").write_text(GEMM_CSV)
    shutil.copy(METHODS / "int8.yaml", folder / "method.yaml")
    shutil.copy(CONFIGS / "edge-16x16.yaml", folder / "hardware.yaml")
    source = str(folder / "a.trace")
    made = ["run", "edge-16x16", source, "-o", str(folder / "run"), "--ops"]
    axes = ["--set", "accelerator.rows=8,16", "--workers", "1"]
    swept = ["sweep", "edge-16x16", source, *axes, "-o", str(folder / "sweep")]
    for argv in (made, swept):
        given = answer(argv)
        assert given.code == 0, given
    return folder


@pytest.fixture(scope="module")
def number(pytestconfig):
    return pytestconfig.getoption("fuzz") or SOME


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason="see OPEN", strict=False))
        if name in OPEN
        else name
        for name in FAMILIES
    ],
)
def test_a_changed_input_is_answered_or_refused_in_a_sentence(
    family, number, samples, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRAINSOC_CACHE", str(samples / "cache"))
    found = []
    for seed in range(number):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.chdir(folder)
        given = FAMILIES[family](random.Random(f"{family} {seed}"), samples)
        wrong = _fault(given)
        if wrong:
            found.append(f"{family} {seed} ({folder}): {given.commands}: {wrong}")
        else:
            shutil.rmtree(folder)
    assert not found, f"{len(found)} of {number}:\n" + "\n".join(found)


def _fault(given):
    """Run the commands as long as they succeed, and return what is wrong with the last answer."""
    for index, command in enumerate(given.commands):
        last = index == len(given.commands) - 1
        said = answer(command)
        wrong = fault(said, given.names, numbers=given.numbers and last)
        if wrong or said.code:
            return wrong
    return ""


def test_the_samples_are_taken_as_they_are(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for argv in (
        ["show", str(samples / "a.trace"), "--json"],
        ["diff", str(samples / "run"), str(samples / "run"), "--json"],
        ["import", "kineto", str(samples / "k.json"), "-o", "k.trace"],
        ["import", "execution-trace", str(samples / "e.json"), "-o", "e.trace"],
        ["import", "scalesim", str(samples / "t.csv"), "-o", "t.trace"],
        ["import", "scalesim", str(samples / "g.csv"), "-o", "g.trace"],
        ["run", "edge-16x16", "k.trace", "--json"],
        ["sweep", str(samples / "sweep" / "sweep.yaml"), "-o", "out", "--workers", "1", "--json"],
    ):
        given = answer(argv)
        assert given.code == 0, (argv, given)
        assert Path(argv[-1]).exists() or json.loads(given.out)
