"""What work costs in energy: counted actions times sourced prices, plus static power times time."""

from simulator.energy.factors import price_constants
from simulator.energy.prices import COMPONENTS, Prices, prices, prices_at

__all__ = ["COMPONENTS", "Prices", "price_constants", "prices", "prices_at"]
