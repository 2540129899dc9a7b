"""Do Perfetto and speedscope read timelines whole, and nest them as they were?"""

import json

import pytest

from simulator.replay import Replay, as_trace
from simulator.results.step import read_step
from simulator.views.timeline import write_timeline
from tests.builders import machine
from tests.command_line import ROOT, trainsoc
from tests.viewers import perfetto, speedscope

RESNET18 = ROOT / "tests" / "reference" / "cpu" / "traces" / "resnet18.trace"
NETWORKS = [
    "lenet_digits",
    pytest.param("resnet20_digits", marks=pytest.mark.slow),
    pytest.param(RESNET18, marks=pytest.mark.slow, id="resnet18"),
]

LOST = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"
SLICES = """
    select slice.id as id, slice.parent_id as parent_id, slice.depth as depth, slice.ts as ts,
           slice.dur as dur, slice.name as name, slice.category as category, pid, tid,
           extract_arg(slice.arg_set_id, 'args.task') as task
    from slice join thread_track on slice.track_id = thread_track.id
               join thread using (utid) join process using (upid)
"""
FLOWS = """
    select extract_arg(a.arg_set_id, 'args.stage') as source,
           extract_arg(b.arg_set_id, 'args.stage') as target,
           extract_arg(a.arg_set_id, 'args.layer') as source_layer,
           extract_arg(b.arg_set_id, 'args.layer') as target_layer
    from flow join slice a on slice_out = a.id join slice b on slice_in = b.id
"""
COUNTERS = """
    select counter_track.name as name, ts, value
    from counter join counter_track on track_id = counter_track.id order by counter.id
"""


@pytest.fixture(params=NETWORKS, scope="module")
def folder(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    options = ("--baseline", "cpu-only", "--samples", 0, "-o", out)
    assert trainsoc("run", "edge-16x16", request.param, *options).returncode == 0
    assert trainsoc("timeline", out).returncode == 0
    return out


@pytest.fixture(scope="module")
def steps(folder):
    return {1: read_step(folder), 2: read_step(folder / "baseline")}


@pytest.fixture(scope="module")
def answers(folder):
    return perfetto.query(folder / "timeline.json", LOST, SLICES, FLOWS, COUNTERS)


@pytest.fixture(scope="module")
def stacks(answers):
    """The names around each slice, outermost first, and the slice, by its number."""
    by_id = {row["id"]: row for row in answers[1]}

    def stack(row):
        parent = row["parent_id"]
        return [*(stack(by_id[parent]) if parent is not None else ()), row]

    return {number: stack(row) for number, row in by_id.items()}


def nanoseconds(ps):
    return (ps + 500) // 1000


def test_perfetto_loses_nothing(answers):
    assert answers[0] == []


def test_perfetto_has_every_task_with_its_time(answers, steps):
    slices = {(row["pid"], row["task"]): row for row in answers[1] if row["task"] is not None}
    assert len(slices) == sum(len(step["tasks"]) for step in steps.values())
    for pid, step in steps.items():
        for task in step["tasks"]:
            row = slices[pid, task["index"]]
            start, end = nanoseconds(task["start_ps"]), nanoseconds(task["end_ps"])
            assert (row["ts"], row["dur"]) == (start, end - start)


def test_perfetto_nests_step_phase_layer_op(stacks, steps):
    for stack in stacks.values():
        *around, row = stack
        if row["task"] is None:
            continue
        task = steps[row["pid"]]["tasks"][row["task"]]
        assert around[0]["name"].startswith("step of ")
        assert around[1]["name"] == task["phase"]
        layers = [each["name"] for each in around[2:] if each["category"] == "layer"]
        assert layers == [task["layer"]] * bool(task["layer"])
        assert task["layer"] in row["name"]
        assert [each["category"] for each in around] == sorted(
            (each["category"] for each in around), key=["step", "phase", "layer", "op"].index
        )


def test_a_unit_waits_or_works_at_every_moment_of_a_step(stacks, steps):
    leaves = {}
    for stack in stacks.values():
        row = stack[-1]
        if row["task"] is not None or row["category"] == "wait":
            key = row["pid"], row["tid"]
            leaves[key] = leaves.get(key, 0) + row["dur"]
    assert leaves
    for (pid, _), time in leaves.items():
        assert time == nanoseconds(steps[pid]["duration_ps"])


def test_perfetto_draws_an_arrow_from_each_launch_to_its_product_and_on(answers, steps):
    flows = answers[2]
    launches = [task for task in steps[1]["tasks"] if task["stage"] == "launch"]
    assert len([row for row in flows if row["source"] == "launch"]) == len(launches)
    assert len([row for row in flows if row["source"] == "gemm"]) == len(launches)
    assert all(row["source_layer"] == row["target_layer"] for row in flows)
    assert {row["target"] for row in flows if row["source"] == "launch"} == {"gemm"}
    assert "dequantise" in {row["target"] for row in flows}


def test_perfetto_has_the_counters(answers):
    names = {row["name"] for row in answers[3]}
    assert {
        "DRAM bandwidth CPU (GB/s)", "DRAM bandwidth Accelerator (GB/s)", "Power total (W)",
        "Memory activation (MB)", "Memory parameter (MB)",
    } <= names  # fmt: skip


def test_speedscope_nests_as_perfetto_does(folder, stacks):
    trace = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))
    shown = sorted(
        (key, frame.stack, round(1000 * frame.start), round(1000 * (frame.end - frame.start)))
        for key, reading in speedscope.read(trace).items()
        for frame in reading.frames
    )
    in_perfetto = sorted(
        (
            (stack[-1]["pid"], stack[-1]["tid"]),
            tuple(row["name"] for row in stack),
            stack[-1]["ts"],
            stack[-1]["dur"],
        )
        for stack in stacks.values()
        if stack[-1]["dur"]
    )
    assert shown == in_perfetto
    assert not any(reading.warnings for reading in speedscope.read(trace).values())


def test_tasks_without_duration_and_side_by_side_are_read_whole(tmp_path):
    """Views and launches that cost nothing are instants, on either of two machines."""
    free = {"runtime__launch": "0 us", "cpu__view_overhead": "0 cycles"}
    steps = [
        Replay(machine(runtime__issue=issue, **free), as_trace("mlp_digits")).typical_step()
        for issue in ("synchronous", "dataflow")
    ]
    path = tmp_path / "t.json"
    write_timeline(steps[0], path, steps[1])
    lost, slices = perfetto.query(path, LOST, SLICES)
    assert lost == []
    tasks = {(row["pid"], row["task"]): row["dur"] for row in slices if row["task"] is not None}
    assert len(tasks) == sum(len(step["tasks"]) for step in steps)
    assert 0 in tasks.values()
