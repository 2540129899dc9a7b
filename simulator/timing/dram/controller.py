"""An FR-FCFS open-page controller of one channel, after DRAMsim3: queues, write drain, refresh.

Reads wait in a read queue and writes in a write buffer, shared by the channel; one of them per
cycle moves to the queue of its bank, and one command per cycle serves a bank's queue. Nothing
happens between two calls of `tick`: the controller says when the next one is due.
"""

from bisect import bisect, bisect_left
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
        "_active", "_at", "_bank", "_buffers", "_command", "_due", "_first", "_groups", "_hits",
        "_last", "_latency", "_next_refresh", "_queues", "_refresh_sets", "_second", "_stale",
        "_tREFI", "_writes_of", "channel", "counts", "log", "room", "wake",
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
        self._hits = [0] * banks  # reads and writes since the row was opened
        self._active: list[int] = []  # banks with queued accesses, in order
        self._first: list[tuple[int, int]] = []  # gates of the first candidate of each of them
        self._second: dict[int, tuple[int, int]] = {}  # of a second candidate, by bank
        self._groups = device.bank_groups
        self._last = -1  # bank served last
        self._at, self._bank, self._command = NEVER, 0, PRE  # next command
        self._stale = False  # whether another command may be next
        self._refresh_sets = device.refresh_sets
        self._tREFI = device.timing.tREFI
        self._next_refresh = self.wake = self._tREFI
        self._due = range(0)  # banks due for refresh

    def add(self, access: QueuedAccess, now: int) -> None:
        """Accept one granule before the tick of cycle `now`; the caller checks `room`."""
        if self._buffers.add(access, now) and now < self.wake:
            self.wake = now

    def tick(self, now: int) -> None:
        """Issue the command due in cycle `now`, and move one access to the queue of its bank."""
        if now >= self._next_refresh:
            self._start_refresh(now)
        if self._at <= now:
            self._issue(now)
        access = self._buffers.next(not self._active)
        if access is not None:
            self._enter(access)
        if self._stale:
            self._stale = False
            self._choose(now + 1)
        if access is not None and self._buffers.may_move:
            self.wake = now + 1
        else:
            self.wake = self._at if self._at < self._next_refresh else self._next_refresh

    def _enter(self, access: QueuedAccess) -> None:
        _, bank, row, command, _, _ = access
        queue = self._queues[bank]
        queue.append(access)
        if command == WR:
            self._writes_of[bank] += 1
        length = len(queue)
        if length == 1:
            place = bisect_left(self._active, bank)
            self._active.insert(place, bank)
            self._first.insert(place, self.channel.gates[command][bank])
            self._weigh(bank)
            return
        if length == BANK_QUEUE:
            self._buffers.block(bank)
        if row == self.channel.open_row[bank]:
            _, _, head_row, head_command, _, _ = queue[0]
            if head_row != row or head_command != command:
                self._weigh(bank)

    def _weigh(self, bank: int) -> None:
        """Update the next command of a bank: for the first request in its queue that can go."""
        self._stale = True
        if self._second:
            self._second.pop(bank, None)
        queue = self._queues[bank]
        if not queue:
            return
        channel = self.channel
        row = channel.open_row[bank]
        _, _, head_row, command, _, _ = queue[0]
        if row == CLOSED:
            command = ACT
        elif head_row != row or self._writes_of[bank] not in (0, len(queue)):
            command = self._weigh_all(bank, queue, row)
        self._first[bisect_left(self._active, bank)] = channel.gates[command][bank]

    def _weigh_all(self, bank: int, queue: list[QueuedAccess], row: int) -> int:
        """Return the first candidate of a bank: precharge, read or write of the open row."""
        choices = list(
            dict.fromkeys([command for _, _, at_row, command, _, _ in queue if at_row == row])
        )
        _, _, head_row, _, _, _ = queue[0]
        if head_row != row and (not choices or self._hits[bank] >= HIT_LIMIT):
            choices.insert(0, PRE)
        if len(choices) > 1:
            self._second[bank] = self.channel.gates[choices[1]][bank]
        return choices[0]

    def _choose(self, now: int) -> None:
        """Set the next command from cycle `now` on: the earliest; round robin among equals."""
        if self._due:
            self._at, self._bank, self._command = self._choose_in_refresh(now)
        elif self._active:
            self._at, self._bank, self._command = self._choose_of(self._active, self._first, now)
        else:
            self._at = NEVER

    def _choose_of(
        self, banks: list[int], gates: list[tuple[int, int]], now: int
    ) -> tuple[int, int, int]:
        """Choose among the candidates of `banks`, which have these gates."""
        times, second = self.channel.times, self._second
        legal = [
            at if (at := times[own]) > (other := times[shared]) else other for own, shared in gates
        ]
        if second:
            self._hasten(banks, legal)
        turn = bisect(banks, self._last)
        in_turn = legal[turn:] + legal[:turn]
        at = min(in_turn)
        if at >= now:
            turn += in_turn.index(at)
        else:
            at = now
            turn += next(place for place, time in enumerate(in_turn) if time <= now)
        place = turn % len(banks)
        chosen, (own, gate) = banks[place], gates[place]
        if chosen in second and (times[own] > at or times[gate] > at):
            _, gate = second[chosen]
        return at, chosen, gate // self._groups

    def _hasten(self, banks: list[int], legal: list[int]) -> None:
        times = self.channel.times
        for place, bank in enumerate(banks):
            if bank in self._second:
                own, shared = self._second[bank]
                legal[place] = min(legal[place], max(times[own], times[shared]))

    def _issue(self, now: int) -> None:
        bank, command = self._bank, self._command
        row = CLOSED
        if command in (RD, WR):
            self._serve(bank, command, now)
        elif command == ACT:
            _, _, row, _, _, _ = self._queues[bank][0]
            self.channel.activate(bank, row, now)
            self._hits[bank] = 0
        elif command == PRE:
            self.channel.precharge(bank, now)
        else:
            bank = self._refresh(now)
        self.counts[command] += 1
        if command != REF:
            self._weigh(bank)
            if not self._due:
                self._last = bank
        if self.log is not None:
            self.log.append(LogEntry(now, command, bank, row))

    def _serve(self, bank: int, command: int, now: int) -> None:
        """Read or write the oldest row hit of the bank's queue."""
        queue, row = self._queues[bank], self.channel.open_row[bank]
        place = self._place(queue, row, command)
        self._hits[bank] += 1
        self.channel.delay(command, bank, now)
        self._buffers.serve(queue.pop(place), now + self._latency)
        if command == WR:
            self._writes_of[bank] -= 1
        if not queue:
            place = bisect_left(self._active, bank)
            del self._active[place], self._first[place]
        elif len(queue) == BANK_QUEUE - 1:
            self._buffers.unblock(bank)

    @staticmethod
    def _place(queue: list[QueuedAccess], row: int, command: int) -> int:
        for place, (_, _, at_row, kind, _, _) in enumerate(queue):
            if at_row == row and kind == command:
                return place
        raise AssertionError("the scheduler chose a queued access")

    def _start_refresh(self, now: int) -> None:
        sets = self._refresh_sets
        self._due = sets[now // self._tREFI % len(sets)]
        self._next_refresh += self._tREFI
        self._choose(now)

    def _choose_in_refresh(self, now: int) -> tuple[int, int, int]:
        """Precharge the banks due for refresh, then refresh; other banks continue meanwhile."""
        channel = self.channel
        still_open = [bank for bank in self._due if channel.open_row[bank] != CLOSED]
        if still_open:
            bank = min(still_open, key=lambda b: max(channel.times[channel.gates[PRE][b][0]], now))
            step = (max(channel.earliest(PRE, bank), now), bank, PRE)
        else:
            step = (max(channel.earliest_refresh(self._due), now), self._due[0], REF)
        others = [
            (bank, gates)
            for bank, gates in zip(self._active, self._first, strict=True)
            if bank not in self._due
        ]
        if others:
            banks, firsts = map(list, zip(*others, strict=True))
            other = self._choose_of(banks, firsts, now)
            return other if other[0] < step[0] else step
        return step

    def _refresh(self, now: int) -> int:
        """Refresh the banks that are due; return the first of them, -1 for all."""
        due, self._due = self._due, range(0)
        self.channel.refresh(due, now)
        for bank in due:
            self._weigh(bank)
        return -1 if len(due) == self.channel.banks else due[0]
