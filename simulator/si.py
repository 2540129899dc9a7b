"""Numbers as people read them: three digits and an SI prefix."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"),
             (1e-9, "n"), (1e-12, "p"))  # fmt: skip


def si(value: float, unit: str) -> str:
    """Return `value` with three significant digits and an SI prefix, such as "1.12 mJ"."""
    if not value:
        return f"0 {unit}"
    factor, prefix = next(((f, p) for f, p in _PREFIXES if abs(value) >= f * 0.9995), _PREFIXES[-1])
    return f"{digits(value / factor)} {prefix}{unit}"


def si_range(value: float, low: float, high: float, unit: str) -> str:
    """Return `value` and its range in its own unit, such as "1.06 J (0.71 .. 1.6)"."""
    factor = next((f for f, _ in _PREFIXES if abs(value) >= f * 0.9995), _PREFIXES[-1][0])
    return f"{si(value, unit)} ({digits(low / factor)} .. {digits(high / factor)})"


def digits(value: float) -> str:
    """Return `value` with three significant digits and no exponent."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text else text


def percent(part: float, whole: float) -> str:
    """Return part / whole in percent, or a dash when there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def times(ratio: float) -> str:
    """Return a ratio as "2.3 x"."""
    return f"{digits(ratio)} x"
