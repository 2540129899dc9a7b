"""Is the timeline a valid Chrome trace that says exactly what step.json says?"""

import json
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise

import pytest

from simulator.errors import InputError
from simulator.replay import Replay
from simulator.trace.op import Phase, Role
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


def _task(index, start, end, unit="cpu"):
    return {
        "index": index, "unit": unit, "stage": "op", "op": "aten.relu.default", "layer": "act",
        "phase": "forward", "start_ps": start, "end_ps": end, "attributed_ps": 0, "macs": 0,
        "dram_bytes": 0, "dynamic_aj": 0, "mnk": [0, 0, 0, 0],
    }  # fmt: skip


def _made(tasks=(), flows=()):
    return {
        "trace": "made", "hardware": "made", "duration_ps": 100, "machine": {},
        "tasks": list(tasks), "flows": list(flows), "power": [],
    }  # fmt: skip


def _events(trace, ph):
    return [event for event in trace["traceEvents"] if event["ph"] == ph]


def _ps(microseconds):
    """Read a time as it is written in the file: exactly."""
    return Decimal(repr(microseconds)) * 10**6


def _tracks(trace):
    tracks = {}
    for event in _events(trace, "X"):
        span = (_ps(event["ts"]), _ps(event["ts"]) + _ps(event["dur"]))
        tracks.setdefault(event["tid"], []).append(span)
    return tracks


def _track_names(trace):
    return {e["tid"]: e["args"]["name"] for e in _events(trace, "M") if e["name"] == "thread_name"}


# The format's own description lists the keys that each kind of event must have:
# "Trace Event Format", D. Sinclair, N. Duca, Google, 2016, "Event Descriptions".
REQUIRED = {
    "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"},
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


def test_every_task_is_a_slice_with_its_times_to_the_picosecond(step):
    slices = {event["args"]["task"]: event for event in _events(chrome_trace(step), "X")}
    assert len(slices) == len(step["tasks"])
    for task in step["tasks"]:
        event = slices[task["index"]]
        assert _ps(event["ts"]) == task["start_ps"]
        assert _ps(event["ts"]) + _ps(event["dur"]) == task["end_ps"]
        assert event["cat"] == task["phase"]
        assert [event["args"][key] for key in ("batch", "M", "N", "K")] == task["mnk"]


def test_slices_of_a_track_never_overlap(step):
    for spans in _tracks(chrome_trace(step)).values():
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))


def test_slices_of_a_unit_last_as_long_as_it_is_busy(step):
    trace = chrome_trace(step)
    names, tracks = _track_names(trace), _tracks(trace)
    for unit in {task["unit"] for task in step["tasks"]}:
        mine = [task for task in step["tasks"] if task["unit"] == unit]
        busy = sum(task["end_ps"] - task["start_ps"] for task in mine)
        spans = [s for tid in tracks if names[tid].lower() == unit for s in tracks[tid]]
        assert sum(end - start for start, end in spans) == busy


def test_overlapping_tasks_of_a_unit_go_to_tracks_of_their_own():
    trace = chrome_trace(_made([_task(0, 0, 50), _task(1, 20, 60), _task(2, 50, 90)]))
    assert _track_names(trace) == {1: "CPU", 2: "CPU 2"}
    assert _tracks(trace) == {1: [(0, 50), (50, 90)], 2: [(20, 60)]}


def test_the_cpu_is_the_first_track():
    trace = chrome_trace(_made([_task(0, 0, 5, "accelerator"), _task(1, 5, 9)]))
    assert list(_track_names(trace).values()) == ["CPU", "Accelerator"]


def test_bandwidth_counters_carry_all_bytes_and_return_to_zero(step):
    counters = [e for e in _events(chrome_trace(step), "C") if e["name"] == "DRAM bandwidth"]
    for key in counters[0]["args"]:
        assert counters[-1]["args"][key] == 0.0
        unit = key.split()[0].lower()
        area = sum(
            float(_ps(after["ts"]) - _ps(before["ts"])) * before["args"][key] / 1000
            for before, after in pairwise(counters)
        )
        moved = sum(flow["bytes"] for flow in step["flows"] if flow["unit"] == unit)
        assert area == pytest.approx(moved, rel=1e-9)


def test_rates_that_are_no_round_number_cancel_exactly():
    flows = [
        {"unit": "cpu", "task": 0, "start_ps": i, "end_ps": i + 7, "bytes": 10**9 + i}
        for i in range(6)
    ]
    counters = _events(chrome_trace(_made(flows=flows)), "C")
    assert [event["args"]["CPU (GB/s)"] for event in counters if event["ts"] >= 12e-6] == [0.0]


def test_power_counter_repeats_the_levels(step):
    levels = [
        (_ps(event["ts"]), event["args"]["total (W)"])
        for event in _events(chrome_trace(step), "C")
        if event["name"] == "Power"
    ]
    assert levels == [(level["start_ps"], level["power_uw"] / 10**6) for level in step["power"]]


def test_the_file_reads_back_as_the_trace(step, tmp_path):
    path = tmp_path / "sub" / "timeline.json"
    write_timeline(step, path)
    assert json.loads(path.read_text(encoding="utf-8")) == chrome_trace(step)
    assert [p.name for p in path.parent.iterdir()] == ["timeline.json"]


def test_an_empty_step_is_a_trace_without_slices():
    assert not _events(chrome_trace(_made()), "X")


def test_an_unwritable_place_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_timeline(_made(), tmp_path / "file" / "timeline.json")


def test_no_figure_library_is_imported():
    code = "import sys, simulator.views.timeline; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
