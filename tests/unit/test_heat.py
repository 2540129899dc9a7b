"""Do packages warm as closed forms say, is no heat lost, and does throttling stay within bounds?"""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator import simulate
from simulator.endurance import heat_of
from simulator.energy.price_file import EnergyTable
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.thermal import Battery, Thermal
from simulator.replay import Replay, as_trace
from simulator.results.recost import recost
from simulator.run_folder import save_run
from simulator.thermal.network import ThermalNetwork, after, steady_die_c, steady_rises, stored_j
from simulator.thermal.walk import ClockedStep, allowed_clock, drawn_w, walk
from simulator.views.heat import heat_lines
from simulator.views.plots.heat import heat as heat_figure
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc

STAGES = [
    {"resistance": "2 K/W", "capacity": "5 J/K"},
    {"resistance": "8 K/W", "capacity": "40 J/K"},
]
FAST = ClockedStep(1_500_000_000, 10**10, 8 * 10**16, 300_000)  # 10 ms at 8 W
SLOW = ClockedStep(600_000_000, 25 * 10**9, 5 * 10**16, 250_000)  # 25 ms at 2 W


def package(**more) -> Thermal:
    return Thermal.model_validate({"stages": STAGES, **more})


def spent(thermal: Thermal, choices, steps=60_000, battery=None):
    return list(walk(thermal, battery, choices, steps))


@given(st.floats(0.1, 50), st.floats(0.1, 100), st.floats(0, 20), st.floats(0, 1000))
@settings(deadline=None, max_examples=50)
def test_one_stage_warms_as_the_closed_form(resistance, capacity, power, seconds):
    network = ThermalNetwork.of([resistance], [capacity])
    expected = power * resistance * -math.expm1(-seconds / (resistance * capacity))
    assert after(network, [0], power, seconds).rises[0] == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.tuples(st.floats(0.1, 20), st.floats(0.5, 60), st.floats(0, 80)), min_size=1,
             max_size=3),
    st.floats(0, 20),
    st.floats(0, 500),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_heat_in_is_heat_stored_and_given_off(stages, power, seconds):
    network = ThermalNetwork.of([s[0] for s in stages], [s[1] for s in stages])
    before = [s[2] for s in stages]
    stretch = after(network, before, power, seconds)
    stored = stored_j(network, stretch.rises) - stored_j(network, before)
    assert stored + stretch.given_off_j == pytest.approx(power * seconds, rel=1e-7, abs=1e-5)


def test_two_stages_warm_as_small_euler_steps_have_it():
    network, rises, step = ThermalNetwork.of([2, 8], [5, 40]), [0.0, 0.0], 0.001
    for _ in range(20_000):
        through, out = (rises[0] - rises[1]) / 2, rises[1] / 8
        rises = [rises[0] + step * (6 - through) / 5, rises[1] + step * (through - out) / 40]
    assert after(network, [0, 0], 6, 20).rises == pytest.approx(rises, rel=1e-3)
    assert after(network, [0, 0], 6, 1e6).rises == pytest.approx(steady_rises(network, 6))


def test_leakage_runs_away_beyond_the_tangent():
    """Power 2^((T - T0) / D) balances up to R = D / (e ln 2): the line is a tangent there."""
    critical = 25 / (math.e * math.log(2))
    law = (25.0, 25.0)
    assert steady_die_c(critical * 0.99, 0, 1, 25, law) is not None
    assert steady_die_c(critical * 1.01, 0, 1, 25, law) is None
    die = steady_die_c(10, 2, 0.3, 25, law)
    assert die == pytest.approx(25 + 10 * (2 + 0.3 * 2 ** ((die - 25) / 25)))


def test_a_trip_is_left_only_below_its_hysteresis():
    thermal = package(trips=[{"temperature": "80 degC", "clock": "600 MHz"}], hysteresis="3 degC")
    assert allowed_clock(thermal, 79.9, None) is None
    assert allowed_clock(thermal, 80, None) == 600_000_000
    assert allowed_clock(thermal, 77.5, 600_000_000) == 600_000_000
    assert allowed_clock(thermal, 76.9, 600_000_000) is None


def test_a_run_that_throttles_lies_between_all_fast_and_all_slow():
    trips = [{"temperature": "70 degC", "clock": "600 MHz"}]
    both = spent(package(trips=trips), [SLOW, FAST])
    fast, slow = spent(package(), [FAST]), spent(package(), [SLOW])
    times = [sum(each.seconds for each in run) for run in (fast, both, slow)]
    assert times == sorted(set(times))
    assert sum(each.steps for each in both) == 60_000
    assert max(e.die_c for e in both) < max(e.die_c for e in fast)
    network = ThermalNetwork.of_part(package())
    heat_j = sum(e.given_off_j for e in both) + stored_j(network, both[-1].rises)
    assert heat_j == pytest.approx(sum(e.energy_j for e in both), rel=1e-9)


def test_an_empty_battery_ends_a_run_and_its_losses_are_those_of_the_cell():
    cell = Battery.model_validate(
        {"capacity": "1 Wh", "voltage": "3.8 V", "resistance": "200 mohm"}
    )
    run = spent(package(), [FAST], battery=cell)
    assert 3599 < sum(each.drawn_j for each in run) <= 3600
    draw = drawn_w(cell, 8)
    assert draw - (draw / 3.8) ** 2 * 0.2 == pytest.approx(8)
    assert drawn_w(cell, 19) is None  # 3.8^2 / (4 x 0.2) = 18.05 W at most


@given(st.floats(-40, 60), st.floats(0.5, 40), st.integers(1, 200))
@settings(deadline=None, max_examples=40)
def test_without_leakage_the_room_shifts_every_temperature_by_itself(room, shift, steps):
    def temperatures(ambient):
        thermal = package(ambient=f"{ambient:.3f} degC", idle="2 W", poll="7 s")
        cold = FAST._replace(leakage_uw=0)
        return [each.die_c for each in spent(thermal, [cold], 1000 * steps)]

    moved = temperatures(round(room, 3) + round(shift, 3))
    assert moved == pytest.approx([each + round(shift, 3) for each in temperatures(room)])


@given(st.integers(1, 30), st.floats(1, 100))
@settings(deadline=None, max_examples=30)
def test_a_walk_at_constant_power_is_the_step_response_of_a_stage(looks, poll_s):
    stage = [{"resistance": "8 K/W", "capacity": "40 J/K"}]
    thermal = Thermal.model_validate({"stages": stage, "poll": f"{round(poll_s)} s"})
    steady = FAST._replace(leakage_uw=0)
    steps = looks * round(poll_s) * 100  # of 10 ms
    (*_, last) = spent(thermal, [steady], steps)
    seconds, watts = last.start_s + last.seconds, 8
    assert seconds == pytest.approx(steps / 100)
    assert last.rises[0] == pytest.approx(watts * 8 * -math.expm1(-seconds / (8 * 40)))


@given(
    st.floats(-10, 70), st.floats(30, 110), st.floats(0.1, 0.9), st.floats(0.05, 0.95),
    st.integers(0, 150_000),
)  # fmt: skip
@settings(deadline=None, max_examples=25)
def test_a_limit_never_raises_the_peak(room, trip, slower, cheaper, leakage):
    """Steps of less power cannot warm the die more in as long a time; that work itself takes
    longer is another matter.
    """
    fast = FAST._replace(leakage_uw=leakage)
    time_ps = int(fast.time_ps / slower)
    slow = ClockedStep(
        600_000_000, time_ps, int(fast.energy_aj * cheaper * time_ps / fast.time_ps), leakage
    )
    trips = [{"temperature": f"{trip:.3f} degC", "clock": "600 MHz"}]
    limited = spent(
        package(ambient=f"{room:.3f} degC", poll="20 s", trips=trips), [slow, fast], 30_000
    )
    lasts_s = sum(each.seconds for each in limited)
    free = spent(package(ambient=f"{room:.3f} degC", poll="20 s"), [fast], int(lasts_s * 100) + 1)

    def peak(run):
        return max(max(each.die_c, round(room, 3) + each.rises[0]) for each in run)

    assume(peak(free) < 150)  # not about to run away
    assert peak(limited) <= peak(free) + 0.1  # looks are not quite at the same times


def test_the_section_appears_with_thermal_alone():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    trace = one_step_trace(builder, 3)
    bare = load_hardware("raspberry-pi-4-bare")
    heat = heat_of(bare, trace)
    total = simulate(bare, trace).total
    assert heat["time_s"] == pytest.approx(total["latency_ps"] / 1e12, rel=1e-9)
    assert heat["complete"]
    with pytest.raises(InputError, match="no thermal section"):
        heat_of(load_hardware("raspberry-pi-4"), trace)


def test_a_clock_below_the_points_gets_a_note():
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    result = simulate("raspberry-pi-4", one_step_trace(builder), {"cpu.clock": "600 MHz"})
    (note,) = result.identity.provenance["notes"]
    assert note.startswith("cpu at 600 MHz is below its first operating point, 1.5 GHz at 910 mV")


def test_heat_epochs_need_a_soc_that_cools():
    done = trainsoc("run", "raspberry-pi-4", "mlp_digits", "--heat-epochs", "3")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "raspberry-pi-4 has no thermal section" in line
    assert "describe thermal.stages" in line


@pytest.mark.slow
def test_heat_is_of_the_fidelity_of_its_run():
    """Tiles take other times than flows do: the epoch that heats up is that of the result."""
    trace = as_trace("lenet_digits")
    soc = load_hardware("edge-16x16").model_copy(update={"thermal": package(poll="1 s")})
    total = Replay(soc, trace, fidelity="tile").run().total
    heat = heat_of(soc, trace, fidelity="tile")
    assert heat["time_s"] == pytest.approx(total["latency_ps"] / 1e12, rel=1e-7)
    assert heat["time_s"] != pytest.approx(heat_of(soc, trace)["time_s"], rel=1e-7)


def test_recost_leaves_heat_out_and_says_so(tmp_path):
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    bare, trace = load_hardware("raspberry-pi-4-bare"), one_step_trace(builder)
    replay = Replay(bare, trace)
    result = replay.run()
    result.heat = heat_of(bare, trace)
    save_run(replay, result, tmp_path)
    document = recost(tmp_path, EnergyTable()).as_dict()
    assert "heat" not in document
    assert document["provenance"]["notes"][-1].startswith("No heat: other prices heat the die")


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("thermal: {stages: []}", "thermal.stages"),
        ("thermal: {stages: [{resistance: 2 K/W, capacity: 0 J/K}]}", "capacity: 0"),
        ("thermal: {stages: [{resistance: 2, capacity: 5 J/K}]}", "resistance: 2 has no unit"),
        ("thermal: {ambient: 300 degC}", "ambient"),
        ("thermal: {trips: [{temperature: 80 degC, clock: 600 MHz}, "
         "{temperature: 85 degC, clock: 1 GHz}]}", "rise in temperature and fall in clock"),
        ("battery: {capacity: 5 Wh}", "battery.voltage"),
        ("battery: {capacity: 0 Wh, voltage: 3.8 V}", "battery.capacity: 0"),
        ("battery: {capacity: 5 Wh, voltage: 3.8 V, efficiency: 110 %}", "battery.efficiency"),
    ],
)  # fmt: skip
def test_a_wrong_description_gets_one_sentence(tmp_path, section, sentence):
    path = tmp_path / "warm.yaml"
    path.write_text(f"base: raspberry-pi-4-bare\n{section}\n", encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        load_hardware(path)
    (line,) = str(refusal.value).splitlines()
    assert "warm.yaml" in line
    assert sentence in line


def test_the_figure_shows_every_change_of_the_clock_and_none_without_heat():
    builder = StepBuilder()
    builder.gemm(256, 256, 256)
    trace = one_step_trace(builder, 3)
    hot = load_hardware("raspberry-pi-4-bare", {"thermal.ambient": "50 degC"})
    cool = load_hardware("raspberry-pi-4")
    assert heat_figure({"cool": simulate(cool, trace).as_dict()}) is None
    document = simulate(hot, trace, heat_epochs=100_000).as_dict()
    figure = heat_figure({"bare": document})
    degrees, clocks, watts = (axes.lines[0].get_ydata() for axes in figure.axes)
    rows = document["heat"]["timeline"]
    assert {clock * 1e9 for clock in clocks} == {row[2] for row in rows}
    assert len(set(clocks)) > 1
    assert max(degrees) == pytest.approx(document["heat"]["peak_temperature_degc"], abs=0.5)
    assert len(watts) == len(rows)
    seconds = [row[0] for row in rows]
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(document["heat"]["time_s"])


def test_a_phone_trains_until_its_battery_is_empty():
    """What a charge holds goes to the board, its converter and the cell: nothing is lost."""
    phone = load_hardware("pixel-3-battery", {"thermal.poll": "20 s"})
    builder = StepBuilder()
    builder.gemm(256, 256, 256)
    heat = heat_of(phone, one_step_trace(builder, 1000), 10**6)
    assert not heat["complete"]
    assert heat["epochs"] == pytest.approx(heat["epochs_per_charge"], rel=1e-3)
    watts = heat["energy_j"] / heat["time_s"]
    at_cell = watts / 0.88
    amperes = at_cell / 3.85
    for _ in range(50):
        amperes = at_cell / (3.85 - 0.1 * amperes)
    assert pytest.approx(3.85 * amperes * heat["time_s"], rel=1e-3) == 11.2 * 3600
    assert "battery: an epoch takes" in str(heat_lines(heat))
