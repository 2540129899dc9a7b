"""One DRAM channel as a bank state machine: when is a command legal, and what does it delay?"""

from collections import deque
from collections.abc import Sequence

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, PRE, REF
from simulator.timing.dram.gates import gates_of

CLOSED = -1  # the open row of a bank without one


class Channel:
    """The banks of one channel. Times are cycles of the DRAM clock and never go back.

    The lists are public because a scheduler compares all banks at once: a command is legal from
    the later of the `times` of its two `gates[command][bank]` on. That at most one command issues
    per cycle is up to the scheduler.
    """

    __slots__ = (
        "_activation", "_acts", "_delays", "_window_cycles", "banks", "gates", "open_row", "times",
    )  # fmt: skip

    def __init__(self, device: DramDevice) -> None:
        """Start with all banks closed and every command legal."""
        self.banks = device.banks
        gates = gates_of(device)
        self.gates, self._delays, self._activation = gates.of, gates.delays, gates.activation
        self._acts: deque[int] = deque(maxlen=gates.window)
        self._window_cycles = gates.window_cycles
        self.open_row = [CLOSED] * self.banks
        self.times = [0] * gates.number

    def earliest(self, command: int, bank: int) -> int:
        """Return the first cycle at which `command` to `bank` is legal.

        The row state is the caller's: an activation needs a closed bank, a read or write an open
        row. REF is of this bank alone (see `earliest_refresh` for several).
        """
        own, shared = self.gates[command][bank]
        return max(self.times[own], self.times[shared])

    def earliest_refresh(self, banks: Sequence[int]) -> int:
        """Return the first cycle at which closed `banks` can be refreshed together."""
        return max([self.earliest(REF, bank) for bank in banks])

    def activate(self, bank: int, row: int, at: int) -> None:
        """Open `row` of `bank`."""
        self.open_row[bank] = row
        self.delay(ACT, bank, at)
        acts, times = self._acts, self.times
        acts.append(at)
        if len(acts) == acts.maxlen:
            after = acts[0] + self._window_cycles
            for gate in self._activation:
                if after > times[gate]:  # noqa: PLR1730 - as in `delay`
                    times[gate] = after

    def precharge(self, bank: int, at: int) -> None:
        """Close `bank`."""
        self.open_row[bank] = CLOSED
        self.delay(PRE, bank, at)

    def refresh(self, banks: Sequence[int], at: int) -> None:
        """Refresh `banks` with one command."""
        for bank in banks:
            self.delay(REF, bank, at)

    def issue(self, command: int, bank: int, at: int, row: int = CLOSED) -> None:
        """Issue any command to one bank; only an activation reads `row`."""
        if command == ACT:
            self.activate(bank, row, at)
        elif command == REF:
            self.refresh((bank,), at)
        elif command == PRE:
            self.precharge(bank, at)
        else:
            self.delay(command, bank, at)

    def delay(self, command: int, bank: int, at: int) -> None:
        """Push back what `command` delays, all that a read or write does. max() costs twice."""
        times = self.times
        for gate, cycles in self._delays[command][bank]:
            legal = at + cycles
            if legal > times[gate]:  # noqa: PLR1730
                times[gate] = legal
