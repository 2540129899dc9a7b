"""One DRAM channel as a bank state machine: when is a command legal, and what does it close off?"""

from collections import deque
from collections.abc import Sequence

from simulator.hardware.dram import DramDevice, DramTiming

CLOSED = -1  # the open row of a bank without one


ACT, RD, WR, PRE, REF = COMMANDS = range(5)  # what a controller may ask of a device


class Gaps:
    """Cycles between a command and another one, of any bank of its channel.

    `spread[command * groups + group]` lists what the command in this group delays: pairs of a
    gate's index (command * groups + group again) and a gap.
    """

    __slots__ = ("groups", "read_to_precharge", "spread", "write_to_precharge")

    def __init__(self, timing: DramTiming, groups: int) -> None:
        """Tabulate `timing` for a channel of `groups` bank groups."""
        self.groups = groups
        self.read_to_precharge = timing.tRTP
        self.write_to_precharge = timing.CWL + timing.burst + timing.tWR
        short_long = _short_and_long(timing)
        self.spread = tuple(
            tuple(
                (after * groups + other, gaps[other == group and groups > 1])
                for (before, after), gaps in short_long.items()
                if before == command
                for other in range(groups)
            )
            for command in (ACT, RD, WR, PRE)
            for group in range(groups)
        )


def _short_and_long(t: DramTiming) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the gap from a command to another, to a different and to the same bank group."""
    turn = t.CL + t.burst - t.CWL + t.tRTRS
    written = t.CWL + t.burst
    bus = (max(t.burst, t.tCCD_S), max(t.burst, t.tCCD_L))
    return {
        (ACT, ACT): (t.tRRD_S, t.tRRD_L),
        (RD, RD): bus,
        (RD, WR): (turn, turn),
        (WR, WR): bus,
        (WR, RD): (written + t.tWTR_S, written + t.tWTR_L),
        (PRE, PRE): (t.tPPD, t.tPPD),
    }


class Channel:
    """The banks of one channel. Times are cycles of the DRAM clock and never go back.

    The lists are public because a scheduler compares all banks at once: a command is legal from
    the later of its bank's time (`act_at`, `cas_at`, `pre_at`, `ref_at`) and of `gate[command *
    groups + group]` on. One command per cycle is the scheduler's to see to.
    """

    __slots__ = (
        "_acts", "_four", "_gaps", "_row_cycle", "_spread", "_timing", "act_at", "banks", "cas_at",
        "gate", "group", "groups", "hits", "open_row", "pre_at", "ref_at",
    )  # fmt: skip

    def __init__(self, device: DramDevice) -> None:
        """Start with all banks closed and every command legal."""
        self._timing = device.timing
        self.banks, self.groups = device.banks, device.bank_groups
        self._gaps = Gaps(device.timing, self.groups)
        self._spread = self._gaps.spread
        self._four, self._row_cycle = self._timing.tFAW, self._timing.tRAS + self._timing.tRP
        self.group = [bank // device.banks_per_group for bank in range(self.banks)]
        self.open_row = [CLOSED] * self.banks
        self.hits = [0] * self.banks  # reads and writes since the row was opened
        self.act_at, self.cas_at, self.pre_at, self.ref_at = ([0] * self.banks for _ in range(4))
        self.gate = [0] * (len(COMMANDS) * self.groups)
        self._acts: deque[int] = deque(maxlen=4)

    def earliest(self, command: int, bank: int) -> int:
        """Return the first cycle at which `command` to `bank` is legal, its row state granted.

        An activation needs a closed bank, a read or write the open row that it is for; REF is
        of this bank alone (see `earliest_refresh` for all).
        """
        local = (self.act_at, self.cas_at, self.cas_at, self.pre_at, self.ref_at)[command][bank]
        return max(local, self.gate[command * self.groups + self.group[bank]])

    def earliest_refresh(self) -> int:
        """Return the first cycle at which all banks, being closed, can be refreshed."""
        return max(self.ref_at)

    def activate(self, bank: int, row: int, at: int) -> None:
        """Open `row` of `bank`."""
        t = self._timing
        self.open_row[bank], self.hits[bank] = row, 0
        self.cas_at[bank] = at + t.tRCD
        self.pre_at[bank] = at + t.tRAS
        self.act_at[bank] = self.ref_at[bank] = at + self._row_cycle
        acts, gate = self._acts, self.gate
        acts.append(at)
        window = acts[0] + self._four if len(acts) == 4 else 0
        for index, gap in self._spread[self.group[bank]]:
            gate[index] = max(gate[index], at + gap, window)

    def read(self, bank: int, at: int) -> None:
        """Read one granule of the open row."""
        self._access(RD, bank, at, at + self._gaps.read_to_precharge)

    def write(self, bank: int, at: int) -> None:
        """Write one granule of the open row."""
        self._access(WR, bank, at, at + self._gaps.write_to_precharge)

    def precharge(self, bank: int, at: int) -> None:
        """Close `bank`."""
        closed = at + self._timing.tRP
        self.open_row[bank] = CLOSED
        if closed > self.act_at[bank]:
            self.act_at[bank] = self.ref_at[bank] = closed
        self._delay(PRE, bank, at)

    def refresh(self, banks: Sequence[int], at: int) -> None:
        """Refresh `banks`: all of them, or one where the device refreshes per bank."""
        done = at + self._timing.tRFC
        for bank in banks:
            self.act_at[bank] = self.ref_at[bank] = done

    def issue(self, command: int, bank: int, at: int, row: int = CLOSED) -> None:
        """Issue any command to one bank; `row` is read by an activation alone."""
        if command == ACT:
            self.activate(bank, row, at)
        elif command == REF:
            self.refresh((bank,), at)
        else:
            (self.read, self.write, self.precharge)[command - RD](bank, at)

    def _access(self, command: int, bank: int, at: int, close_at: int) -> None:
        self.hits[bank] += 1
        self.pre_at[bank] = max(self.pre_at[bank], close_at)
        self._delay(command, bank, at)

    def _delay(self, command: int, bank: int, at: int) -> None:
        gate = self.gate
        for index, gap in self._spread[command * self.groups + self.group[bank]]:
            after = at + gap
            if after > gate[index]:  # noqa: PLR1730 - called per command; max() costs twice
                gate[index] = after
