"""Request streams of masters: closed loop (outstanding, window) or open loop (arrivals)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import repeat
from typing import NamedTuple

from simulator.hardware.dram_standards import RD, WR
from simulator.timing.dram.address import Decode
from simulator.timing.dram.buffers import QueuedAccess
from simulator.timing.dram.controller import NEVER

UNLIMITED = 1 << 30


class Transaction(NamedTuple):
    """`rows` pieces of `width` bytes, `pitch` bytes from start to start."""

    address: int
    width: int
    write: bool = False
    rows: int = 1
    pitch: int = 0

    def granules(self, size: int) -> Iterator[int]:
        """Return the indices of the granules of `size` bytes that it covers, in order."""
        step = self.pitch or 1
        for start in range(self.address, self.address + self.rows * step, step):
            yield from range(start // size, (start + self.width - 1) // size + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Transactions of one master, in order, at most `outstanding` of them in flight.

    `arrivals` are their earliest issue times in fs from the start (None: at once). `window`
    limits the granules in flight. An `endless` stream is background traffic: it ends no run.
    """

    transactions: Callable[[], Iterable[Transaction]]
    outstanding: int = UNLIMITED
    window: int = UNLIMITED
    arrivals: Callable[[], Iterable[int]] | None = None
    endless: bool = False


class _Flight:
    """A transaction in flight: granules left to complete."""

    __slots__ = ("_last", "_left", "_source", "_useful")

    def __init__(self, source: "TransactionSource", granules: int, useful: int) -> None:
        self._source, self._left, self._useful = source, granules, useful
        self._last = 0

    def complete(self, at: int) -> None:
        """Count a granule that completes at cycle `at`."""
        source = self._source
        self._left -= 1
        self._last = max(self._last, at)
        if source.windowed:
            heappush(source.credits, at)
        if not self._left:
            heappush(source.endings, (self._last, self._useful))
            source.ended(self._last)


class TransactionSource:
    """A running stream: its next granule, and its transactions and granules in flight.

    `credits` and `endings` are the cycles at which granules and transactions are complete;
    what they make possible happens a cycle later.
    """

    __slots__ = (
        "_arrival", "_arrivals", "_decode", "_latest", "_offers", "_period", "_rest", "_size",
        "_transaction", "_transactions", "_window", "bytes", "credits", "end", "endings", "flights",
        "head", "stream", "windowed",
    )  # fmt: skip

    def __init__(self, stream: Stream, decode: Decode, granule: int, period: int) -> None:
        """`granule` is in bytes, `period` the cycle in fs."""
        self.stream, self._decode = stream, decode
        self._size, self._period = granule, period
        self._transactions = iter(stream.transactions())
        self._arrivals = iter(stream.arrivals() if stream.arrivals else repeat(0))
        self.windowed, self._window = stream.window < UNLIMITED, 0
        self.credits: list[int] = []
        self.endings: list[tuple[int, int]] = []
        self.end = NEVER  # when the last transaction is complete, once that is known
        self._latest = 0
        self.flights = 0  # transactions in progress
        self.bytes = 0  # useful bytes of transactions that have ended
        self.head: QueuedAccess | None = None
        self._offers: Iterator[QueuedAccess] = iter(())
        self._rest = 0  # granules of the latest transaction still to offer
        self._arrival = 0
        self._transaction: Transaction | None = None
        self._next_transaction()
        if self._transaction is None and not stream.endless:
            self.end = 0

    def ended(self, at: int) -> None:
        """Record that a transaction completes at cycle `at`; with the last, the stream ends."""
        self._latest = max(self._latest, at)
        if (
            self._transaction is None
            and len(self.endings) == self.flights
            and not self.stream.endless
        ):
            self.end = self._latest

    def settle(self, now: int) -> None:
        """Retire what completed before cycle `now`."""
        endings, credits = self.endings, self.credits
        while endings and endings[0][0] < now:
            self.bytes += heappop(endings)[1]
            self.flights -= 1
        while credits and credits[0] < now:
            heappop(credits)
            self._window -= 1

    def refill(self, now: int) -> QueuedAccess | None:
        """Make the next granule the head, if the stream may issue one in cycle `now`."""
        self.settle(now)
        if self._window >= self.stream.window:
            return None
        if not self._rest:
            if not self._may_begin(now):
                return None
            self._begin()
        self._rest -= 1
        self.head = next(self._offers)
        return self.head

    def pop(self) -> None:
        """Consume the head: a controller accepted it."""
        self.head = None
        self._window += self.windowed

    def ready_at(self, now: int) -> int:
        """Return the earliest cycle at which `refill` may succeed."""
        if self._window >= self.stream.window:
            return self.credits[0] + 1 if self.credits else NEVER
        if self._rest:
            return now
        if self._transaction is None:
            return NEVER
        if self.flights >= self.stream.outstanding:
            return max(self.endings[0][0] + 1, self._arrival, now) if self.endings else NEVER
        return max(self._arrival, now)

    def _may_begin(self, now: int) -> bool:
        return (
            self._transaction is not None
            and self.flights < self.stream.outstanding
            and self._arrival <= now
        )

    def _begin(self) -> None:
        transaction = self._transaction
        assert transaction is not None
        granules = list(transaction.granules(self._size))
        flight = _Flight(self, len(granules), transaction.rows * transaction.width)
        self.flights += 1
        self._rest = len(granules)
        self._offers = self._located(granules, transaction.write, flight)
        self._next_transaction()

    def _located(self, granules: list[int], write: bool, flight: _Flight) -> Iterator[QueuedAccess]:
        decode, command = self._decode, WR if write else RD
        for granule in granules:
            channel, bank, row = decode(granule)
            yield QueuedAccess(channel, bank, row, command, granule, flight)

    def _next_transaction(self) -> None:
        self._transaction = next(self._transactions, None)
        arrival = next(self._arrivals, None)
        if arrival is not None:
            self._arrival = -(-arrival // self._period)
