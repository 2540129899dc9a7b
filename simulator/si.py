"""Numbers as people read them: SI prefixes, three significant digits, percent, ranges."""

from decimal import Decimal

PREFIXES = {
    "T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18,
}  # fmt: skip
"""Exponents of ten."""

_SMALLEST = PREFIXES["p"]  # in what is shown for reading
_SCALES = [(float(f"1e{exponent}"), p) for p, exponent in PREFIXES.items() if exponent >= _SMALLEST]
_WITHOUT_PREFIX = ("mm2", "")


def scale(value: float, unit: str | None = None) -> tuple[float, str]:
    """Return the factor and the SI prefix that give `value` one to three digits before the point.

    A `unit` "mm2" or "", of areas and ratios, takes no prefix.
    """
    if not value or unit in _WITHOUT_PREFIX:
        return 1.0, ""
    return next((each for each in _SCALES if abs(value) >= each[0] * 0.9995), _SCALES[-1])


def si(value: float, unit: str) -> str:
    """Return `value` with three significant digits and an SI prefix, such as "1.12 mJ"."""
    factor, prefix = scale(value, unit)
    return f"{digits(value / factor)} {prefix}{unit}".strip()


def si_range(value: float, low: float, high: float, unit: str) -> str:
    """Return `value` and its range in the same unit, such as "1.06 J (0.71 .. 1.6)"."""
    factor, _ = scale(value, unit)
    return f"{si(value, unit)} {span(low / factor, high / factor)}"


def span(low: float, high: float) -> str:
    """Return the ends of a range, such as "(0.71 .. 1.6)"."""
    return f"({digits(low)} .. {digits(high)})"


def digits(value: float) -> str:
    """Return `value` with three significant digits and no exponent."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text else text


def exact(value: Decimal) -> str:
    """Return all digits of `value`, without an exponent or zeros at the end."""
    return f"{value.normalize():f}"


def percent(part: float, whole: float, decimals: int = 1) -> str:
    """Return part / whole in percent, or a dash when there is no whole."""
    return f"{100 * part / whole:.{decimals}f} %" if whole else "-"


def share(part: float, whole: float) -> str:
    """Return part / whole in percent, with a decimal near 0 and 100 % only."""
    each = 100 * part / whole if whole else 0.0
    if 0 < each < 0.1:
        return "<0.1 %"
    if 99.9 < each < 100:
        return ">99.9 %"
    return f"{each:.{1 if 0 < each < 9.95 or 99 < each < 100 else 0}f} %"


def times(ratio: float) -> str:
    """Return a ratio as "2.3x"."""
    return f"{digits(ratio)}x"


def time_left(seconds: float) -> str:
    """Return how long work still takes, as a line of progress says it: "40 s", "5 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"
