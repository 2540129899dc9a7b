"""Do sweeps and runs from Python tell of heat and governors what the commands tell?"""

import json

import pytest

from simulator import simulate, sweep
from simulator.endurance import heat_of
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.results.metrics import OF_GOVERNOR, OF_HEAT, column_of
from simulator.sweeps.answers import best
from simulator.sweeps.condition import where
from simulator.sweeps.request import SweepRequest
from simulator.sweeps.scenarios import scenario_study
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc

BARE, PHONE = "raspberry-pi-4-bare", "pixel-3-battery"
ROOM, GOVERNOR = "thermal.ambient", "runtime.governor"
HEAT = {each.key for each in OF_HEAT}


@pytest.fixture(scope="module")
def trace():
    builder = StepBuilder()
    builder.gemm(256, 256, 256)
    return one_step_trace(builder, 3)


@pytest.fixture(scope="module")
def rooms(trace):
    axes = {ROOM: ["-40 degC", "25 degC", "50 degC"]}
    return sweep(
        axes, trace, hardware=BARE, heat_epochs=50_000, minimize="peak_temperature,latency",
        workers=1, quiet=True,
    )  # fmt: skip


def test_a_point_is_as_warm_as_its_run(rooms, trace):
    for row in rooms.to_dicts():
        soc = load_hardware(BARE, {ROOM: f"{row[ROOM]} mdegC"})
        heat = heat_of(soc, trace, 50_000)
        assert row["peak_temperature_degc"] == heat["peak_temperature_degc"]
        assert row["throttled_s"] == heat["throttled_s"]
        assert row["sustained_epoch_s"] == pytest.approx(heat["time_s"] / 50_000)
        assert row["heat_epochs"] == 50_000
    throttled = rooms.sort(ROOM)["throttled_s"].to_list()
    assert throttled == sorted(throttled)
    assert throttled[0] == 0 < throttled[-1]
    assert "charge_per_epoch" not in rooms.columns


def test_heat_is_an_objective_and_answers_conditions(rooms):
    assert rooms.filter(rooms["pareto"])[ROOM].to_list() == [-40_000]
    assert best(rooms, "peak_temperature", ["ambient >= 25 degC"])[ROOM] == 25_000
    cool = where(rooms, ["peak_temperature < 60 degC and throttled = 0 s"])
    assert cool[ROOM].to_list() == [-40_000]
    with pytest.raises(InputError, match="peak_temperature is in degC, not in W"):
        where(rooms, ["peak_temperature < 60 W"])
    assert (column_of("peak_temperature_degc").unit, column_of("throttled_s").unit) == ("degC", "s")


def test_a_battery_has_its_share_of_a_charge(trace):
    axes = {"battery.capacity": ["5 Wh", "10 Wh"]}
    table = sweep(axes, trace, hardware=PHONE, heat_epochs=10, workers=1, quiet=True)
    small, large = table["charge_per_epoch"]
    assert small == pytest.approx(2 * large)


def test_without_epochs_no_point_heats_up(trace):
    axes = {ROOM: ["20 degC", "30 degC"]}
    table = sweep(axes, trace, hardware=BARE, workers=1, quiet=True)
    assert not HEAT & set(table.columns)
    with pytest.raises(InputError, match="--minimize peak_temperature: no such measure"):
        sweep(axes, trace, hardware=BARE, minimize="peak_temperature", workers=1, quiet=True)


def test_governors_are_an_axis(trace):
    axes = {GOVERNOR: ["fixed", "time", "energy"], "runtime.clock_switch": ["0 ns", "1 ms"]}
    table = sweep(
        axes, trace, hardware="cpu-only", minimize="governed_energy,governed_latency", workers=1,
        quiet=True,
    )  # fmt: skip
    rows = {(row[GOVERNOR], row["runtime.clock_switch"]): row for row in table.to_dicts()}
    for (governor, _), row in rows.items():
        time_s, energy_j = (row[each.key] for each in OF_GOVERNOR)
        if governor == "fixed":
            assert (time_s, energy_j) == (row["latency_s"], row["energy_j"])
            continue
        setting = {GOVERNOR: governor, "runtime.clock_switch": f"{row['runtime.clock_switch']} ps"}
        dvfs = simulate("cpu-only", trace, setting).dvfs
        assert (time_s, energy_j) == (dvfs["time_s"], dvfs["energy_j"])
        assert (row["latency_s"], row["energy_j"]) == (dvfs["fixed_time_s"], dvfs["fixed_energy_j"])
    quick, frugal = rows["time", 0], rows["energy", 0]
    assert quick["governed_latency_s"] <= frugal["governed_latency_s"]
    assert frugal["governed_energy_j"] < rows["fixed", 0]["governed_energy_j"]


def test_a_governor_without_a_choice_is_a_point_that_cannot_run(trace):
    axes = {GOVERNOR: ["fixed", "energy"]}
    table = sweep(axes, trace, hardware="raspberry-pi-5", workers=1, quiet=True)
    assert table["feasible"].to_list() == [True, False]
    assert "describe cpu.operating_points" in table["reason"][1]


def test_heat_of_a_governor_is_heat_of_its_point(trace):
    axes = {GOVERNOR: ["fixed", "time", "energy"]}
    table = sweep(axes, trace, hardware=BARE, heat_epochs=100, workers=1, quiet=True)
    for row in table.to_dicts():
        heat = simulate(BARE, trace, {GOVERNOR: row[GOVERNOR]}, heat_epochs=100).heat
        assert row["peak_temperature_degc"] == heat["peak_temperature_degc"]
    assert table["sustained_epoch_s"].n_unique() == 3


def test_points_of_other_epochs_are_other_points(trace, tmp_path):
    axes = {ROOM: ["20 degC", "30 degC"]}
    peaks = []
    for epochs in (10, 20_000):
        table = sweep(
            axes, trace, tmp_path / "warm", hardware=BARE, heat_epochs=epochs, workers=1, quiet=True
        )
        peaks.append(table["peak_temperature_degc"].to_list())
    assert peaks[0] < peaks[1]


def test_epochs_need_a_soc_that_cools_in_every_way_of_asking(trace):
    with pytest.raises(InputError, match="raspberry-pi-4 has no thermal section"):
        sweep({"cpu.cores": [2, 4]}, trace, hardware="raspberry-pi-4", heat_epochs=3, quiet=True)
    with pytest.raises(InputError, match="raspberry-pi-4 has no thermal section"):
        simulate("raspberry-pi-4", trace, heat_epochs=3)
    with pytest.raises(InputError, match="scenarios do not heat up"):
        scenario_study(SweepRequest(scenario="split-inference", heat_epochs=3))


def test_python_has_the_sections_of_the_command(tmp_path):
    options = ("--samples", "0", "--heat-epochs", "50", "--set", f"{GOVERNOR}=time", "--json")
    said = json.loads(trainsoc("run", BARE, "mlp_digits", *options).stdout)
    run = simulate(BARE, "mlp_digits", {GOVERNOR: "time"}, heat_epochs=50)
    ours = json.loads(run.to_json())
    assert (ours["heat"], ours["dvfs"]) == (said["heat"], said["dvfs"])
    assert "heat" in json.loads((run.save(tmp_path / "warm") / "result.json").read_text())


@pytest.mark.slow
def test_the_command_sweeps_heat(tmp_path):
    done = trainsoc(
        "sweep", BARE, "mlp_digits", "--set", f"{ROOM}=15 degC,35 degC", "--heat-epochs", "100",
        "-o", str(tmp_path / "warm"), "--best", "peak_temperature", "--json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["best"][ROOM] == 15_000
    again = trainsoc("sweep", "-o", str(tmp_path / "warm"), "--json")  # resumes with its epochs
    assert "peak_temperature_degc" in json.loads(again.stdout)["front"][0]
