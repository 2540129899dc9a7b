"""Does a governor choose what trying all assignments would, and are its sums those of replays?"""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import simulate
from simulator.energy.price_file import EnergyTable
from simulator.errors import InputError
from simulator.governor import (
    GOALS,
    PartCost,
    best_points,
    borders_of,
    cost_of,
    dvfs_of,
    governed_run,
)
from simulator.hardware import load_hardware
from simulator.replay import Replay
from simulator.results.recost import recost
from simulator.run_folder import save_run
from simulator.trace.op import Phase
from simulator.trace.phases import StepPart
from tests.builders import StepBuilder, one_step_trace

COST = st.builds(PartCost, st.integers(1, 50), st.integers(1, 50))


@st.composite
def small_cases(draw):
    parts, points = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    costs = [[draw(COST) for _ in range(points)] for _ in range(parts)]
    switches = [draw(st.builds(PartCost, st.integers(0, 6), st.integers(0, 6)))] * points
    pairs = [(a, b) for a in range(parts) for b in range(a + 1, parts)]
    return costs, switches, {pair: draw(st.integers(0, 3)) for pair in pairs}


def spelled_out(costs, switches, borders, chosen):
    time = sum(costs[part][point].time_ps for part, point in enumerate(chosen))
    energy = sum(costs[part][point].energy_aj for part, point in enumerate(chosen))
    for (one, other), times in borders.items():
        if chosen[one] != chosen[other]:
            time += times * switches[0].time_ps
            energy += times * switches[0].energy_aj
    return time, energy


@given(small_cases(), st.sampled_from(["energy", "edp", "time"]))
@settings(deadline=None, max_examples=150)
def test_the_choice_is_the_best_of_all_assignments(case, governor):
    costs, switches, borders = case

    def figure(time, energy):
        return {"time": time, "energy": energy, "edp": time * energy}[governor]

    chosen = best_points(costs, switches, borders, GOALS[governor])
    every = product(range(len(switches)), repeat=len(costs))
    least = min(figure(*spelled_out(*case, each)) for each in every)
    assert figure(*spelled_out(*case, chosen)) == least
    assert cost_of(*case, chosen) == spelled_out(*case, chosen)


def training_trace(steps=3):
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    builder.gemm(64, 64, 64, phase=Phase.WGRAD)
    return one_step_trace(builder, steps)


def governed(governor, **more):
    return load_hardware("cpu-only", {"runtime.governor": governor} | more)


def test_work_goes_over_between_parts_and_back_to_the_next_step():
    records = Replay(load_hardware("cpu-only"), training_trace()).run().records
    borders = borders_of(records, [StepPart.FORWARD, StepPart.BACKWARD])
    assert borders == {(0, 1): 2 * 3}


@pytest.mark.parametrize("governor", ["energy", "time"])
def test_without_latency_each_sum_is_the_best_replay_of_its_part(governor):
    trace = training_trace()
    soc = governed(governor, **{"runtime.clock_switch": "0 ns"})
    document = dvfs_of(governed_run(soc, trace))
    own = simulate("cpu-only", trace).total
    assert document["fixed_time_s"] == pytest.approx(own["latency_ps"] / 1e12, rel=1e-12)
    assert document["fixed_energy_j"] == pytest.approx(own["energy_aj"] / 1e18, rel=1e-12)
    runs = [
        simulate("cpu-only", trace, {"cpu.clock": f"{point.clock} Hz"})
        for point in soc.cpu.operating_points
    ]
    key = {"energy": "energy_aj", "time": "latency_ps"}[governor]
    rows = [{row["phase"]: row[key] for row in run.phases} for run in runs]
    least = sum(min(row[phase] for row in rows) for phase in rows[0])
    scale = {"energy": ("energy_j", 1e18), "time": ("time_s", 1e12)}[governor]
    assert document[scale[0]] == pytest.approx(least / scale[1], rel=1e-12)


def test_a_long_switch_keeps_one_clock():
    soc = governed("edp", **{"runtime.clock_switch": "1 s"})
    document = dvfs_of(governed_run(soc, training_trace()))
    assert document["switches"] == 0
    assert len({tuple(row["clocks"].items()) for row in document["parts"]}) == 1


def test_fixed_is_the_run_without_a_governor():
    trace = training_trace()
    assert governed_run(governed("fixed"), trace) is None
    assert simulate(governed("fixed"), trace).total == simulate("cpu-only", trace).total
    assert simulate(governed("edp"), trace).total == simulate("cpu-only", trace).total


@pytest.mark.parametrize(
    ("soc", "more", "sentence"),
    [
        ("raspberry-pi-5", {}, "describe cpu.operating_points"),
        ("edge-16x16", {"runtime.placement": "fastest"}, "set runtime.placement=rules"),
    ],
)
def test_a_governor_without_a_choice_is_refused(soc, more, sentence):
    hardware = load_hardware(soc, {"runtime.governor": "energy"} | more)
    with pytest.raises(InputError, match=sentence):
        governed_run(hardware, training_trace())


def test_recost_leaves_the_governor_out_and_says_so(tmp_path):
    soc, trace = governed("energy"), training_trace()
    replay = Replay(soc, trace)
    result = replay.run()
    result.dvfs = dvfs_of(governed_run(soc, trace))
    save_run(replay, result, tmp_path)
    document = recost(tmp_path, EnergyTable()).as_dict()
    assert "dvfs" not in document
    assert document["provenance"]["notes"][-1].startswith("No governor")
