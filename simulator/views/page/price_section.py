"""What the energy of a run follows from, exactly: counts of actions, prices, time."""

from simulator.energy.boundary import Boundary
from simulator.results.result import Result
from simulator.views.page.documents import AmountRow, PowerPriceRow, PriceRow, PriceSection


def price_section(result: Result) -> PriceSection:
    """Return counts and prices of the actions that happened, time and power of components, and what
    states of the memory cost.

    Empty for a board, where what regulators lose follows from all other prices.
    """
    prices, amounts = result.prices, result.amounts
    if prices.boundary is Boundary.BOARD:
        return {"actions": [], "static": [], "states": [], "parts": []}
    within, (low, high) = prices.within, prices.ends
    whole = amounts[""].counts
    actions = [action for action in within.dynamic_aj if whole[action]]
    rows: list[PriceRow] = [
        {
            "key": action.key,
            "component": within.component[action],
            "aj": str(within.dynamic_aj[action]),
            "low": str(low.dynamic_aj[action]),
            "high": str(high.dynamic_aj[action]),
        }
        for action in actions
    ]
    powers: list[PowerPriceRow] = [
        {
            "component": name,
            "uw": str(power),
            "low": str(low.static_uw[name]),
            "high": str(high.static_uw[name]),
        }
        for name, power in within.static_uw.items()
    ]
    parts: list[AmountRow] = [
        {
            "name": name,
            "ps": str(amount.latency_ps),
            "counts": [str(amount.counts[action]) for action in actions],
            "states": [
                str(standby * amount.states.standby_ps + clocked * amount.states.clocked_ps)
                for standby, clocked in within.state_uw.values()
            ],
        }
        for name, amount in amounts.items()
    ]
    return {"actions": rows, "static": powers, "states": [*within.state_uw], "parts": parts}
