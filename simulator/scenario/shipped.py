"""The scenarios that ship with the product, by name."""

from pathlib import Path

SCENARIOS = Path(__file__).resolve().parents[2] / "workloads" / "scenarios"


def scenario_names() -> list[str]:
    """Return the names of the scenarios that ship with the product."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
