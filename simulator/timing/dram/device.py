"""One DRAM channel as a bank state machine: when is a command legal, and what does it delay?"""

from collections import deque
from collections.abc import Sequence

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, COMMANDS, PRE, RD, REF, WR
from simulator.timing.dram.gates import gates_of

CLOSED = -1  # the open row of a bank without one


class Channel:
    """The banks of one channel. Times are cycles of the DRAM clock and never go back.

    The lists are public because a scheduler compares all banks at once: a command is legal from
    the later of `ready[command][bank]` and `gate[command * groups + group]` on. That at most one
    command issues per cycle is up to the scheduler.
    """

    __slots__ = (
        "_acts", "_bank_delays", "_shared_delays", "_window_cycles", "banks", "gate", "group",
        "groups", "hits", "open_row", "ready",
    )  # fmt: skip

    def __init__(self, device: DramDevice) -> None:
        """Start with all banks closed and every command legal."""
        self.banks, self.groups = device.banks, device.bank_groups
        gates = gates_of(device)
        self._bank_delays, self._shared_delays = gates.bank, gates.shared
        self._acts: deque[int] = deque(maxlen=gates.window)
        self._window_cycles = gates.window_cycles
        self.group = [bank // device.banks_per_group for bank in range(self.banks)]
        self.open_row = [CLOSED] * self.banks
        self.hits = [0] * self.banks  # reads and writes since the row was opened
        self.ready = [[0] * self.banks for _ in COMMANDS]
        self.gate = [0] * (len(COMMANDS) * self.groups)

    def earliest(self, command: int, bank: int) -> int:
        """Return the first cycle at which `command` to `bank` is legal.

        The row state is the caller's: an activation needs a closed bank, a read or write an open
        row. REF is of this bank alone (see `earliest_refresh` for several).
        """
        shared = self.gate[command * self.groups + self.group[bank]]
        return max(self.ready[command][bank], shared)

    def earliest_refresh(self, banks: Sequence[int]) -> int:
        """Return the first cycle at which closed `banks` can be refreshed together."""
        return max([self.earliest(REF, bank) for bank in banks])

    def activate(self, bank: int, row: int, at: int) -> None:
        """Open `row` of `bank`."""
        self.open_row[bank], self.hits[bank] = row, 0
        self._delay(ACT, bank, at)
        acts = self._acts
        acts.append(at)
        if len(acts) == acts.maxlen:
            after, gate = acts[0] + self._window_cycles, self.gate
            for index in range(ACT * self.groups, (ACT + 1) * self.groups):
                if after > gate[index]:  # noqa: PLR1730 - as in `_delay`
                    gate[index] = after

    def read(self, bank: int, at: int) -> None:
        """Read one granule of the open row."""
        self._access(RD, bank, at)

    def write(self, bank: int, at: int) -> None:
        """Write one granule of the open row."""
        self._access(WR, bank, at)

    def precharge(self, bank: int, at: int) -> None:
        """Close `bank`."""
        self.open_row[bank] = CLOSED
        self._delay(PRE, bank, at)

    def refresh(self, banks: Sequence[int], at: int) -> None:
        """Refresh `banks` with one command."""
        for bank in banks:
            self._delay(REF, bank, at)

    def issue(self, command: int, bank: int, at: int, row: int = CLOSED) -> None:
        """Issue any command to one bank; only an activation reads `row`."""
        if command == ACT:
            self.activate(bank, row, at)
        elif command == REF:
            self.refresh((bank,), at)
        else:
            (self.read, self.write, self.precharge)[command - RD](bank, at)

    def _access(self, command: int, bank: int, at: int) -> None:
        self.hits[bank] += 1
        self._delay(command, bank, at)

    def _delay(self, command: int, bank: int, at: int) -> None:
        """Push back what `command` delays. Called per command: max() costs twice."""
        ready, gate = self.ready, self.gate
        for after, cycles in self._bank_delays[command]:
            legal = at + cycles
            if legal > ready[after][bank]:  # noqa: PLR1730
                ready[after][bank] = legal
        for index, cycles in self._shared_delays[command * self.groups + self.group[bank]]:
            legal = at + cycles
            if legal > gate[index]:  # noqa: PLR1730
                gate[index] = legal
