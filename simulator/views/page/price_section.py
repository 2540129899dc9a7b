"""What the energy of a run follows from, exactly: counts of actions, times, prices, losses."""

from collections.abc import Iterator
from typing import TypeAlias

from simulator.energy.account import Account
from simulator.energy.boundary import REGULATORS, Boundary
from simulator.energy.prices import Prices
from simulator.results.result import Amount, Result
from simulator.views.page.documents import AmountRow, LossRow, PriceRow, PriceSection

_Line: TypeAlias = tuple[str, str, str, int]
"""Kind and key of a price, the component that pays it, and the price."""


def price_section(result: Result) -> PriceSection:
    """Return prices of what happened, and how much of it did in each part of a run.

    A price that nothing in the run pays is left out.
    """
    prices, amounts = result.prices, result.amounts
    whole = _amounts(prices.within, amounts[""])
    places = [place for place, amount in enumerate(whole) if amount]
    accounts = (prices.within, *prices.ends)
    lines = [list(_lines(account)) for account in accounts]
    parts: list[AmountRow] = []
    for name, amount in amounts.items():
        own = _amounts(prices.within, amount)
        parts.append({"name": name, "amounts": [str(own[place]) for place in places]})
    rows = [_row(*(of[place] for of in lines)) for place in places]
    return {"rows": rows, "loss": _loss(prices), "parts": parts}


def _lines(account: Account) -> Iterator[_Line]:
    """Yield every price before any loss; those of another end of the ranges in the same order."""
    for action, aj in account.own_aj.items():
        yield "action", action.key, account.component[action], aj
    for name, uw in account.static_uw.items():
        if name != REGULATORS:
            yield "static", name, name, uw
    for state, kind in enumerate(("standby", "clocked")):
        for name, power in account.state_uw.items():
            if name != REGULATORS:
                yield kind, name, name, power[state]


def _amounts(account: Account, amount: Amount) -> list[int]:
    """Return how much of each of `_lines` happened: a count, or a time in ps."""
    times = {
        "static": amount.latency_ps,
        "standby": amount.states.standby_ps,
        "clocked": amount.states.clocked_ps,
    }
    powers = [times[kind] for kind, *_ in _lines(account) if kind != "action"]
    return [*(amount.counts[action] for action in account.own_aj), *powers]


def _row(value: _Line, low: _Line, high: _Line) -> PriceRow:
    kind, key, component, price = value
    return {
        "kind": kind,
        "key": key,
        "component": component,
        "value": str(price),
        "low": str(low[-1]),
        "high": str(high[-1]),
    }


def _loss(prices: Prices) -> LossRow | None:
    if prices.boundary is not Boundary.BOARD:
        return None
    return {
        "component": REGULATORS,
        "value": str(prices.costs.loss),
        "low": str(prices.low.loss),
        "high": str(prices.high.loss),
    }
