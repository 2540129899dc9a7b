"""Everything that imports torch: capture, calibration, models and recipes; and bundled traces."""

from pathlib import Path

from simulator.trace.storage import BUNDLED


def bundled_traces() -> dict[str, Path]:
    """Return the trace files of the package by name; needs no torch."""
    return {path.stem: path for path in sorted(BUNDLED.glob("*.trace"))}
