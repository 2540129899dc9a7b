"""What work costs in energy: counted actions times sourced prices, plus static power times time."""

from simulator.energy.prices import COMPONENTS, Prices, prices

__all__ = ["COMPONENTS", "Prices", "prices"]
