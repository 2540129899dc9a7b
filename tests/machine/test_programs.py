"""Several programs on one SoC, in an environment from outside, at any time."""

from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment

from simulator.activity import Counts, Stage, Task, Work
from simulator.machine.probe import Probe, Recorder
from simulator.machine.soc import Soc
from simulator.machine.step import run_step
from simulator.timing.stretches import StretchBound, Stretched
from simulator.trace.op import Phase


def task(unit, ps, channel_ps=0, waits=(), program=""):
    progress = Stretched(0, [StretchBound(ps, channel_ps)])
    work = Work(unit, Stage.OP, progress, Counts(), 0, ps, channel_ps)
    return Task(work, 0, Phase.FORWARD, "", waits, program)


def submit(env, soc, tasks, at_ps=0, issue="dataflow", probe_of=Probe, priority=0):
    """Return the probe of a program that starts at a time, and the moments of its end."""
    probe, ends = probe_of(tasks), []

    def start():
        yield env.timeout(at_ps)
        yield soc.submit(tasks, issue, probe, priority)
        ends.append(int(env.now))

    env.process(start())
    return probe, ends


def test_a_program_alone_runs_as_a_step_does():
    tasks = [task("cpu", 500), task("npu", 700, waits=(0,)), task("cpu", 300, waits=(0,))]
    env = Environment()
    probe, ends = submit(env, Soc(env), tasks, at_ps=1000)
    env.run()
    alone = run_step(tasks, "dataflow")
    assert [(a - 1000, b - 1000) for a, b in probe.spans] == [tuple(s) for s in alone.spans]
    assert ends == [1000 + alone.duration_ps]


def test_a_unit_serves_the_program_that_came_first_then_the_other():
    env = Environment()
    soc = Soc(env)
    first, first_ends = submit(env, soc, [task("cpu", 100), task("cpu", 100)], issue="in_order")
    second, second_ends = submit(env, soc, [task("cpu", 40)], at_ps=50)
    env.run()
    assert [tuple(span) for span in first.spans] == [(0, 100), (100, 200)]
    assert [tuple(span) for span in second.spans] == [(200, 240)]
    assert (first_ends, second_ends) == ([200], [240])


def test_a_ready_task_does_not_wait_for_an_idle_program_before_it():
    """The first program waits for another unit: the second one's task takes the CPU meanwhile."""
    env = Environment()
    soc = Soc(env)
    chain = [task("npu", 300), task("cpu", 100, waits=(0,))]
    first, _ = submit(env, soc, chain)
    second, _ = submit(env, soc, [task("cpu", 50), task("cpu", 50)], issue="in_order")
    env.run()
    assert [tuple(span) for span in second.spans] == [(0, 50), (50, 100)]
    assert tuple(first.spans[1]) == (300, 400)


def test_programs_share_the_memory():
    """Two units of two programs that want all of its time take twice as long."""
    env = Environment()
    soc = Soc(env)
    one, _ = submit(env, soc, [task("cpu", 1000, 1000)])
    other, _ = submit(env, soc, [task("npu", 1000, 1000)])
    env.run()
    assert one.spans[0].end_ps == other.spans[0].end_ps == 2000


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(0, 600), st.integers(1, 40)
)
def test_an_urgent_program_waits_for_at_most_the_task_that_runs(times, at_ps, urgent_ps):
    """Tasks are not interrupted, and no further one of the other program goes first."""
    env = Environment()
    soc = Soc(env)
    submit(env, soc, [task("cpu", ps) for ps in times])
    submit(env, soc, [task("cpu", 7)], at_ps=max(0, at_ps - 1))
    urgent, ends = submit(env, soc, [task("cpu", urgent_ps)] * 3, at_ps=at_ps, priority=1)
    env.run()
    assert urgent.spans[0].start_ps - at_ps <= max(*times, 7)
    assert ends == [urgent.spans[0].start_ps + 3 * urgent_ps]


def test_programs_on_units_of_their_own_cost_what_each_costs_alone():
    """Without memory traffic they do not notice each other, whatever their priority."""
    chains = {
        unit: [task(unit, ps, waits=(n - 1,) if n else ()) for n, ps in enumerate((30, 11, 5))]
        for unit in ("cpu", "npu", "dsp")
    }
    env = Environment()
    soc = Soc(env)
    runs = [
        submit(env, soc, tasks, at_ps=place * 13, priority=place)
        for place, tasks in enumerate(chains.values())
    ]
    env.run()
    alone = [run_step(tasks, "dataflow").duration_ps for tasks in chains.values()]
    assert [end - 13 * n for n, (_, (end,)) in enumerate(runs)] == alone == [46, 46, 46]


def test_an_empty_program_ends_at_once():
    env = Environment()
    _, ends = submit(env, Soc(env), [], at_ps=7)
    env.run()
    assert ends == [7]


@st.composite
def programs(draw):
    """Tasks and start of up to three programs: few units and times, so that much coincides."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        tasks = []
        for index in range(draw(st.integers(1, 12))):
            before = draw(st.sets(st.integers(max(0, index - 3), index - 1))) if index else ()
            unit, ps = draw(st.sampled_from(("cpu", "npu", "dsp"))), draw(st.integers(0, 12))
            channel_ps = draw(st.sampled_from((0, 0, ps // 2, ps)))
            tasks.append(task(unit, ps, channel_ps, tuple(sorted(before))))
        issue = draw(st.sampled_from(("synchronous", "in_order", "dataflow")))
        found.append((tasks, draw(st.integers(0, 30)), issue))
    return found


@settings(max_examples=60, deadline=None)
@given(programs())
def test_units_that_run_ahead_are_where_events_would_have_them(submitted):
    """Who watches the memory sees every event; without, a unit skips those that nobody awaits."""

    def spans(probe_of):
        env = Environment()
        soc = Soc(env)
        found = [submit(env, soc, *each, probe_of=probe_of) for each in submitted]
        env.run()
        return [(probe.spans, ends) for probe, ends in found]

    assert spans(Probe) == spans(Recorder)
