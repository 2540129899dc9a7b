"""Load, compute and store of a run of tiles, overlapped by double buffers, as a recurrence.

How a machine overlaps them is its schedule: a state that steps from tile to tile. Identical tiles
become periodic, and periods are skipped, so that the cost does not grow with the number of tiles.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, Self

from simulator.hardware.soc import Accelerator
from simulator.timing.shares import WHOLE
from simulator.units import Clock, ceil_div

_REMEMBERED = 1024  # shares whose durations one operation keeps


class Transfer(NamedTuple):
    """Memory time of a transfer at full share, and the least time that its port allows, in ps.

    Its last byte arrives `lag_ps` after the port is free again.
    """

    channel_ps: int
    port_ps: int
    lag_ps: int = 0

    def duration_ps(self, share: int) -> int:
        """Return the time that the transfer takes at `share` of the memory."""
        return max(ceil_div(self.channel_ps * WHOLE, share), self.port_ps)


class Tile(NamedTuple):
    """One tile: transfer in, cycles, transfer out.

    For a machine in lockstep, `ends` a dataflow region or not; the region's outputs leave at once
    when it `drains`, and each in turn with its own tile when stores are `serial`.
    """

    load: Transfer
    cycles: int
    store: Transfer
    ends: bool = True
    drains: bool = False
    serial: bool = False


class Loop(NamedTuple):
    """`times` times the same sequence."""

    times: int
    body: "tuple[Tile | Loop, ...]"


class Ticks(NamedTuple):
    """A tile at a granted share, in ticks: its transfers, and the channel's part of each."""

    load: int
    load_channel: int
    lag: int
    compute: int
    store: int
    store_channel: int
    ends: bool
    drains: bool
    serial: bool


class Schedule(Protocol):
    """How load, compute and store overlap: where an operation is after some of its tiles."""

    def step(self, tile: Ticks) -> Self:
        """Return the state after one more tile."""

    def shape(self) -> tuple[int, ...]:
        """Return the state without its position in time: equal shapes evolve equally."""

    def time(self) -> int:
        """Return the state's position in time."""

    def later(self, ticks: int) -> Self:
        """Return the same state `ticks` later."""

    def end(self) -> int:
        """Return when the last byte is stored."""


class InTurn(NamedTuple):
    """One stream serves loads and stores in the order load(i), store(i-1), load(i+1).

    A load waits until the tile two before has been computed, a computation until the output two
    before has been stored. Fields: stream free, last computation, last two stores, store due.
    """

    memory: int = 0
    computed: int = 0
    stored: int = 0
    stored_before: int = 0
    due: int = 0

    def step(self, tile: Ticks) -> "InTurn":
        """Return the state after one more tile."""
        memory, computed, stored, before, due = self
        loaded = 0
        if tile.load:
            memory += tile.load
            loaded = memory + tile.lag
        if due:
            memory = max(memory, computed) + due
            before, stored = stored, memory
        end = max(loaded, computed, before) + tile.compute
        # Anything before `end` can no longer delay the next tile; folding it makes states equal.
        return InTurn(max(memory, computed), end, max(stored, end), max(before, end), tile.store)

    def shape(self) -> tuple[int, ...]:
        """Return the state relative to its last computation."""
        memory, computed, stored, before, due = self
        return memory - computed, stored - computed, before - computed, due

    def time(self) -> int:
        """Return the end of the last computation."""
        return self.computed

    def later(self, ticks: int) -> "InTurn":
        """Return the same state `ticks` later."""
        memory, computed, stored, before, due = self
        return InTurn(memory + ticks, computed + ticks, stored + ticks, before + ticks, due)

    def end(self) -> int:
        """Return when the last byte is stored."""
        return max(self.memory, self.computed) + self.due


class SideBySide(NamedTuple):
    """Loads and stores have streams of their own and share the channel, first come first served.

    The same double buffers as `InTurn`. A store that waits for the one before may come after the
    next load but one, and no later: it stays `queued` until then. Fields: load stream and channel
    free, last computation, last two stores; when the queued store can start; it, and the store due.
    """

    loads: int = 0
    channel: int = 0
    computed: int = 0
    stored: int = 0
    stored_before: int = 0
    start: int = 0
    queued: int = 0
    queued_channel: int = 0
    due: int = 0
    due_channel: int = 0

    def step(self, tile: Ticks) -> "SideBySide":
        """Return the state after one more tile."""
        (
            loads, channel, computed, stored, before,
            start, queued, queued_channel, due, due_channel,
        ) = self  # fmt: skip
        first = queued and start <= loads
        if first:
            channel = max(channel, start) + queued_channel
            before, stored = stored, max(start + queued, channel)
        loaded = 0
        if tile.load:
            channel = max(channel, loads) + tile.load_channel
            loads = max(loads + tile.load, channel)
            loaded = loads + tile.lag
        if queued and not first:
            channel = max(channel, start) + queued_channel
            before, stored = stored, max(start + queued, channel)
        # of the stores so far, that of the last tile is still to start
        other = stored if due else before
        end = max(loaded, computed, other) + tile.compute
        # Anything before `computed` can no longer delay; folding it makes states equal.
        stored = max(stored, computed)
        return SideBySide(
            max(loads, computed), max(channel, computed), end, stored, max(before, computed),
            stored if due else 0, due, due_channel, tile.store, tile.store_channel,
        )  # fmt: skip

    def shape(self) -> tuple[int, ...]:
        """Return the state relative to its last computation."""
        loads, channel, at, stored, before, start, *waiting = self
        start = start - at if self.queued else 0
        return loads - at, channel - at, stored - at, before - at, start, *waiting

    def time(self) -> int:
        """Return the end of the last computation."""
        return self.computed

    def later(self, ticks: int) -> "SideBySide":
        """Return the same state `ticks` later."""
        loads, channel, computed, stored, before, start, *waiting = self
        return SideBySide(
            loads + ticks, channel + ticks, computed + ticks, stored + ticks, before + ticks,
            start + ticks, *waiting,
        )  # fmt: skip

    def end(self) -> int:
        """Return when the last byte is stored."""
        channel, stored = self.channel, self.stored
        for ready, store, store_channel in (
            (self.start, self.queued, self.queued_channel),
            (self.computed, self.due, self.due_channel),
        ):
            if store:
                start = max(stored, ready)
                channel = max(channel, start) + store_channel
                stored = max(start + store, channel)
        return max(self.computed, stored)


class TwoSlots(NamedTuple):
    """A tile takes one of two slots from its first load to the end of its store.

    It computes when all of it is loaded, and is stored when all of it is computed (Gemmini's loop
    unrollers). Fields: load and store streams and channel free, last computation, the slot that
    the next tile takes free, the last tile's store due.
    """

    loads: int = 0
    stores: int = 0
    channel: int = 0
    computed: int = 0
    slot: int = 0
    due: int = 0
    due_channel: int = 0

    def step(self, tile: Ticks) -> "TwoSlots":
        """Return the state after one more tile."""
        loads, stores, channel, computed, slot, due, due_channel = self
        loads = max(loads, slot)
        if tile.load:
            channel = max(channel, loads) + tile.load_channel
            loads = max(loads + tile.load, channel)
        slot = computed
        if due:
            start = max(stores, computed)
            channel = max(channel, start) + due_channel
            slot = stores = max(start + due, channel)
        end = max(computed, loads + tile.lag) + tile.compute
        loads = max(loads, slot)
        return TwoSlots(
            loads, max(stores, end), max(channel, loads), end, slot,
            tile.store, tile.store_channel,
        )  # fmt: skip

    def shape(self) -> tuple[int, ...]:
        """Return the state relative to its last computation."""
        loads, stores, channel, computed, slot, due, due_channel = self
        at = computed
        return loads - at, stores - at, channel - at, slot - at, due, due_channel

    def time(self) -> int:
        """Return the end of the last computation."""
        return self.computed

    def later(self, ticks: int) -> "TwoSlots":
        """Return the same state `ticks` later."""
        loads, stores, channel, computed, slot, due, due_channel = self
        return TwoSlots(
            loads + ticks, stores + ticks, channel + ticks, computed + ticks, slot + ticks,
            due, due_channel,
        )  # fmt: skip

    def end(self) -> int:
        """Return when the last byte is stored."""
        if not self.due:
            return max(self.computed, self.slot)
        start = max(self.stores, self.computed)
        return max(start + self.due, max(self.channel, start) + self.due_channel)


class Lockstep(NamedTuple):
    """Stages advance together, as in an HLS dataflow region: each beat lasts as its longest part.

    A region's first load is exposed, every other load is beside a computation, and the last
    computation is beside the store of the region before. Fields: time so far; the computation, the
    store of the region before and the serial store that the next beats hold; inside a region.
    """

    now: int = 0
    computing: int = 0
    due: int = 0
    storing: int = 0
    inside: bool = False

    def step(self, tile: Ticks) -> "Lockstep":
        """Return the state after one more tile."""
        load = tile.load + tile.lag
        now = self.now + (max(load, self.computing) if self.inside else load) + self.storing
        if not tile.ends:
            return Lockstep(now, tile.compute, self.due, tile.store, inside=True)
        now += max(tile.compute, self.due)
        if tile.drains or tile.serial:
            return Lockstep(now + tile.store)
        return Lockstep(now, due=tile.store)

    def shape(self) -> tuple[int, ...]:
        """Return what the next beats hold."""
        return self.computing, self.due, self.storing, self.inside

    def time(self) -> int:
        """Return the time so far."""
        return self.now

    def later(self, ticks: int) -> "Lockstep":
        """Return the same state `ticks` later."""
        return self._replace(now=self.now + ticks)

    def end(self) -> int:
        """Return when the last byte is stored."""
        return self.now + self.computing + self.storing + self.due


Start = InTurn | SideBySide | TwoSlots | Lockstep


def schedule_of(array: Accelerator) -> Start:
    """Return the state in which an operation of `array` starts."""
    if array.schedule == "lockstep":
        return Lockstep()
    if array.schedule == "slots":
        return TwoSlots()
    return InTurn() if array.dma.streams == "shared" else SideBySide()


class Pipelined:
    """Progress of a tiled operation on an accelerator."""

    def __init__(
        self,
        body: Sequence[Tile | Loop],
        fill_cycles: int,
        latency_ps: int,
        clock: Clock,
        schedule: Start = InTurn(),  # noqa: B008 - a constant
    ) -> None:
        """Take the tiles in order, the array's first fill, the launch's latency, the clock."""
        self.body = tuple(body)
        self.fill_cycles = fill_cycles
        self.latency_ps = latency_ps
        self.clock = clock
        self.schedule = schedule
        self._durations: dict[int, int] = {}
        self.channel_ps = _sum(self.body, lambda move: move.channel_ps)
        self.port_ps = _sum(self.body, lambda move: move.port_ps)

    def duration_ps(self, share: int) -> int:
        """Return the time from launch to the last byte stored, at a constant `share`."""
        duration = self._durations.get(share)
        if duration is None:
            if len(self._durations) >= _REMEMBERED:
                self._durations.clear()
            duration = self._durations[share] = self._run(share)
        return duration

    def _run(self, share: int) -> int:
        body = _at_share(self.body, share, self.clock)
        first, rest = _split_first(body)
        fill = self.fill_cycles * self.clock.ticks_per_cycle
        state = self.schedule.step(first._replace(compute=first.compute + fill))
        end = _advance(state, rest).end()
        return self.latency_ps + ceil_div(end, self.clock.ticks_per_ps)


def _sum(body: Sequence[Tile | Loop], what: Callable[[Transfer], int]) -> int:
    return sum(
        node.times * _sum(node.body, what)
        if isinstance(node, Loop)
        else what(node.load) + what(node.store)
        for node in body
    )


class _Repeated(NamedTuple):
    times: int
    body: "tuple[Ticks | _Repeated, ...]"


_Nodes = tuple[Ticks | _Repeated, ...]


def _at_share(body: Sequence[Tile | Loop], share: int, clock: Clock) -> _Nodes:
    per_ps, per_cycle = clock.ticks_per_ps, clock.ticks_per_cycle
    return tuple(
        _Repeated(node.times, _at_share(node.body, share, clock))
        if isinstance(node, Loop)
        else Ticks(
            node.load.duration_ps(share) * per_ps,
            ceil_div(node.load.channel_ps * WHOLE, share) * per_ps,
            node.load.lag_ps * per_ps,
            node.cycles * per_cycle,
            node.store.duration_ps(share) * per_ps,
            ceil_div(node.store.channel_ps * WHOLE, share) * per_ps,
            node.ends,
            node.drains,
            node.serial,
        )
        for node in body
    )


def _split_first(body: _Nodes) -> tuple[Ticks, _Nodes]:
    """Return the first tile, and all others: the first fill of the array belongs to it alone."""
    node, rest = body[0], body[1:]
    if isinstance(node, Ticks):
        return node, rest
    first, inner = _split_first(node.body)
    again = (_Repeated(node.times - 1, node.body),) if node.times > 1 else ()
    return first, (*inner, *again, *rest)


def _advance(state: Start, body: _Nodes) -> Start:
    for node in body:
        state = state.step(node) if isinstance(node, Ticks) else _repeat(state, *node)
    return state


def _repeat(state: Start, count: int, body: _Nodes) -> Start:
    seen: dict[tuple[int, ...], tuple[int, int]] = {}
    done = 0
    while done < count:
        shape = state.shape()
        if shape in seen:
            first, time = seen[shape]
            periods, rest = divmod(count - done, done - first)
            state = state.later(periods * (state.time() - time))
            for _ in range(rest):
                state = _advance(state, body)
            return state
        seen[shape] = (done, state.time())
        state = _advance(state, body)
        done += 1
    return state
