"""What designs share of sections is what each would work out alone."""

import pytest

from simulator.hardware import load_hardware
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import StepRunner
from simulator.replay import as_trace
from simulator.results.sections import states_alone, states_of, states_within, sums_of
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import Sharing, sharing_of


@pytest.fixture(scope="module")
def lowered():
    trace = as_trace("lenet_digits")
    step = trace.steps[trace.typical_step]
    return Lowering(load_hardware("edge-16x16")).lowered(step, Carry())[0]


def test_sections_of_the_same_works_take_what_their_memory_makes_of_them(lowered):
    """With masters that disturb each other, and with some that do not: as event by event."""
    durations = set()
    for sharing in (sharing_of(load_hardware("edge-16x16")), Sharing()):
        runner = StepRunner(sharing)
        run, events = runner.run(lowered), runner.record(lowered)
        assert run.whole.spans == events.spans
        durations.add(run.duration_ps)
    assert len(durations) == 2


def test_the_states_of_each_memory_are_its_own(lowered):
    run = StepRunner(Sharing()).run(lowered)
    (section, *_), (distinct, *_) = run.shared, lowered.program.distinct
    works = tuple(lowered.works[number] for number in distinct.numbers)
    several, alone = [], []
    for preset in ("LPDDR4-3200_x32_1ch", "HBM2_8ch"):
        dram = load_hardware("edge-16x16", {"dram.preset": preset}).dram
        sums = sums_of(section, works, ("all",) * len(works), dram)
        assert sums.states == states_of(section, works, dram)
        assert sums.by_key["all"].states.clocked_ps == sum(s.clocked_ps for s in sums.states)
        expected = states_within(works[0].progress.duration_ps(WHOLE), works[:1], dram)
        assert states_alone(works[0], dram) == expected
        several.append(sums.states)
        alone.append(expected)
    assert several[0] != several[1]
    assert alone[0] != alone[1]
