"""Facts of phases, kinds and stages stand in one table each, so that a new member needs one row."""

import ast
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from shutil import copytree
from typing import get_args

import pytest

from simulator.activity import Stage
from simulator.hardware.core import Core
from simulator.hardware.cpu import Begin, Dispatch, Kernel, Kernels
from simulator.stages import STAGE_FACTS
from simulator.trace.colours import Colour
from simulator.trace.op import OpKind, Phase
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.phases import FACTS, StepPart
from simulator.views.plots.canvas import PALETTE

ROOT = Path(__file__).parents[2]
TABLES = {
    "simulator/trace/phases.py", "simulator/trace/op_kinds.py", "simulator/stages.py",
    "simulator/trace/kinds.py",  # which op is of which kind
    "simulator/probes/break_even.py",  # a probe of three phases by name
    "simulator/lowering/eager.py",  # which ops a driver of PyTorch's ops calls
}  # fmt: skip
MADE_UP = """
        Phase.WARMUP: PhaseFacts("warm-up", "grey", StepPart.OPTIMIZER, trains=False),
"""
SCRIPT = """
import json
from simulator.replay import Replay
from simulator.results.metrics import minimisable
from simulator.trace.op import Phase
from simulator.views.plots.canvas import PHASES, spoken
from simulator.views.trace_summary import trace_summary
from tests.builders import StepBuilder, machine, one_step_trace
from tests.unit.test_phases import dispatching

builder = StepBuilder()
builder.elementwise(builder.tensor(1), phase=Phase.WARMUP)
trace = one_step_trace(builder)
result = Replay(machine("cpu-only", **dispatching("optimizer")), trace).run()
print(json.dumps([
    [row["phase"] for row in result.phases],
    result.total["latency_ps"],
    [row["phase"] for row in trace_summary(trace)["phases"]],
    PHASES["warmup"], spoken("warmup"), "warmup_energy_j" in minimisable(),
]))
"""


def dispatching(part):
    """Return overrides by which ops of this part take 1 s to issue, and others next to nothing."""
    cycles = {"cpu__op_overhead": "0 cycles", f"cpu__dispatch__{part}": "600000 kcycles"}
    return {"cpu__clock": "600 MHz", **cycles}


def test_every_member_has_a_row():
    assert list(FACTS) == list(Phase)  # the order of tables and legends
    assert set(KIND_FACTS) == set(OpKind)
    assert set(STAGE_FACTS) == set(Stage)
    assert set(PALETTE) == set(get_args(Colour))


def test_figures_tell_members_apart():
    assert len({facts.colour for facts in FACTS.values()}) == len(Phase)
    assert len({facts.label for facts in FACTS.values()}) == len(Phase)
    colours = [facts.colour for facts in KIND_FACTS.values() if facts.colour]
    assert len(set(colours)) == len(colours)


def test_a_phase_is_added_by_a_member_and_a_row(tmp_path):
    for room in ("simulator", "hwconfigs"):
        copytree(ROOT / room, tmp_path / room, ignore=lambda *_: {"__pycache__"})
    _insert(tmp_path / "simulator/trace/op.py", '    OTHER = "other"\n', '    WARMUP = "warmup"\n')
    _insert(tmp_path / "simulator/trace/phases.py", "        Phase.OTHER: Phase", MADE_UP)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    phases, latency_ps, summary, colour, label, measured = json.loads(done.stdout)
    assert phases == summary == ["warmup"]
    assert 10**12 <= latency_ps < 1.01e12
    assert (colour, label, measured) == ("#8C8C8C", "warm-up", True)


def _insert(path, before, line):
    text = path.read_text()
    place = text.index(before)
    path.write_text(text[:place] + line.removeprefix("\n") + text[place:])


@pytest.mark.parametrize("enum", ["Phase", "OpKind", "Stage"])
def test_no_other_file_has_a_table(enum):
    """Two members in one literal are a fact that a new member would have to join."""
    files = chain((ROOT / "simulator").rglob("*.py"), (ROOT / "workloads").rglob("*.py"))
    tables = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in files
        if f"{enum}." in (text := path.read_text()) and str(path.relative_to(ROOT)) not in TABLES
        for line in _literals_of(ast.parse(text), enum)
    }
    assert tables == set()


def _literals_of(tree, enum):
    """Yield the lines of collections with more than one member of `enum`."""
    for node in ast.walk(tree):
        items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
        if sum(_is_member(item, enum) for item in items) > 1:
            yield node.lineno


def _is_member(node, enum):
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return named and node.value.id == enum


def test_costs_and_kernels_of_a_kind_are_those_of_descriptions():
    costs = {facts.cost for facts in KIND_FACTS.values()} - {None}
    measured = {facts.measured for facts in KIND_FACTS.values()} - {""}
    assert costs <= Core.model_fields.keys()
    fields = Kernels.model_fields.items()
    kernels = {name for name, field in fields if field.annotation == Kernel | None}
    assert measured == kernels


@pytest.mark.parametrize("part", [part for part in StepPart if part])
def test_every_part_of_a_step_may_have_a_dispatch_of_its_own(part):
    assert part.value in Dispatch.model_fields
    assert part.value in Begin.model_fields
