"""An FR-FCFS open-page controller of one channel, after DRAMsim3: queues, write drain, refresh.

Reads wait in a read queue and writes in a write buffer, shared by the channel; one of them per
cycle moves to the queue of its bank, and one command per cycle serves a bank's queue. Nothing
happens between two calls of `tick`: the controller says when the next one is due.
"""

from bisect import insort
from typing import NamedTuple

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, COMMANDS, PRE, RD, REF, WR
from simulator.timing.dram.buffers import Buffers, QueuedAccess
from simulator.timing.dram.device import CLOSED, Channel

BANK_QUEUE = 8
HIT_LIMIT = 4  # accesses of an open row after which an older conflict precharges it
NEVER = 1 << 62


class LogEntry(NamedTuple):
    """One command of a log. `row` is set for activations; `bank` is -1 for an all-bank refresh.

    A same-bank refresh logs the first of its banks.
    """

    at: int
    command: int
    bank: int
    row: int


class Controller:
    """The queues of one channel, and the choice of its next command."""

    __slots__ = (
        "_active", "_buffers", "_due", "_key", "_last", "_latency", "_local", "_next",
        "_next_refresh", "_queues", "_refresh_sets", "_second", "_stale", "_tREFI", "_writes_of",
        "channel", "counts", "log", "room", "wake",
    )  # fmt: skip

    def __init__(self, device: DramDevice, log: list[LogEntry] | None = None) -> None:
        """Start with empty queues and closed banks; `log` collects commands if given."""
        self.channel = Channel(device)
        self.counts = [0] * len(COMMANDS)
        self.log = log
        banks = device.banks
        self._buffers = Buffers(banks)
        self.room = self._buffers.room  # free entries, by command
        self._latency = device.timing.CL + device.timing.burst
        self._queues: list[list[QueuedAccess]] = [[] for _ in range(banks)]
        self._writes_of = [0] * banks  # writes in each bank queue
        self._active: list[int] = []  # banks with queued accesses, in order
        self._local = [NEVER] * banks  # when the bank itself allows its first candidate
        self._key = [0] * banks  # the gate of that candidate: command * groups + group
        self._second: dict[int, tuple[int, int]] = {}  # ready time and gate of a second candidate
        self._last = -1  # bank served last
        self._next, self._stale = (NEVER, 0, PRE), False  # next command: cycle, bank, command
        self._refresh_sets = device.refresh_sets
        self._tREFI = device.timing.tREFI
        self._next_refresh = self.wake = self._tREFI
        self._due = range(0)  # banks due for refresh

    def add(self, access: QueuedAccess, now: int) -> None:
        """Accept one granule before the tick of cycle `now`; the caller checks `room`."""
        if self._buffers.add(access, now):
            self.wake = min(self.wake, now)

    def tick(self, now: int) -> bool:
        """Issue the command due in cycle `now`; return whether a queue freed an entry."""
        if now >= self._next_refresh:
            self._start_refresh(now)
        if self._next[0] <= now:
            self._issue(now)
        access = self._buffers.next(idle=not self._active)
        if access is not None:
            self._enter(access.bank, access)
        if self._stale:
            self._stale = False
            self._next = self._choose(now + 1)
        wake = min(self._next[0], self._next_refresh)
        if access is not None and self._buffers.may_move:
            wake = now + 1
        self.wake = wake
        return access is not None

    def _enter(self, bank: int, access: QueuedAccess) -> None:
        queue = self._queues[bank]
        queue.append(access)
        command = access.command
        if command == WR:
            self._writes_of[bank] += 1
        if len(queue) == 1:
            insort(self._active, bank)
            self._weigh(bank)
            return
        if len(queue) == BANK_QUEUE:
            self._buffers.block(bank)
        row = self.channel.open_row[bank]
        if access.row == row:
            head = queue[0]
            if head.row != row or head.command != command:
                self._weigh(bank)

    def _weigh(self, bank: int) -> None:
        """Update the next command of a bank: for the first request in its queue that can go."""
        channel, queue = self.channel, self._queues[bank]
        self._stale = True
        if self._second:
            self._second.pop(bank, None)
        if not queue:
            self._local[bank] = NEVER
            return
        row = channel.open_row[bank]
        if row == CLOSED:
            self._local[bank] = channel.ready[ACT][bank]
            self._key[bank] = channel.group[bank]
            return
        head = queue[0]
        if head.row == row and self._writes_of[bank] in (0, len(queue)):
            self._local[bank] = channel.ready[head.command][bank]
            self._key[bank] = head.command * channel.groups + channel.group[bank]
        else:
            self._weigh_all(bank, queue, row)

    def _weigh_all(self, bank: int, queue: list[QueuedAccess], row: int) -> None:
        """Update the candidate commands of a bank: precharge, read or write of the open row."""
        channel = self.channel
        group, groups = channel.group[bank], channel.groups
        commands = dict.fromkeys([access.command for access in queue if access.row == row])
        choices = [(channel.ready[command][bank], command * groups + group) for command in commands]
        if queue[0].row != row and (not choices or channel.hits[bank] >= HIT_LIMIT):
            choices.insert(0, (channel.ready[PRE][bank], PRE * groups + group))
        self._local[bank], self._key[bank] = choices[0]
        if len(choices) > 1:
            self._second[bank] = choices[1]

    def _choose(self, now: int) -> tuple[int, int, int]:
        """Return the next command from cycle `now` on: the earliest; round robin among equals."""
        if self._due:
            return self._choose_in_refresh(now)
        if not self._active:
            return NEVER, 0, PRE
        return self._choose_of(self._active, now)

    def _choose_of(self, banks: list[int], now: int) -> tuple[int, int, int]:
        local, key, gate = self._local, self._key, self.channel.gate
        times = [
            own if (own := local[bank]) > (shared := gate[key[bank]]) else shared for bank in banks
        ]
        if self._second:
            self._hasten(banks, times)
        at = max(min(times), now)
        last, chosen = self._last, -1
        for bank, time in zip(banks, times):  # noqa: B905
            if time <= at:
                if bank > last:
                    chosen = bank
                    break
                if chosen < 0:
                    chosen = bank
        first = key[chosen]
        if chosen in self._second and (local[chosen] > at or gate[first] > at):
            first = self._second[chosen][1]
        return at, chosen, first // self.channel.groups

    def _hasten(self, banks: list[int], times: list[int]) -> None:
        for index, bank in enumerate(banks):
            if bank in self._second:
                ready, key = self._second[bank]
                times[index] = min(times[index], max(ready, self.channel.gate[key]))

    def _issue(self, now: int) -> None:
        _, bank, command = self._next
        self.counts[command] += 1
        row = CLOSED
        if command == PRE:
            self.channel.precharge(bank, now)
        elif command == ACT:
            row = self._queues[bank][0].row
            self.channel.activate(bank, row, now)
        elif command == REF:
            bank = self._refresh(now)
        else:
            self._serve(bank, command, now)
        if self.log is not None:
            self.log.append(LogEntry(now, command, bank, row))
        if not self._due and command != REF:
            self._last = bank
        self._weigh(bank)

    def _serve(self, bank: int, command: int, now: int) -> None:
        """Read or write the oldest row hit of the bank's queue."""
        queue = self._queues[bank]
        granule = queue.pop(self._place(queue, self.channel.open_row[bank], command)).granule
        if command == RD:
            self.channel.read(bank, now)
            self._buffers.complete_read(granule, now + self._latency)
        else:
            self.channel.write(bank, now)
            self._writes_of[bank] -= 1
            self._buffers.complete_write(granule)
        if not queue:
            self._active.remove(bank)
        if len(queue) == BANK_QUEUE - 1:
            self._buffers.unblock(bank)

    @staticmethod
    def _place(queue: list[QueuedAccess], row: int, command: int) -> int:
        for place, access in enumerate(queue):
            if access.row == row and access.command == command:
                return place
        raise AssertionError("the scheduler chose a queued access")

    def _start_refresh(self, now: int) -> None:
        sets = self._refresh_sets
        self._due = sets[now // self._tREFI % len(sets)]
        self._next_refresh += self._tREFI
        self._next = self._choose(now)

    def _choose_in_refresh(self, now: int) -> tuple[int, int, int]:
        """Precharge the banks due for refresh, then refresh; other banks continue meanwhile."""
        channel = self.channel
        still_open = [bank for bank in self._due if channel.open_row[bank] != CLOSED]
        if still_open:
            bank = min(still_open, key=lambda b: max(channel.ready[PRE][b], now))
            step = (max(channel.earliest(PRE, bank), now), bank, PRE)
        else:
            step = (max(channel.earliest_refresh(self._due), now), self._due[0], REF)
        others = [bank for bank in self._active if bank not in self._due]
        if others:
            other = self._choose_of(others, now)
            return other if other[0] < step[0] else step
        return step

    def _refresh(self, now: int) -> int:
        """Refresh the banks that are due; return the first of them, -1 for all."""
        due, self._due = self._due, range(0)
        self.channel.refresh(due, now)
        for bank in due:
            self._weigh(bank)
        return -1 if len(due) == self.channel.banks else due[0]
