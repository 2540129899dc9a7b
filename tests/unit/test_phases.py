"""The facts of phases and kinds stand in one table, so that a new member needs one row."""

import ast
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from shutil import copytree

import pytest

from simulator.trace.op import Phase
from simulator.trace.phases import FACTS, Part

ROOT = Path(__file__).parents[2]
TABLES = {"trace/phases.py", "probes/break_even.py"}  # a probe of three phases by name
MADE_UP = """
        Phase.WARMUP: PhaseFacts("warm-up", "#123456", Part.OPTIMIZER, trains=False),
"""
SCRIPT = """
import json
from simulator.replay import Replay
from simulator.sweeps.table import MEASURES
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
    PHASES["warmup"], spoken("warmup"), "warmup_energy_j" in MEASURES,
]))
"""


def dispatching(part):
    """Return overrides by which ops of this part take 1 s to issue, and others next to nothing."""
    cycles = {"cpu__op_overhead": "0 cycles", f"cpu__dispatch__{part}": "600 Mcycles"}
    return {"cpu__clock": "600 MHz", **cycles}


def test_every_phase_has_a_row_in_the_order_of_phases():
    assert list(FACTS) == list(Phase)


def test_phases_are_told_apart_in_figures():
    assert len({facts.colour for facts in FACTS.values()}) == len(Phase)
    assert len({facts.label for facts in FACTS.values()}) == len(Phase)


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
    assert (colour, label, measured) == ("#123456", "warm-up", True)


def _insert(path, before, line):
    text = path.read_text()
    place = text.index(before)
    path.write_text(text[:place] + line.removeprefix("\n") + text[place:])


def test_no_other_file_has_a_table_of_phases():
    """Two members of Phase in one literal are a fact that a new phase would have to join."""
    files = chain((ROOT / "simulator").rglob("*.py"), (ROOT / "workloads").rglob("*.py"))
    tables = {
        f"{path.relative_to(ROOT / path.relative_to(ROOT).parts[0])}:{line}"
        for path in files
        if "Phase." in (text := path.read_text())
        for line in _literals_of(ast.parse(text), "Phase")
    }
    assert {place for place in tables if place.rpartition(":")[0] not in TABLES} == set()


def _literals_of(tree, enum):
    """Yield the lines of collections with more than one member of `enum`."""
    for node in ast.walk(tree):
        items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
        members = [item for item in items if _is_member(item, enum)]
        if len(members) > 1 or (isinstance(node, ast.Dict) and len(members) == 1 < len(items)):
            yield node.lineno


def _is_member(node, enum):
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return named and node.value.id == enum


@pytest.mark.parametrize("part", [part for part in Part if part])
def test_a_cpu_may_have_a_dispatch_of_its_own_for_each_part(part):
    from simulator.hardware.cpu import Dispatch

    assert part.value in Dispatch.model_fields
