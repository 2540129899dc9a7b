"""The constraint table of a device, compiled to cycles: what each command delays, and how long."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, COMMANDS, Constraint
from simulator.memo import remember

Delays = tuple[tuple[int, int], ...]
"""Pairs of what is delayed and for how many cycles."""


class Gates(NamedTuple):
    """Delays in clock cycles, by the command that causes them.

    `bank[command]` delays commands to the same bank. `shared[command * groups + group]` delays
    commands to any bank of the channel: pairs of a gate, which is another command * groups +
    group, and cycles. At most `window` activations start within `window_cycles`.
    """

    bank: tuple[Delays, ...]
    shared: tuple[Delays, ...]
    window: int
    window_cycles: int

    def in_bank(self, before: int, after: int) -> int:
        """Return the cycles from one command to another of the same bank; 0 if unconstrained."""
        return dict(self.bank[before]).get(after, 0)


@remember("gates of devices", most=64)
def gates_of(device: DramDevice) -> Gates:
    """Return the delays of `device`, of each pair of commands the longest in its table."""
    groups = device.bank_groups
    table = device.standard.rows(device.refresh)
    rows = [row for row in table if row.window == 1]
    timing = device.timing.plain()
    bank: list[dict[int, int]] = [{} for _ in COMMANDS]
    shared: list[dict[int, int]] = [{} for _ in range(len(COMMANDS) * groups)]
    for row in rows:
        cycles = row.cycles(timing)
        for before, after in product(row.before, row.after):
            if row.scope == "bank":
                _delay(bank[before], after, cycles)
                continue
            for group, other in _reach(row, groups):
                _delay(shared[before * groups + group], after * groups + other, cycles)
    window = next(row for row in table if row.window > 1)
    assert (window.before, window.after) == ((ACT,), (ACT,)), "a channel keeps activations only"
    return Gates(_pairs(bank), _pairs(shared), window.window, window.cycles(timing))


def _reach(row: Constraint, groups: int) -> list[tuple[int, int]]:
    """Return the bank groups of first and second command between which a row holds."""
    if row.scope == "bank_group":
        return [(group, group) for group in range(groups)]
    return [(group, other) for group in range(groups) for other in range(groups)]


def _delay(delays: dict[int, int], what: int, cycles: int) -> None:
    delays[what] = max(delays.get(what, 0), cycles)


def _pairs(delays: Sequence[dict[int, int]]) -> tuple[Delays, ...]:
    return tuple(tuple(each.items()) for each in delays)
