"""The three ways of issuing work, and the attribution of time."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import Counts, Stage, Task, Work
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.program import lowered_step
from simulator.machine.step import run_step
from simulator.timing.stretches import StretchBound, Stretched
from simulator.trace.op import Phase

CPU, ACC = HOST, ACCELERATOR


def task(unit, ps, *waits, channel=0):
    work = Work(unit, Stage.OP, Stretched(0, [StretchBound(ps, channel)]), Counts(), 0, ps, channel)
    return Task(work, 0, Phase.FORWARD, "", waits)


def ends(tasks, issue):
    return [span.end_ps for span in run_step(tasks, issue).spans]


CHAIN = [task(CPU, 10), task(ACC, 100, 0), task(CPU, 10), task(ACC, 100, 2), task(CPU, 10, 1)]


def test_synchronous_runs_one_after_the_other():
    assert ends(CHAIN, "synchronous") == [10, 110, 120, 220, 230]


def test_in_order_lets_the_cpu_run_ahead():
    assert ends(CHAIN, "in_order") == [10, 110, 20, 210, 120]


def test_dataflow_takes_whatever_is_ready():
    tasks = [task(ACC, 100), task(CPU, 10, 0), task(CPU, 10)]
    assert ends(tasks, "in_order") == [100, 110, 120]
    assert ends(tasks, "dataflow") == [100, 110, 10]


def test_units_that_share_the_memory_slow_each_other():
    tasks = [task(CPU, 0, channel=1000), task(ACC, 0, channel=1000)]
    assert ends(tasks, "dataflow") == [2000, 2000]
    assert ends(tasks, "synchronous") == [1000, 2000]


def test_attribution_follows_the_critical_path():
    run = run_step(CHAIN, "in_order")
    assert run.duration_ps == 210
    assert run.attributed_ps == (10, 100, 0, 100, 0)


steps = st.lists(
    st.tuples(
        st.sampled_from([CPU, ACC]), st.integers(0, 50), st.integers(0, 50), st.integers(0, 9)
    ),
    max_size=25,
)


@settings(max_examples=50, deadline=None)
@given(steps, st.sampled_from(["synchronous", "in_order", "dataflow"]))
def test_any_step_is_legal_and_telescopes(rows, issue):
    tasks = [
        task(unit, ps, *((i - back,) if 0 < back <= i else ()), channel=channel)
        for i, (unit, ps, channel, back) in enumerate(rows)
    ]
    run = run_step(tasks, issue)
    assert sum(run.attributed_ps) == run.duration_ps
    for index, before in enumerate(lowered_step(tasks, issue).program.order.follows):
        assert all(run.spans[b].end_ps <= run.spans[index].start_ps for b in before)
    for unit in (HOST, ACCELERATOR):
        spans = sorted(s for s, t in zip(run.spans, tasks, strict=True) if t.work.unit is unit)
        assert all(a.end_ps <= b.start_ps for a, b in pairwise(spans))


@pytest.mark.parametrize("issue", ["synchronous", "in_order", "dataflow"])
def test_observation_never_changes_timing(issue):
    plain, recorded = run_step(CHAIN, issue), run_step(CHAIN, issue, record=True)
    assert plain.spans == recorded.spans
