"""The names of what ships with the product."""

from simulator.hardware.shipped import hardware_names
from simulator.scenario.shipped import scenario_names
from simulator.trace.passes.file import method_names
from simulator.trace.storage import bundled_names


def names() -> dict[str, list[str]]:
    """Return the names of all hardware, traces, methods and scenarios that ship, by kind."""
    return {
        "hardware": hardware_names(),
        "traces": bundled_names(),
        "methods": method_names(),
        "scenarios": scenario_names(),
    }
