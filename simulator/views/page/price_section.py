"""What the energy of a run follows from, exactly: counts of actions, prices, time."""

from simulator.results.result import Result
from simulator.views.page.documents import AmountRow, PowerPriceRow, PriceRow, PriceSection


def price_section(result: Result) -> PriceSection:
    """Return counts and prices of the actions that happened, and time and power of components."""
    prices, amounts = result.prices, result.amounts
    whole = amounts[""].counts
    actions = [action for action in prices.dynamic_aj if whole[action]]
    rows: list[PriceRow] = [
        {
            "key": action.key,
            "component": prices.component[action],
            "aj": str(prices.dynamic_aj[action]),
            "low": str(prices.low.dynamic_aj[action]),
            "high": str(prices.high.dynamic_aj[action]),
        }
        for action in actions
    ]
    powers: list[PowerPriceRow] = [
        {
            "component": name,
            "uw": str(power),
            "low": str(prices.low.static_uw[name]),
            "high": str(prices.high.static_uw[name]),
        }
        for name, power in prices.static_uw.items()
    ]
    parts: list[AmountRow] = [
        {
            "name": name,
            "ps": str(amount.latency_ps),
            "counts": [str(amount.counts[action]) for action in actions],
        }
        for name, amount in amounts.items()
    ]
    return {"actions": rows, "static": powers, "parts": parts}
