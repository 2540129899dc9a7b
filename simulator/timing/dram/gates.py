"""The constraint table of a device, compiled to cycles: what each command delays, and how long."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, COMMANDS, Constraint
from simulator.memo import remember

Delays = tuple[tuple[int, int], ...]
"""Pairs of a gate that a command delays and for how many cycles."""


class Gates(NamedTuple):
    """The gates of a channel, which are numbered, and who delays them.

    `of[command][bank]` are the two gates that a command to a bank has to pass: that of its bank,
    and the one that it shares with the banks of its group. `delays[command][bank]` is what it
    delays itself. At most `window` activations start within `window_cycles`; `activation` are the
    shared gates of activations.
    """

    number: int
    of: tuple[tuple[tuple[int, int], ...], ...]
    delays: tuple[tuple[Delays, ...], ...]
    activation: range
    window: int
    window_cycles: int

    def in_bank(self, before: int, after: int) -> int:
        """Return the cycles from one command to another of the same bank; 0 if unconstrained."""
        own, _ = self.of[after][0]
        return dict(self.delays[before][0]).get(own, 0)


@remember("gates of devices", most=64)
def gates_of(device: DramDevice) -> Gates:
    """Return the gates of `device`; of each pair of commands the longest delay in its table."""
    table = device.standard.rows(device.refresh)
    timing = device.timing.plain()
    groups, banks = device.bank_groups, device.banks
    shared = len(COMMANDS) * groups  # these come first, those of the banks behind them
    of = tuple(
        tuple(
            (shared + command * banks + bank, command * groups + bank // device.banks_per_group)
            for bank in range(banks)
        )
        for command in COMMANDS
    )
    delays: list[list[dict[int, int]]] = [[{} for _ in range(banks)] for _ in COMMANDS]
    for row in table:
        if row.window == 1:
            cycles = row.cycles(timing)
            for before, after, bank in product(row.before, row.after, range(banks)):
                for gate in _gates_in(row, bank, of[after]):
                    of_bank = delays[before][bank]
                    of_bank[gate] = max(of_bank.get(gate, 0), cycles)
    window = next(row for row in table if row.window > 1)
    assert (window.before, window.after) == ((ACT,), (ACT,)), "a channel keeps activations only"
    return Gates(
        shared + len(COMMANDS) * banks,
        of,
        tuple(tuple(tuple(each.items()) for each in command) for command in delays),
        range(ACT * groups, (ACT + 1) * groups),
        window.window,
        window.cycles(timing),
    )


def _gates_in(row: Constraint, bank: int, of: tuple[tuple[int, int], ...]) -> Iterator[int]:
    """Yield those gates `of` a command that are in the scope of a row around `bank`."""
    own, shared = of[bank]
    if row.scope == "bank":
        yield own
    elif row.scope == "bank_group":
        yield shared
    else:
        yield from dict.fromkeys(shared for _, shared in of)
