"""Everything that imports torch: capture, recipes, model definitions; and traces made by them."""

from pathlib import Path

from simulator.trace.storage import BUNDLED


def bundled_traces() -> dict[str, Path]:
    """Return the trace files that come with the package, by name; needs no torch."""
    return {path.stem: path for path in sorted(BUNDLED.glob("*.trace"))}
