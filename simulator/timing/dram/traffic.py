"""Request streams of masters: closed loop (outstanding, window) or open loop (arrivals)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import chain
from typing import NamedTuple

from simulator.hardware.dram_standards import RD, WR
from simulator.timing.dram.address import Decode
from simulator.timing.dram.buffers import QueuedAccess
from simulator.timing.dram.controller import NEVER, Controller

UNLIMITED = 1 << 30


class Transaction(NamedTuple):
    """`rows` pieces of `width` bytes, `pitch` bytes from start to start."""

    address: int
    width: int
    write: bool = False
    rows: int = 1
    pitch: int = 0

    def granules(self, size: int) -> Iterable[int]:
        """Return the indices of the granules of `size` bytes that it covers, in order."""
        first, width = self.address, self.width
        if self.rows == 1:
            return range(first // size, (first + width - 1) // size + 1)
        step = self.pitch or 1
        starts = range(first, first + self.rows * step, step)
        return chain.from_iterable(
            range(start // size, (start + width - 1) // size + 1) for start in starts
        )


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
        if source.windowed:
            heappush(source.credits, at)
        if at > self._last:  # noqa: PLR1730 - max() costs twice
            self._last = at
        self._left -= 1
        if not self._left:
            source.ended(self._last, self._useful)


class TransactionSource:
    """A running stream: its next granule, and its transactions and granules in flight.

    `credits` and `endings` are the cycles at which granules and transactions are complete;
    what they make possible happens a cycle later.
    """

    __slots__ = (
        "_accesses", "_arrival", "_arrivals", "_controllers", "_decode", "_endings", "_flights",
        "_latest", "_most", "_outstanding", "_period", "_size", "_transaction", "_transactions",
        "_window", "bytes", "credits", "end", "endless", "windowed",
    )  # fmt: skip

    def __init__(
        self,
        stream: Stream,
        decode: Decode,
        granule: int,
        period: int,
        controllers: Sequence[Controller],
    ) -> None:
        """`granule` is in bytes, `period` the cycle in fs; `controllers` are those of channels."""
        self._decode, self._controllers = decode, controllers
        self._size, self._period = granule, period
        self._outstanding, self.endless = stream.outstanding, stream.endless
        self._transactions = iter(stream.transactions())
        self._arrivals = iter(stream.arrivals()) if stream.arrivals else None
        self.windowed, self._most, self._window = stream.window < UNLIMITED, stream.window, 0
        self.credits: list[int] = []
        self._endings: list[tuple[int, int]] = []
        self.end = NEVER  # when the last transaction is complete, once that is known
        self._latest = 0
        self._flights = 0  # transactions in progress
        self.bytes = 0  # useful bytes of transactions that have ended
        self._accesses: list[QueuedAccess] = []  # of the latest transaction, the next one last
        self._arrival = 0
        self._transaction: Transaction | None = None
        self._next_transaction()
        if self._transaction is None and not stream.endless:
            self.end = 0

    def ended(self, at: int, useful: int) -> None:
        """Record that a transaction completes at cycle `at`; with the last, the stream ends."""
        endings = self._endings
        heappush(endings, (at, useful))
        self._latest = max(self._latest, at)
        if self._transaction is None and len(endings) == self._flights and not self.endless:
            self.end = self._latest

    def settle(self, now: int) -> None:
        """Retire what completed before cycle `now`."""
        endings, credits = self._endings, self.credits
        while endings and endings[0][0] < now:
            self.bytes += heappop(endings)[1]
            self._flights -= 1
        while credits and credits[0] < now:
            heappop(credits)
            self._window -= 1

    def due(self, now: int) -> int:
        """Return the next cycle, from `now` on, in which it may issue a granule, or ends."""
        if self._accesses:
            if self._window < self._most:
                channel, _, _, command, _, _ = self._accesses[-1]
                return now if self._controllers[channel].room[command] else NEVER
        elif self._transaction is None:
            return self.end
        if self._window >= self._most:
            return self.credits[0] + 1 if self.credits else NEVER
        if self._flights < self._outstanding:
            return max(self._arrival, now)
        return max(self._endings[0][0] + 1, self._arrival, now) if self._endings else NEVER

    def issue(self, now: int, most: int) -> int:
        """Issue up to `most` granules for which there is room; return their number."""
        self.settle(now)
        issued = 0
        while issued < most and self._window < self._most and (self._accesses or self._begin(now)):
            access = self._accesses[-1]
            channel, _, _, command, _, _ = access
            controller = self._controllers[channel]
            if not controller.room[command]:
                break
            self._accesses.pop()
            self._window += self.windowed
            controller.add(access, now)
            issued += 1
        return issued

    def _begin(self, now: int) -> bool:
        """Begin the next transaction if it may; return whether it did."""
        transaction, decode = self._transaction, self._decode
        if transaction is None or self._flights >= self._outstanding or self._arrival > now:
            return False
        granules = list(transaction.granules(self._size))
        flight = _Flight(self, len(granules), transaction.rows * transaction.width)
        command = WR if transaction.write else RD
        self._accesses = [
            (*decode(granule), command, granule, flight) for granule in reversed(granules)
        ]
        self._flights += 1
        self._next_transaction()
        return True

    def _next_transaction(self) -> None:
        self._transaction = next(self._transactions, None)
        if self._arrivals is not None:
            arrival = next(self._arrivals, None)
            if arrival is not None:
                self._arrival = -(-arrival // self._period)
