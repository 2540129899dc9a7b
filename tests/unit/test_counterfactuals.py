"""Does an explanation add up, and does each change give what a run with its settings gives?"""

import json
import shlex

import pytest

from simulator import explain, simulate
from simulator.activity import Stage
from simulator.counterfactuals import answered, explained
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.replay import Replay
from simulator.results.recost import PRICES
from simulator.trace.op import Phase
from simulator.trace.trace import Segment, Trace
from simulator.units import PS_PER_S, ceil_div
from tests.builders import StepBuilder, machine, one_step_trace
from tests.command_line import trainsoc


def _network(count=1):
    builder = StepBuilder()
    x = builder.gemm(64, 128, 96)
    for number in range(3):
        x = builder.gemm(64, 128, 128, a=builder.elementwise(x), layer=f"fc{number}")
    builder.elementwise(builder.tensor(300, 300), phase=Phase.OPTIMIZER)
    return one_step_trace(builder, count)


@pytest.fixture(scope="module")
def explanation():
    return explained(machine(), _network())


def _steady_ps(hardware, settings=()):
    """Return what a step takes after itself: the difference between three of them and two."""
    few, many = (simulate(hardware, _network(count), settings).total for count in (2, 3))
    return many["latency_ps"] - few["latency_ps"], many["energy_aj"] - few["energy_aj"]


def _named(explanation, name):
    return next(each for each in explanation.changes if each.name == name)


def test_the_step_is_one_of_a_run(explanation):
    assert (explanation.time_ps, explanation.energy_aj) == _steady_ps(machine())


@pytest.mark.parametrize("issue", ["synchronous", "in_order", "dataflow"])
@pytest.mark.parametrize("base", ["edge-16x16", "edge-16x16-npu", "cpu-only"])
def test_causes_add_up_to_the_step(base, issue):
    of_step = explained(machine(base, runtime__issue=issue), _network())
    assert sum(cause.time_ps for cause in of_step.causes) == of_step.time_ps
    assert len({cause.name for cause in of_step.causes}) == len(of_step.causes)
    times = [cause.time_ps for cause in of_step.causes]
    assert times == sorted(times, reverse=True)


def test_causes_of_ops_on_a_cpu_are_those_of_the_formula():
    """Dispatch is a number of cycles for each op; elementwise work beyond it is memory traffic
    where its arithmetic is free.
    """
    cpu = machine("cpu-only", cpu__costs__elementwise="0 cycles", cpu__llc__size="0 B")
    builder = StepBuilder()
    for _ in range(4):
        builder.elementwise(builder.tensor(1000, 1000))
    causes = dict(explained(cpu, one_step_trace(builder)).causes)
    cycles = cpu.cpu.dispatch.forward + (cpu.cpu.dispatch.begin.forward or 0)
    assert causes["dispatch"] == 4 * ceil_div(cycles * PS_PER_S, cpu.cpu.clock)
    assert set(causes) == {"dispatch", "CPU memory traffic"}


def test_every_setting_gives_what_a_run_with_it_gives(explanation):
    """The options are parsed as a shell and `--set` do, and whole runs are simulated."""
    with_settings = [each for each in explanation.changes if each.setting]
    assert len(with_settings) > 8
    array = _named(explanation, "an array of twice the rows and columns")
    assert array.setting == "--set accelerator.rows=32 --set accelerator.cols=32"
    for each in with_settings:
        words = shlex.split(each.setting)
        assert set(words[::2]) == {"--set"}
        assert (each.time_ps, each.energy_aj) == _steady_ps(machine(), words[1::2]), each.name


def test_what_serves_an_op_is_a_cause_by_what_it_does():
    """Stage by stage, as the times of a step in which nothing overlaps have it."""
    synchronous = machine(runtime__issue="synchronous")
    run = Replay(synchronous, _network()).steady_run(0).whole
    causes = dict(explained(synchronous, _network()).causes)
    for name, stages in {
        "conversions": {"quantise", "dequantise"},
        "layouts and copies": {"transpose", "im2col", "col2im", "flush", "reduce"},
    }.items():
        spans = zip(run.tasks, run.spans, strict=True)
        took = sum(end - start for task, (start, end) in spans if task.work.stage.value in stages)
        assert causes.get(name, 0) == took


def test_free_conversions_save_all_their_time_where_nothing_overlaps():
    of_step = explained(machine(runtime__issue="synchronous"), _network())
    saved = of_step.time_ps - _named(of_step, "conversions that take no time").time_ps
    assert saved == dict(of_step.causes)["conversions"] > 0


ALONE = "a memory that units do not share"


def test_a_memory_to_itself_gives_each_task_what_it_takes_alone():
    """An array and the CPU side by side: without the other, the step is as long as the longer."""
    builder = StepBuilder()
    builder.gemm(2048, 2048, 64)
    for _ in range(8):
        builder.elementwise(builder.tensor(1500, 1500))
    narrow = {
        "dram__preset": "ideal",
        "dram__bandwidth": "4 GB/s",
        "accelerator__precision": "fp32",
    }
    side_by_side = machine(runtime__issue="dataflow", **narrow)
    of_step = explained(side_by_side, one_step_trace(builder))
    run = Replay(side_by_side, one_step_trace(builder)).steady_run(0)
    units = dict.fromkeys(("cpu", "accelerator"), 0)
    for task, number in zip(run.whole.tasks, run.lowered.program.numbers, strict=True):
        units[task.work.unit] += run.alone_ps[number]
    launch = next(
        s.end_ps
        for s, t in zip(run.whole.spans, run.whole.tasks, strict=True)
        if t.work.stage is Stage.LAUNCH
    )
    assert _named(of_step, ALONE).time_ps == max(units["cpu"], launch + units["accelerator"])
    assert _named(of_step, ALONE).time_ps < of_step.time_ps
    synchronous = explained(machine(runtime__issue="synchronous"), one_step_trace(builder))
    assert _named(synchronous, ALONE).time_ps == synchronous.time_ps


def test_answers_are_changes_of_the_first_causes(explanation):
    of_step = answered(machine(), _network(), most=2)
    assert of_step.causes == explanation.causes
    assert len(of_step.changes) == 2
    assert set(of_step.changes) < set(explanation.changes)
    none = answered(machine(), _network(), most=0)
    assert (none.causes, none.changes) == (explanation.causes, ())


def test_a_slow_memory_is_answered_by_a_faster_one():
    starved = machine(dram__preset="ideal", dram__bandwidth="20 MB/s")
    first = answered(starved, _network(), most=1)
    assert first.causes[0].name in ("CPU memory traffic", "array memory traffic")
    assert first.changes[0].time_ps < first.time_ps


def test_changes_come_in_order_and_none_that_the_machine_cannot_have(explanation):
    times = [each.time_ps for each in explanation.changes]
    assert times == sorted(times)
    of_cpu = explained(load_hardware("cpu-only"), _network())
    assert not any("array" in each.name or "conver" in each.name for each in of_cpu.changes)


def test_a_memory_that_no_preset_doubles_is_doubled_without_a_setting():
    of_step = explained(machine(dram__preset="LPDDR4-3200_x64_2ch"), _network())
    assert _named(of_step, "twice the memory bandwidth").setting == ""
    ideal = explained(machine(dram__preset="ideal"), _network())
    assert "dram.bandwidth=200TB/s" in _named(ideal, "twice the memory bandwidth").setting


def test_a_folder_and_a_result_say_the_same(tmp_path):
    trace = "mlp_digits"
    done = trainsoc("run", "edge-16x16", trace, "--set", "accelerator.rows=8", "-o", tmp_path / "o")
    assert "Time of a step: " in done.stdout
    from_folder = explain(tmp_path / "o")
    line = done.stdout.replace("\n", " ").partition("What would help: ")[2]
    gains = {
        e.name: round(100 * (e.time_ps / from_folder.time_ps - 1)) for e in from_folder.changes
    }
    named = [name for name, gain in gains.items() if f"{name} ({gain:+d} %)" in line]
    assert len(named) == 1
    assert f"`trainsoc explain {tmp_path / 'o'}` simulates each change" in line.replace("  ", " ")
    assert from_folder == explain(simulate("edge-16x16", trace, {"accelerator.rows": 8}))
    told = trainsoc("explain", tmp_path / "o", "--json")
    document = json.loads(told.stdout)
    assert document["time_ps"] == from_folder.time_ps
    assert document["causes"][0] == from_folder.causes[0]._asdict()
    assert document["changes"][0]["name"] == from_folder.changes[0].name
    table = trainsoc("explain", tmp_path / "o").stdout
    assert all(each.name in table for each in from_folder.changes)


def test_what_cannot_be_explained_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no machine\.yaml here: explain reads the folder"):
        explain(tmp_path)
    out = tmp_path / "run"
    trainsoc("run", "edge-16x16", "mlp_digits", "-o", out)
    trainsoc("run", "cpu-only", "mlp_digits", "-o", tmp_path / "recosted")  # and then again
    trainsoc("recost", out, "--energy", out / PRICES, "-o", tmp_path / "recosted")
    done = trainsoc("explain", tmp_path / "recosted")
    assert (done.returncode, "machine.yaml" in done.stderr) == (2, True)


def test_a_step_among_others_is_the_typical_one():
    first, second = StepBuilder(), StepBuilder()
    first.gemm(8, 8, 8)
    second.gemm(64, 64, 64)
    steps = first.step(), second.step()
    trace = Trace("two", steps, (Segment(0, 0, 1), Segment(0, 1, 5)))
    alone = Trace("two", steps[1:], (Segment(0, 0, 1),))
    assert explained(machine(), trace) == explained(machine(), alone)
