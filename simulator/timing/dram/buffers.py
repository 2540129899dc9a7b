"""Read queue and write buffer of a channel: arrival order, write drain, hits in the buffer."""

from collections import deque
from typing import NamedTuple, Protocol

from simulator.hardware.dram_standards import ACT, RD, WR

READ_QUEUE = 32
WRITE_BUFFER = 32
IDLE_DRAIN = 8  # an idle channel drains a write buffer that holds more


class Requester(Protocol):
    """Requester of a granule."""

    def complete(self, at: int) -> None:
        """Record that one of its granules completes at cycle `at`."""


class QueuedAccess(NamedTuple):
    """Read or write (`command`) of one granule: its index in memory and its location."""

    channel: int
    bank: int
    row: int
    command: int
    granule: int
    requester: Requester


class Buffers:
    """Accesses of one channel that wait for their bank queue.

    `room` is the number of free entries, by command.
    """

    __slots__ = (
        "_blocked", "_drain", "_movable", "_order", "_pending_reads", "_pending_writes",
        "_waiting", "room",
    )  # fmt: skip

    def __init__(self, banks: int) -> None:
        """Start empty."""
        self.room = [0, READ_QUEUE, WRITE_BUFFER]
        self._waiting = [
            [deque[tuple[int, QueuedAccess]]() for _ in range(banks)] for _ in (ACT, RD, WR)
        ]
        self._movable: tuple[set[int], ...] = (set(), set(), set())  # banks waiting, queue not full
        self._blocked = [False] * banks
        self._pending_reads: dict[int, list[Requester]] = {}
        self._pending_writes: set[int] = set()
        self._order = 0
        self._drain = 0  # writes to move before reads may

    def add(self, access: QueuedAccess, now: int) -> bool:
        """Buffer one granule, for which there must be room; return whether one may move now.

        Writes are posted: they complete in the write buffer, and reads hit there. A read of a
        granule that is already being read shares its burst.
        """
        command, granule, bank = access.command, access.granule, access.bank
        if granule in self._pending_writes:
            access.requester.complete(now + 1)
            return False
        if command == WR:
            access.requester.complete(now + 1)
            self._pending_writes.add(granule)
        elif granule in self._pending_reads:
            self._pending_reads[granule].append(access.requester)
            return False
        else:
            self._pending_reads[granule] = [access.requester]
        self.room[command] -= 1
        self._order += 1
        self._waiting[command][bank].append((self._order, access))
        if self._blocked[bank]:
            return command == WR  # which may fill the buffer and start a drain
        self._movable[command].add(bank)
        return True

    def next(self, *, idle: bool) -> QueuedAccess | None:
        """Remove the oldest access whose bank queue has room: of writes in a drain, else of reads.

        A full buffer drains whole, and so does one of more than `IDLE_DRAIN` writes when the
        channel is `idle`.
        """
        free = self.room[WR]
        if not self._drain and (not free or (idle and free < WRITE_BUFFER - IDLE_DRAIN)):
            self._drain = WRITE_BUFFER - free
        if self._drain and self._movable[WR]:
            bank = self._oldest(WR)
            if self._waiting[WR][bank][0][1].granule not in self._pending_reads:
                self._drain -= 1
                return self._take(WR, bank)
            self._drain = 0  # reads of what it overwrites come first
        if self._drain or not self._movable[RD]:
            return None
        return self._take(RD, self._oldest(RD))

    @property
    def may_move(self) -> bool:
        """Whether `next` may find another access."""
        return bool(self._movable[WR if self._drain else RD]) or not self.room[WR]

    def block(self, bank: int) -> None:
        """Hold accesses of `bank`, whose queue is full."""
        self._blocked[bank] = True
        self._movable[RD].discard(bank)
        self._movable[WR].discard(bank)

    def unblock(self, bank: int) -> None:
        """Let accesses of `bank` move again."""
        self._blocked[bank] = False
        for command in (RD, WR):
            if self._waiting[command][bank]:
                self._movable[command].add(bank)

    def complete_read(self, granule: int, at: int) -> None:
        """Complete all reads of a granule at cycle `at`."""
        for requester in self._pending_reads.pop(granule):
            requester.complete(at)

    def complete_write(self, granule: int) -> None:
        """Forget a write that has reached its bank."""
        self._pending_writes.discard(granule)

    def _oldest(self, command: int) -> int:
        """Return the bank of the oldest access whose bank queue has room."""
        movable, waiting = self._movable[command], self._waiting[command]
        if len(movable) == 1:
            return next(iter(movable))
        return min(movable, key=lambda bank: waiting[bank][0][0])

    def _take(self, command: int, bank: int) -> QueuedAccess:
        waiting = self._waiting[command][bank]
        self.room[command] += 1
        access = waiting.popleft()[1]
        if not waiting:
            self._movable[command].discard(bank)
        return access
