"""Is the timeline a valid Chrome trace that says what step.json says, to the nanosecond?"""

import json
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import pytest

from simulator.activity import Span, StepRun, Task
from simulator.errors import InputError
from simulator.replay import Replay, as_trace
from simulator.results.memory_levels import memory_levels
from simulator.trace.memory import footprint
from simulator.trace.op import Phase, Role
from simulator.trace.trace import StorageKind
from simulator.views.timeline import chrome_trace, write_timeline
from tests.builders import StepBuilder, machine, one_step_trace


def _document(base, issue="in_order"):
    builder = StepBuilder()
    x = builder.gemm(64, 128, 96)
    for i in range(4):
        x = builder.gemm(64, 128, 128, a=builder.elementwise(x, layer=f"act{i}"), layer=f"fc{i}")
    for i in range(4):
        builder.gemm(64, 128, 128, phase=Phase.DGRAD, role=Role.DGRAD, layer=f"fc{i}")
        builder.gemm(128, 128, 64, phase=Phase.WGRAD, role=Role.WGRAD, layer=f"fc{i}")
        builder.elementwise(builder.tensor(700, 700), phase=Phase.OPTIMIZER)
    hardware = machine(base, runtime__issue=issue)
    return Replay(hardware, one_step_trace(builder)).typical_step()


CASES = [("edge-16x16", "in_order"), ("edge-16x16", "dataflow"), ("cpu-only", "in_order")]


@pytest.fixture(params=CASES, ids=" ".join)
def step(request):
    return _document(*request.param)


def _task(index, start, end, unit="cpu", stage="op", op=0, layer="act"):
    return {
        "index": index, "unit": unit, "stage": stage, "op": "aten.relu.default", "layer": layer,
        "op_index": op,
        "phase": "forward", "start_ps": start, "end_ps": end, "attributed_ps": 0, "macs": 0,
        "dram_bytes": 0, "dynamic_aj": 0, "mnk": [0, 0, 0, 0],
    }  # fmt: skip


def _made(tasks=(), flows=()):
    return {
        "trace": "made", "hardware": "made", "duration_ps": 100_000, "machine": {},
        "tasks": list(tasks), "flows": list(flows), "power": [],
    }  # fmt: skip


def _events(trace, *kinds):
    return [event for event in trace["traceEvents"] if event["ph"] in kinds]


def _ns(microseconds):
    """Read a time as it is written in the file: whole nanoseconds."""
    time = Fraction(repr(microseconds)) * 1000
    assert time.denominator == 1
    return int(time)


class _Shown:
    """A slice as a stack of begins and ends makes it."""

    def __init__(self, event, around):
        self.event, self.around = event, around
        self.name, self.start = event["name"], _ns(event["ts"])
        self.end = self.args = None


def _slices(trace):
    """Return the slices of each track: an end is that of the last begin that has none."""
    stacks, shown = {}, {}
    for event in _events(trace, "B", "E"):
        key = event["pid"], event["tid"]
        stack = stacks.setdefault(key, [])
        if event["ph"] == "B":
            stack.append(_Shown(event, [each.name for each in stack]))
            shown.setdefault(key, []).append(stack[-1])
        else:
            assert (stack[-1].name, stack[-1].event["cat"]) == (event["name"], event["cat"])
            stack[-1].args = event["args"]
            stack.pop().end = _ns(event["ts"])
    assert not any(stacks.values())
    return shown


def _work(trace):
    """Return the slices of tasks, by track."""
    return {
        key: [each for each in slices if "task" in each.args]
        for key, slices in _slices(trace).items()
    }


def _rounded(ps):
    return (ps + 500) // 1000


def _track_names(trace, pid=1):
    return {
        event["tid"]: event["args"]["name"]
        for event in _events(trace, "M")
        if event["name"] == "thread_name" and event["pid"] == pid
    }


# The format's own description lists the keys that each kind of event must have:
# "Trace Event Format", D. Sinclair, N. Duca, Google, 2016, "Event Descriptions".
REQUIRED = {
    "B": {"name", "cat", "ph", "ts", "pid", "tid"},
    "E": {"ph", "ts", "pid", "tid", "args"},
    "i": {"name", "ph", "ts", "pid", "tid", "s"},
    "s": {"name", "ph", "ts", "pid", "tid", "id", "cat"},
    "t": {"name", "ph", "ts", "pid", "tid", "id", "cat"},
    "f": {"name", "ph", "ts", "pid", "tid", "id", "cat", "bp"},
    "C": {"name", "ph", "ts", "pid", "args"},
    "M": {"name", "ph", "pid", "args"},
}


def test_events_have_the_keys_of_the_format(step):
    trace = chrome_trace(step)
    assert trace["displayTimeUnit"] == "ns"
    for event in trace["traceEvents"]:
        assert REQUIRED[event["ph"]] <= set(event)
        assert isinstance(event.get("ts", 0.0), float)
        if event["ph"] == "C":
            assert all(isinstance(value, float) for value in event["args"].values())


def test_every_task_is_a_slice_with_its_times(step):
    work = [each for slices in _work(chrome_trace(step)).values() for each in slices]
    slices = {each.args["task"]: each for each in work}
    assert len(slices) == len(step["tasks"])
    for task in step["tasks"]:
        each, args = slices[task["index"]], slices[task["index"]].args
        assert (each.start, each.end) == (_rounded(task["start_ps"]), _rounded(task["end_ps"]))
        assert args["start (ps)"] == task["start_ps"]
        assert args["start (ps)"] + args["duration (ps)"] == task["end_ps"]
        assert each.event["cat"] == task["phase"]
        assert [args[key] for key in ("batch", "M", "N", "K")] == task["mnk"]


def test_slices_lie_within_those_around_them_and_side_by_side(step):
    for slices in _slices(chrome_trace(step)).values():
        for depth in range(6):
            level = [each for each in slices if len(each.around) == depth]
            assert all(one.end <= other.start for one, other in pairwise(level))
        for each in slices[1:]:
            around = next(
                s
                for s in reversed(slices[: slices.index(each)])
                if [*s.around, s.name] == each.around
            )
            assert around.start <= each.start < each.end <= around.end


def test_a_task_stands_in_its_op_layer_phase_and_step():
    names = ("quantise", "launch", "dequantise")
    tasks = [
        _task(n, 10_000 * n, 10_000 * (n + 1), stage=s, layer="c1") for n, s in enumerate(names)
    ]
    tasks += [_task(3, 30_000, 40_000, op=1), _task(4, 40_000, 50_000, op=2, layer="")]
    ((_, *slices),) = _slices(chrome_trace(_made(tasks))).values()
    assert [(each.name, each.around[1:]) for each in slices] == [
        ("forward", []),
        ("c1", ["forward"]),
        ("relu (c1)", ["forward", "c1"]),
        ("quantise: relu (c1)", ["forward", "c1", "relu (c1)"]),
        ("launch: relu (c1)", ["forward", "c1", "relu (c1)"]),
        ("dequantise: relu (c1)", ["forward", "c1", "relu (c1)"]),
        ("act", ["forward"]),
        ("relu (act)", ["forward", "act"]),
        ("relu", ["forward"]),
        ("idle", []),
    ]


def test_a_unit_waits_for_the_task_that_ends_its_wait():
    tasks = [
        _task(0, 0, 10_000, stage="launch"),
        _task(1, 10_000, 60_000, "accelerator", stage="gemm"),
        _task(2, 60_000, 100_000, stage="dequantise"),
    ]
    cpu, array = _slices(chrome_trace(_made(tasks))).values()
    waits = [(s.name, s.start, s.end) for s in (*cpu, *array) if s.event["cat"] == "wait"]
    assert waits == [
        ("waits for relu (act)", 10, 60),
        ("waits for launch: relu (act)", 0, 10),
        ("idle", 60, 100),
    ]
    (wait,) = [each for each in cpu if each.event["cat"] == "wait"]
    assert wait.args == {"waits for task": 1, "on": "Accelerator"}
    assert wait.around[-1] == "relu (act)"


def test_arrows_lead_from_launch_to_product_to_what_the_host_does_then():
    """Two offloads of one op: the array takes the second while the host uses the first result."""
    stages = [
        "launch",
        "gemm",
        "launch",
        "gemm",
        "synchronise",
        "dequantise",
        "reduce",
        "dequantise",
    ]
    tasks = [
        _task(n, 10_000 * n, 10_000 * (n + 1), "accelerator" if s == "gemm" else "cpu", stage=s)
        for n, s in enumerate(stages)
    ]
    ends = {}
    for event in _events(chrome_trace(_made(tasks)), "s", "t", "f"):
        ends.setdefault(event["id"], []).append((_ns(event["ts"]) // 10, event["ph"]))
    assert sorted(map(sorted, ends.values())) == [
        [(0, "s"), (1, "t"), (5, "f")],
        [(2, "s"), (3, "t"), (6, "f")],
    ]


def test_what_is_shorter_than_a_nanosecond_is_an_instant():
    trace = chrome_trace(_made([_task(0, 0, 0), _task(1, 0, 400), _task(2, 400, 9_000)]))
    instants = [(_ns(event["ts"]), event["args"]["task"]) for event in _events(trace, "i")]
    assert instants == [(0, 0), (0, 1)]
    ((task,),) = _work(trace).values()
    assert (task.start, task.end) == (0, 9)


def test_slices_of_a_unit_last_as_long_as_it_is_busy(step):
    trace = chrome_trace(step)
    names, work = _track_names(trace), _work(trace)
    for unit in {task["unit"] for task in step["tasks"]}:
        mine = [task for task in step["tasks"] if task["unit"] == unit]
        busy = sum(_rounded(task["end_ps"]) - _rounded(task["start_ps"]) for task in mine)
        spans = [
            s for (_, tid), slices in work.items() if names[tid].lower() == unit for s in slices
        ]
        assert sum(each.end - each.start for each in spans) == busy


def test_overlapping_tasks_of_a_unit_go_to_tracks_of_their_own():
    tasks = [_task(0, 0, 50_000), _task(1, 20_000, 60_000), _task(2, 50_000, 90_000)]
    trace = chrome_trace(_made(tasks))
    assert _track_names(trace) == {1: "CPU", 2: "CPU 2"}
    spans = {key: [(s.start, s.end) for s in slices] for key, slices in _work(trace).items()}
    assert spans == {(1, 1): [(0, 50), (50, 90)], (1, 2): [(20, 60)]}


def test_the_cpu_is_the_first_track():
    trace = chrome_trace(_made([_task(0, 0, 5_000, "accelerator"), _task(1, 5_000, 9_000)]))
    assert list(_track_names(trace).values()) == ["CPU", "Accelerator"]


def test_a_baseline_is_a_process_of_its_own(step):
    alone, both = chrome_trace(step), chrome_trace(step, step)
    first = [event for event in both["traceEvents"] if event["pid"] == 1]
    second = [event for event in both["traceEvents"] if event["pid"] == 2]
    assert first == alone["traceEvents"]
    assert len(second) == len(first)
    arrows = [{event["id"] for event in each if "id" in event} for each in (first, second)]
    assert not arrows[0] & arrows[1]
    names = [e["args"]["name"] for e in _events(both, "M") if e["name"] == "process_name"]
    assert names[1] == f"{names[0]} (baseline)"


def test_bandwidth_counters_carry_all_bytes_and_return_to_zero(step):
    """Moments are whole nanoseconds, so that the bytes of a rate are off by half of one at most."""
    counters = [e for e in _events(chrome_trace(step), "C") if e["name"] == "DRAM bandwidth"]
    for key in counters[0]["args"]:
        assert counters[-1]["args"][key] == 0.0
        unit = key.split()[0].lower()
        area = sum(
            (_ns(after["ts"]) - _ns(before["ts"])) * before["args"][key]
            for before, after in pairwise(counters)
        )
        moved = sum(flow["bytes"] for flow in step["flows"] if flow["unit"] == unit)
        assert area == pytest.approx(moved, rel=1e-4)


def test_rates_that_are_no_round_number_cancel_exactly():
    flows = [
        {"unit": "cpu", "task": 0, "start_ps": i, "end_ps": i + 7000, "bytes": 10**9 + i}
        for i in range(0, 6000, 1000)
    ]
    counters = _events(chrome_trace(_made(flows=flows)), "C")
    assert [event["args"]["CPU (GB/s)"] for event in counters if event["ts"] >= 12e-3] == [0.0]


def test_power_counter_repeats_the_levels(step):
    levels = [
        (_ns(event["ts"]), event["args"]["total (W)"])
        for event in _events(chrome_trace(step), "C")
        if event["name"] == "Power"
    ]
    last = {_rounded(level["start_ps"]): level["power_uw"] / 10**6 for level in step["power"]}
    assert levels == list(last.items())


def test_memory_counter_has_what_lives(step):
    levels = [e for e in _events(chrome_trace(step), "C") if e["name"] == "Memory"]
    most = max(sum(level["args"].values()) for level in levels)
    assert most == pytest.approx(max(sum(row["bytes"].values()) for row in step["memory"]) / 10**6)
    assert not [e for e in _events(chrome_trace(_made()), "C") if e["name"] == "Memory"]


def test_memory_over_time_peaks_at_the_footprint_where_nothing_overlaps():
    replay = Replay(machine("cpu-only"), as_trace("lenet_digits"))
    index = replay.trace.typical_step
    most = max(sum(row["bytes"].values()) for row in replay.typical_step()["memory"])
    assert most == footprint(replay.trace.steps[index]).peak_bytes


def test_memory_lives_as_long_as_the_ops_that_touch_it():
    builder = StepBuilder()
    weight = builder.tensor(10, kind=StorageKind.PARAMETER)
    first = builder.elementwise(weight)
    builder.elementwise(first)
    builder.elementwise(builder.tensor(100, kind=StorageKind.GRADIENT))
    step = builder.step()
    works = [Task(None, op, Phase.FORWARD, "", ()) for op in range(3)]
    spans = (Span(0, 10), Span(20, 30), Span(30, 40))
    levels = memory_levels(step, StepRun(tuple(works), spans, (0, 0, 0), 40))
    held = {row["start_ps"]: {k: v for k, v in row["bytes"].items() if v} for row in levels}
    assert held == {
        0: {"parameter": 40, "activation": 40},
        20: {"parameter": 40, "activation": 80},
        30: {"parameter": 40, "activation": 400, "gradient": 400},
        40: {"parameter": 40, "gradient": 400},
    }


def test_the_file_reads_back_as_the_trace(step, tmp_path):
    path = tmp_path / "sub" / "timeline.json"
    write_timeline(step, path, step)
    assert json.loads(path.read_text(encoding="utf-8")) == chrome_trace(step, step)
    assert [p.name for p in path.parent.iterdir()] == ["timeline.json"]


def test_an_empty_step_is_a_trace_without_slices():
    assert not _events(chrome_trace(_made()), "B", "i")


def test_an_unwritable_place_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_timeline(_made(), tmp_path / "file" / "timeline.json")


def test_no_figure_library_is_imported():
    code = "import sys, simulator.views.timeline; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
