"""Scenarios: several programs on several devices, joined by links."""

from simulator.scenario.api import play
from simulator.scenario.load import load_scenario

__all__ = ["load_scenario", "play"]
