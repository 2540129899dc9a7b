"""Does the bare Raspberry Pi 4 warm and cool as boards did that fitted none of its constants?"""

import numpy as np
import pytest

from tests.bare_pi import (
    course,
    described,
    facts,
    fitted,
    idle_degc,
    predicted_cooling,
    predicted_load,
    rms,
    seconds_to,
)


@pytest.mark.slow
def test_the_described_constants_are_those_that_two_rows_fit():
    resistances, capacities = fitted()
    stages = described().stages
    assert [stage.resistance / 1000 for stage in stages] == pytest.approx(resistances, rel=0.03)
    assert [stage.capacity / 1000 for stage in stages] == pytest.approx(capacities, rel=0.03)


def test_the_fitted_warming_is_within_the_sensor_s_degree():
    assert rms(predicted_load("stressberry"), course("stressberry", "load")) < 0.5


def test_held_out_cooling():
    """From 72 degC to 51 degC in 150 s: the same board, after its load."""
    assert rms(predicted_cooling(), course("stressberry", "cooling")) < 1.0


@pytest.mark.parametrize("run", ["june", "july"])
def test_held_out_boards(run):
    """Another board and firmware, 24 K to 26 K of warming; the sensor has whole degrees."""
    misses = predicted_load(run) - np.array(course(run, "load").degc)
    assert rms(predicted_load(run), course(run, "load")) < 0.8
    assert abs(misses).max() < 2


def test_held_out_seconds_to_80_degc_are_missed_by_half_a_minute_to_a_minute():
    """Launch firmware under its worst load: about 65 s, predicted 135 s from a room of 25 degC.

    The room is not told, and decides: from the 61 degC that another board had when idle, it is
    48 s. On a thermocouple at the package the resistance was fitted, and the die is hotter.
    """
    idle_w, measured_s = facts()["magpi_idle_power_launch"], facts()["magpi_seconds_to_80_launch"]
    step = facts()["magpi_load_power_launch"] - idle_w
    from_room = seconds_to(80, idle_degc(idle_w, 25), step)
    from_idle = seconds_to(80, facts()["idle_temperature_open_air"], step)
    assert from_idle < measured_s < from_room < 2.2 * measured_s


def test_held_out_idle_rises():
    """A die under ESXi was 31.5 K over its room, at a power not told: 27.3 K at Raspbian's."""
    rise = idle_degc(facts()["idle_power"], 0)
    assert 0.8 < rise / facts()["idle_rise_esxi"] < 1


def test_a_watt_outside_the_soc_counts_too_much():
    """0.3 W of the USB controller cooled a die by 1.4 K, not by 3 K: heat is the board's, by one
    resistance.
    """
    predicted = idle_degc(facts()["usb_controller_power"], 0)
    assert 1.5 < predicted / facts()["usb_controller_rise"] < 2.5


def test_throttling_holds_the_die_where_boards_held_theirs():
    """Sustained from 81 degC on, never above 85 degC: trips are within."""
    trips = [trip.temperature / 1000 for trip in described().trips]
    assert trips[0] <= 81
    assert trips[-1] <= facts()["throttled_temperature"]
    assert described().trips[0].clock == facts()["first_throttled_clock"] * 1_000_000
