"""What is shown of a number is that number, to three digits and in a prefix of the SI."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.si import PREFIXES, digits, exact, percent, scale, share, si, si_range, time_left
from simulator.units import DURATION, ENERGY, FREQUENCY, LENGTH, PERIOD, POWER, SIZE, VOLTAGE

# The SI Brochure, 9th edition, table 7; "u" stands for the Greek letter.
BROCHURE = {
    "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12,
    "f": 1e-15, "a": 1e-18,
}  # fmt: skip
values = st.floats(1e-12, 9e14) | st.floats(-9e14, -1e-12)


def test_prefixes_are_those_of_the_brochure():
    ours = {prefix: 10.0**exponent for prefix, exponent in PREFIXES.items() if prefix}
    assert ours == pytest.approx(BROCHURE)


@pytest.mark.parametrize(
    "quantity", [SIZE, FREQUENCY, DURATION, PERIOD, ENERGY, VOLTAGE, POWER, LENGTH]
)
def test_units_of_a_quantity_are_as_far_apart_as_their_prefixes(quantity):
    base = next(iter(quantity.units))[-2 if quantity is FREQUENCY else -1 :]
    for unit, factor in quantity.units.items():
        if not unit.endswith("iB"):
            prefix = unit.removesuffix(base)
            least = min(PREFIXES[name.removesuffix(base)] for name in quantity.units
                        if not name.endswith("iB"))  # fmt: skip
            assert factor == Decimal(10) ** (PREFIXES[prefix] - least)


@given(values)
def test_the_text_is_the_number_to_three_digits(value):
    number, prefix = re.fullmatch(r"(-?[0-9.]+) ([TGMkmunp]?)J", si(value, "J")).groups()
    assert float(number) * 10.0 ** PREFIXES[prefix] == pytest.approx(value, rel=0.0051)
    assert 0.9995 <= abs(float(number)) < 1000.5


@given(values, st.sampled_from(["mm2", ""]))
def test_areas_and_ratios_have_no_prefix(value, unit):
    assert si(value, unit) == f"{digits(value)} {unit}".strip()
    assert scale(value, unit) == (1.0, "")


def test_nothing_and_ranges():
    assert (si(0, "J"), si(0, "")) == ("0 J", "0")
    assert si_range(1.06, 0.71, 1.6, "J") == "1.06 J (0.71 .. 1.6)"
    assert si_range(1.06e-3, 0.71e-3, 1.6e-3, "J") == "1.06 mJ (0.71 .. 1.6)"
    assert exact(Decimal("1200.500")) == "1200.5"
    assert (percent(1, 8), percent(1, 8, 0), percent(1, 0)) == ("12.5 %", "12 %", "-")


@given(st.floats(0, 1))
def test_a_share_is_never_all_nor_nothing_unless_it_is(part):
    text = share(part, 1)
    assert (text == "0 %") == (part == 0)
    assert (text == "100 %") == (part == 1)


@given(st.floats(0, 1e6))
def test_time_left_is_right_within_its_last_digit(seconds):
    number, unit = time_left(seconds).split()
    in_s, last = {"s": (1, 0.5), "min": (60, 0.5), "h": (3600, 0.05)}[unit]
    assert abs(float(number) - seconds / in_s) <= last + 1e-9
