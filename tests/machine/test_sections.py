"""A step section by section is the step event by event, to the last picosecond."""

import gc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import Counts, Stage, Task, Work
from simulator.hardware import load_hardware
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.lowering.program import lowered_step
from simulator.machine.step import StepRunner, run_step
from simulator.replay import Replay, as_trace
from simulator.results.tally import tallies
from simulator.timing.sharing import sharing_of
from simulator.timing.stretches import StretchBound, Stretched
from simulator.trace.op import Phase

UNITS = (HOST, ACCELERATOR, "npu")
ISSUES = ("synchronous", "in_order", "dataflow")


def work(unit, ps, channel):
    bounds = [StretchBound(ps, channel)]
    return Work(unit, Stage.OP, Stretched(0, bounds), Counts(), 0, ps, channel)


@st.composite
def steps(draw, least_ps=0):
    """Tasks of few different works, each waiting for some of the last few before."""
    times = st.integers(least_ps, 60)
    kinds = st.builds(work, st.sampled_from(UNITS), times, st.integers(0, 60))
    works = draw(st.lists(kinds, min_size=1, max_size=6))
    tasks = []
    for index in range(draw(st.integers(0, 30))):
        before = draw(st.sets(st.integers(max(0, index - 4), index - 1))) if index else ()
        each = works[draw(st.integers(0, len(works) - 1))]
        tasks.append(Task(each, index, Phase.FORWARD, "", tuple(sorted(before))))
    return tasks


def order_of(tasks, issue):
    return lowered_step(tasks, issue).program.order


@settings(max_examples=100, deadline=None)
@given(steps(), st.sampled_from(ISSUES))
def test_sections_are_what_events_are(tasks, issue):
    by_section, by_event = run_step(tasks, issue), run_step(tasks, issue, record=True)
    assert by_section.spans == by_event.spans
    assert by_section.attributed_ps == by_event.attributed_ps
    assert by_section.duration_ps == by_event.duration_ps


def test_a_task_without_duration_is_beside_the_critical_path():
    """The last task waits for the second one of two that end together: that one is charged."""
    first, second, none = work(HOST, 10, 0), work(ACCELERATOR, 10, 0), work("npu", 0, 0)
    places = [(first, ()), (second, ()), (none, (0, 1)), (work("npu", 5, 0), (1, 2))]
    tasks = [Task(each, 0, Phase.FORWARD, "", waits) for each, waits in places]
    assert run_step(tasks, "dataflow").attributed_ps == (0, 10, 0, 5)


@settings(max_examples=100, deadline=None)
@given(steps(), st.sampled_from(ISSUES))
def test_sections_are_as_short_as_can_be(tasks, issue):
    """They start where all later tasks follow all earlier ones, and nowhere else (brute force)."""
    follows, alone, shared = order_of(tasks, issue)
    before = []
    for direct in follows:
        before.append(set(direct).union(*(before[earlier] for earlier in direct)))
    everywhere = range(len(tasks))
    starts = [at for at in everywhere if all(set(range(at)) <= before[k] for k in everywhere[at:])]
    found = [(start, start + 1) for start in alone] + [(start, stop) for start, stop, _ in shared]
    assert all(stop - start > 1 for start, stop, _ in shared)
    assert sorted(found) == list(pairwise([*starts, len(tasks)]))


@pytest.mark.parametrize("issue", ISSUES)
@pytest.mark.parametrize("machine", ["edge-16x16", "edge-16x16-mp", "cpu-only"])
def test_a_real_step_is_what_its_events_are(machine, issue):
    """Masters disturb each other here, and arbitration is weighted."""
    changes = {"runtime.issue": issue, "interconnect.arbitration": "weighted"}
    hardware, trace = load_hardware(machine, changes), as_trace("lenet_digits")
    sharing = sharing_of(hardware)
    lowered, _ = Lowering(hardware).lowered(trace.steps[trace.typical_step], Carry())
    run = StepRunner(sharing).run(lowered)
    events = StepRunner(sharing).record(lowered)
    assert run.whole.spans == events.spans
    assert run.whole.attributed_ps == events.attributed_ps
    assert run.duration_ps == events.duration_ps


def test_most_of_a_step_needs_no_events():
    """The host waits for the array, but while both gradients of a convolution are on their way."""
    trace = as_trace("resnet20_digits")
    lowered, _ = Lowering(load_hardware("edge-16x16")).lowered(
        trace.steps[trace.typical_step], Carry()
    )
    program = lowered.program
    assert len(program.tasks) == 936
    assert sum(times for _, times in program.alone) == 836
    assert (len(program.shared), len(program.distinct)) == (40, 14)


@pytest.mark.parametrize("issue", ["in_order", "dataflow"])
def test_sums_of_groups_are_those_of_all_tasks(issue):
    hardware = load_hardware("edge-16x16", {"runtime.issue": issue})
    for record in Replay(hardware, as_trace("lenet_digits")).run().records:
        phases = [task.phase for task in record.tasks]
        layers = [(task.layer, task.phase) for task in record.tasks]
        assert record.by_phase == tallies(record.ran, phases)
        assert record.by_layer == tallies(record.ran, layers)
        assert list(record.by_layer) == list(dict.fromkeys(layers))


def test_a_run_leaves_nothing_to_a_garbage_collector():
    """Environments and units know each other: workers that replay for hours do not collect."""
    hardware, trace = load_hardware("edge-16x16"), as_trace("lenet_digits")
    Replay(hardware, trace).run()
    gc.collect()
    gc.disable()
    try:
        for clock in ("300 MHz", "400 MHz"):  # whose sections are new
            other = load_hardware(hardware, {"accelerator.clock": clock})
            assert Replay(other, trace).run().total
        assert gc.collect() == 0
    finally:
        gc.enable()
