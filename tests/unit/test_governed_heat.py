"""Does heat limit what a governor chooses, and is the rest that of the governor alone?"""

from itertools import product

import pytest

from simulator import simulate
from simulator.endurance import governed_steps, heat_of
from simulator.energy.boundary import Boundary
from simulator.errors import InputError
from simulator.governor import cost_of, dvfs_of, governed_run
from simulator.hardware import load_hardware
from simulator.trace.op import Phase
from tests.builders import StepBuilder, one_step_trace

STEPS = 3


def training_trace(size=128, steps=STEPS):
    builder = StepBuilder()
    builder.gemm(size, size, size)
    builder.gemm(size, size, size, phase=Phase.WGRAD)
    return one_step_trace(builder, steps)


def bare(governor, **more):
    return load_hardware("raspberry-pi-4-bare", {"runtime.governor": governor} | more)


@pytest.fixture(scope="module")
def trace():
    return training_trace()


@pytest.mark.parametrize("governor", ["time", "energy"])
def test_in_the_cold_heat_takes_what_the_governor_takes(governor, trace):
    soc = bare(governor, **{"thermal.ambient": "-20 degC"})
    governed = governed_run(soc, trace, boundary=Boundary.BOARD)
    heat = heat_of(soc, trace, 1000, governed=governed)
    epoch_s = dvfs_of(governed)["time_s"]
    assert heat["throttled_s"] == 0
    assert heat["time_s"] == pytest.approx(1000 * epoch_s, rel=1e-6)


@pytest.mark.parametrize("governor", ["time", "edp", "energy"])
def test_within_a_limit_the_choice_is_the_best_of_all_slow_enough(governor, trace):
    soc = bare(governor)
    governed = governed_run(soc, trace)
    goal = {
        "time": lambda cost: cost.time_ps,
        "energy": lambda cost: cost.energy_aj,
        "edp": lambda cost: cost.time_ps * cost.energy_aj,
    }[governor]
    steps = {step.clock: step for step in governed_steps(soc, governed, STEPS)}
    for limit in (10**10, 1_000_000_000, 600_000_000):
        allowed = [n for n, point in enumerate(governed.points) if point["cpu"] <= limit]
        costs = governed.costs, governed.switches, governed.borders
        every = product(allowed, repeat=len(governed.parts))
        best = min(every, key=lambda each: goal(cost_of(*costs, each)))
        clock = max(governed.points[point]["cpu"] for point in best)
        assert steps[clock].time_ps == cost_of(*costs, best).time_ps // STEPS


def test_throttling_is_time_below_what_the_governor_would_choose(trace):
    """A governor that saves energy may be slow in the cold, and is not throttled for it."""
    slow = bare("energy", **{"thermal.ambient": "20 degC"})
    assert heat_of(slow, trace, 100)["throttled_s"] == 0
    fast, hot = (
        heat_of(bare("time", **{"thermal.ambient": f"{degc} degC"}), training_trace(256), 30_000)
        for degc in (0, 40)
    )
    assert fast["throttled_s"] == 0
    assert 0 < hot["throttled_s"] <= hot["time_s"]
    assert hot["time_s"] > fast["time_s"]
    assert set(hot["clock_shares"]) > set(fast["clock_shares"])


def test_heat_is_of_the_board_whatever_the_governor_goes_by(trace):
    soc = bare("energy", **{"thermal.ambient": "0 degC"})
    chip = simulate(soc, trace).total["energy_j"]
    within = heat_of(soc, trace, governed=governed_run(soc, trace, boundary=Boundary.CHIP))
    assert within["energy_j"] > chip


def test_a_limit_below_all_points_is_refused(tmp_path, trace):
    points = "[{clock: 1.5 GHz, voltage: 0.91 V}, {clock: 1.8 GHz, voltage: 0.96 V}]"
    path = tmp_path / "fast.yaml"
    path.write_text(
        f"base: raspberry-pi-4-bare\ncpu: {{operating_points: {points}}}\n"
        "runtime: {governor: time}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=r"thermal\.trips limits the CPU to 1 GHz"):
        heat_of(load_hardware(path), trace)
