"""A pass of another package runs by its key, without a line about it in `simulator`."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars
import pytest

from simulator import memo
from simulator.errors import InputError
from simulator.trace.op import Op
from simulator.trace.passes.file import load_method
from simulator.trace.passes.overlay import resolved, scheduled
from simulator.trace.passes.registry import BUILT_IN
from simulator.trace.passes.treatment import AS_TRACED
from simulator.trace.storage import load_trace, save_trace
from tests.builders import StepBuilder, one_step_trace
from tests.extension.installed import distribution
from tests.extension.toy_pass import Copies

ROOT = Path(__file__).parents[2]
POINTS = (
    "[trainsoc.passes]",
    "copies = tests.extension.toy_pass:Copies",
    "other = tests.extension.toy_pass:Misnamed",
)
RULES = "name: several\nrules:\n- {layer: twice, copies: 2}\n- {layer: 'sp*', weights: 8}\n"
OTHERS = RULES.replace("copies: 2", "copies: 5")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a folder on the path, with the toy package, a trace of two layers and methods."""
    distribution(tmp_path, "toy", *POINTS)
    (tmp_path / "several.yaml").write_text(RULES)
    (tmp_path / "more.yaml").write_text(OTHERS)
    save_trace(two_layers(), tmp_path / "two.trace")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def two_layers():
    builder = StepBuilder()
    builder.gemm(16, 24, 32, layer="twice")
    builder.gemm(8, 8, 8, layer="once")
    return one_step_trace(builder, 3)


def macs(copies):
    """Return the multiply-accumulates of three steps whose first layer has so many copies."""
    return 3 * (copies * 16 * 24 * 32 + 8 * 8 * 8)


def trainsoc(folder, *arguments):
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "simulator.cli", *map(str, arguments)], check=False,
        capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_and_worker_processes_of_a_sweep_apply_it(installed):
    method = ("--method", "several.yaml")
    run = trainsoc(installed, "run", "edge-16x16", "two.trace", *method, "--json")
    assert json.loads(run)["total"]["macs"] == macs(2)
    trainsoc(
        installed, "sweep", "cpu-only", "two.trace", "--method", "as-traced",
        *method, "--method", "more.yaml", "-o", "out", "--workers", 2,
    )  # fmt: skip
    table = polars.read_parquet(installed / "out" / "points.parquet")
    assert dict(table.select("method", "macs").rows()) == {
        "as-traced": macs(1), "several.yaml": macs(2), "more.yaml": macs(5)
    }  # fmt: skip


def test_a_trace_file_keeps_it(installed):
    laid = scheduled(two_layers(), load_method(installed / "several.yaml"))
    save_trace(laid, installed / "laid.trace")
    again = load_trace(installed / "laid.trace")
    assert again.methods == laid.methods
    assert again.digest == laid.digest
    assert resolved(again).flops_by_phase() == {"forward": 2 * macs(2)}


def test_another_value_is_another_digest(installed):
    several, more = (
        scheduled(two_layers(), load_method(installed / name))
        for name in ("several.yaml", "more.yaml")
    )
    assert len({two_layers().digest, several.digest, more.digest}) == 3


def test_a_trace_refuses_a_pass_that_is_not_installed(installed, monkeypatch):
    laid = scheduled(two_layers(), load_method(installed / "several.yaml"))
    save_trace(laid, installed / "laid.trace")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"laid.trace: methods.0: pass 'copies': not installed"):
        load_trace(installed / "laid.trace")


def test_a_trace_refuses_a_value_that_the_pass_does_not_take(installed):
    laid = scheduled(two_layers(), load_method(installed / "several.yaml"))
    treatment = replace(laid.methods[0].layers[0][1], settings=(("copies", 99),))
    method = replace(laid.methods[0], layers=(("*", treatment),))
    save_trace(replace(laid, methods=(method,)), installed / "laid.trace")
    with pytest.raises(InputError, match=r"methods.0: pass 'copies': 99: input should be less"):
        load_trace(installed / "laid.trace")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("copys: 2", "rules.0.copys: unknown key; did you mean copies? known: layer, epochs"),
        ("copies: 9", "rules.0.copies: 9: input should be less than or equal to 8"),
        ("copies: many", "rules.0.copies: 'many': input should be a valid integer"),
        ("other: 2", "other is registered as an object that is no pass with that key"),
    ],
)
def test_a_mistake_is_one_sentence(installed, rule, problem):
    path = installed / "wrong.yaml"
    path.write_text(f"rules: [{{{rule}}}]")
    with pytest.raises(InputError) as refused:
        load_method(path)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_machine_asks_for_it_after_the_method(installed):
    laid = scheduled(two_layers(), load_method(installed / "several.yaml"))
    whole = resolved(laid, [Copies.everywhere(3)])
    assert whole.flops_by_phase() == {"forward": 2 * 3 * macs(2)}
    assert whole.methods == (AS_TRACED,)
    assert resolved(two_layers(), [Copies.everywhere(3)]).flops_by_phase() == {
        "forward": 2 * 3 * macs(1)
    }


def test_a_built_in_pass_is_applied_once(installed, monkeypatch):
    laid = scheduled(two_layers(), load_method(installed / "several.yaml"))
    monkeypatch.setitem(BUILT_IN, "copies", Copies)
    memo.clear()
    assert resolved(laid).flops_by_phase() == {"forward": 2 * macs(2)}


def test_equal_steps_are_rewritten_once(installed, monkeypatch):
    """In a sweep every point loads its traces anew: the objects differ, their content does not."""
    memo.clear()
    rewritten: list[tuple[Op, ...]] = []
    apply = Copies.apply

    def counted(self, step):
        rewritten.append(step.ops)
        return apply(self, step)

    monkeypatch.setattr(Copies, "apply", counted)
    names = ("several.yaml", "more.yaml", "several.yaml")
    traces = [scheduled(two_layers(), load_method(installed / name)) for name in names]
    first, _, third = map(resolved, traces)
    assert third is first
    renamed = resolved(replace(traces[0], name="renamed"))
    assert renamed.name == "renamed"
    assert renamed.steps[0] is first.steps[0]
    assert len(rewritten) == 2
