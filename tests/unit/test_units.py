"""Text with units to exact integers and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.units import BANDWIDTH, DURATION, ENERGY, FREQUENCY, SIZE, Clock, ceil_div


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        (SIZE, "256 KiB", 262144),
        (SIZE, "1kB", 1000),
        (FREQUENCY, "1.2 GHz", 1_200_000_000),
        (FREQUENCY, "1e9 Hz", 10**9),
        (DURATION, "0.5 ns", 500),
        (BANDWIDTH, "25.6 GB/s", 25_600_000_000),
        (ENERGY, "0.9 pJ", 900_000),
    ],
)
def test_known_texts(quantity, text, value):
    assert quantity.parse(text) == value


@pytest.mark.parametrize(
    ("quantity", "text", "fix"),
    [
        (SIZE, "12 KB", "write KiB"),
        (SIZE, "12 Gb", "gigabit"),
        (SIZE, "12", "no unit"),
        (SIZE, 12, "no unit"),
        (SIZE, "3 GHz", "not a unit of size"),
        (SIZE, "0.3 B", "finer than 1 B"),
        (SIZE, "nan KiB", "not a"),
        (SIZE, "inf KiB", "not a"),
        (SIZE, "many", "write it as"),
        (SIZE, True, "expected a size"),
        (FREQUENCY, "3 ghz", "write GHz"),
    ],
)
def test_wrong_texts_name_the_fix(quantity, text, fix):
    with pytest.raises(ValueError, match=fix):
        quantity.parse(text)


@given(st.integers(0, 10**20), st.sampled_from([SIZE, FREQUENCY, DURATION, BANDWIDTH, ENERGY]))
def test_text_and_back_is_exact(value, quantity):
    assert quantity.parse(quantity.text(value)) == value


@given(st.integers(1, 10**10), st.integers(0, 10**12))
def test_cycles_round_once(hz, cycles):
    ps = Clock(hz).cycles_to_ps(cycles)
    assert ps == ceil_div(cycles * 10**12, hz)
    assert Clock(hz).ps_to_cycles(ps) >= cycles


@given(st.integers(1, 10**10))
def test_ticks_divide_cycle_and_picosecond(hz):
    clock = Clock(hz)
    # cycle / ps = 10^12 / hz exactly, so no conversion can drift
    assert clock.ticks_per_cycle * hz == clock.ticks_per_ps * 10**12


def test_a_clock_that_does_not_divide_a_picosecond_never_drifts():
    clock = Clock(1_200_000_000)
    assert clock.cycles_to_ps(12 * 10**9) == 10 * 10**12
