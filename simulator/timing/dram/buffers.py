"""Read queue and write buffer of a channel: arrival order, write drain, hits in the buffer."""

from collections import deque
from typing import Protocol

from simulator.hardware.dram_standards import RD, WR

READ_QUEUE = 32
WRITE_BUFFER = 32
IDLE_DRAIN = 8  # an idle channel drains a write buffer that holds more


class Requester(Protocol):
    """Requester of a granule."""

    def complete(self, at: int) -> None:
        """Record that one of its granules completes at cycle `at`."""


QueuedAccess = tuple[int, int, int, int, int, Requester]
"""Read or write of one granule: channel, bank, row, command (RD or WR), granule, requester.

A plain tuple: millions are made, and unpacked where they are read.
"""


class Buffers:
    """Accesses of one channel that wait for their bank queue.

    `room` is the number of free entries, by command.
    """

    __slots__ = (
        "_blocked", "_drain", "_movable", "_order", "_reading", "_sharers", "_waiting", "_writing",
        "room",
    )  # fmt: skip

    def __init__(self, banks: int) -> None:
        """Start empty."""
        self.room = [0, READ_QUEUE, WRITE_BUFFER]
        self._waiting = [  # in order of arrival, by command and bank
            [deque[tuple[int, QueuedAccess]]() for _ in range(banks)] for _ in self.room
        ]
        self._movable: tuple[set[int], ...] = (set(), set(), set())  # banks waiting, queue not full
        self._blocked = [False] * banks
        self._reading: set[int] = set()  # granules whose read has not been served
        self._writing: set[int] = set()
        self._sharers: dict[int, list[Requester]] = {}  # of a read, beside its own requester
        self._order = 0
        self._drain = 0  # writes to move before reads may

    def add(self, access: QueuedAccess, now: int) -> bool:
        """Buffer one granule, for which there must be room; return whether one may move now.

        Writes are posted: they complete in the write buffer, and reads hit there. A read of a
        granule that is already being read shares its burst.
        """
        _, bank, _, command, granule, requester = access
        if granule in self._writing:
            requester.complete(now + 1)
            return False
        if command == WR:
            requester.complete(now + 1)
            self._writing.add(granule)
        elif granule in self._reading:
            self._sharers.setdefault(granule, []).append(requester)
            return False
        else:
            self._reading.add(granule)
        self.room[command] -= 1
        self._order += 1
        self._waiting[command][bank].append((self._order, access))
        if self._blocked[bank]:
            return command == WR  # which may fill the buffer and start a drain
        self._movable[command].add(bank)
        return True

    def next(self, idle: bool) -> QueuedAccess | None:
        """Remove the oldest access whose bank queue has room: of writes in a drain, else of reads.

        A full buffer drains whole, and so does one of more than `IDLE_DRAIN` writes when the
        channel is `idle`.
        """
        free = self.room[WR]
        if free < WRITE_BUFFER:
            if not self._drain and (not free or (idle and free < WRITE_BUFFER - IDLE_DRAIN)):
                self._drain = WRITE_BUFFER - free
            if self._drain:
                access = self._next_write()
                if self._drain or access is not None:
                    return access
        return self._take(RD) if self._movable[RD] else None

    def _next_write(self) -> QueuedAccess | None:
        """Continue the drain, or end it where reads of what would be overwritten come first."""
        if not self._movable[WR]:
            return None
        _, (_, _, _, _, granule, _) = self._waiting[WR][self._oldest(WR)][0]
        if granule in self._reading:
            self._drain = 0
            return None
        self._drain -= 1
        return self._take(WR)

    @property
    def may_move(self) -> bool:
        """Whether `next` may find another access."""
        return bool(self._movable[WR if self._drain else RD]) or not self.room[WR]

    def block(self, bank: int) -> None:
        """Hold accesses of `bank`, whose queue is full."""
        self._blocked[bank] = True
        _, reads, writes = self._movable
        reads.discard(bank)
        writes.discard(bank)

    def unblock(self, bank: int) -> None:
        """Let accesses of `bank` move again."""
        self._blocked[bank] = False
        _, reads, writes = self._waiting
        if reads[bank]:
            self._movable[RD].add(bank)
        if writes[bank]:
            self._movable[WR].add(bank)

    def serve(self, access: QueuedAccess, at: int) -> None:
        """Complete what its bank serves: a read, with all that share it, at cycle `at`."""
        _, _, _, command, granule, requester = access
        if command == WR:
            self._writing.remove(granule)
            return
        self._reading.remove(granule)
        requester.complete(at)
        if granule in self._sharers:
            for sharer in self._sharers.pop(granule):
                sharer.complete(at)

    def _oldest(self, command: int) -> int:
        """Return the bank of the oldest access whose bank queue has room."""
        waiting = self._waiting[command]
        _, access = min([waiting[bank][0] for bank in self._movable[command]])
        _, bank, _, _, _, _ = access
        return bank

    def _take(self, command: int) -> QueuedAccess:
        movable = self._movable[command]
        if len(movable) == 1:
            (bank,) = movable
        else:
            bank = self._oldest(command)
        waiting = self._waiting[command][bank]
        _, access = waiting.popleft()
        self.room[command] += 1
        if not waiting:
            movable.remove(bank)
        return access
