"""Load, compute and store of a sequence of tiles, overlapped by double buffers, as a recurrence.

A schedule is a state that steps from tile to tile. Equal tiles make it periodic, and whole periods
are skipped, so that the cost does not grow with the number of tiles.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from simulator.memo import Memo
from simulator.timing.schedules import InTurn, Start, Ticks
from simulator.timing.shares import WHOLE
from simulator.units import Clock, ceil_div

_SHARES = 1024  # a guess: the shares of the memory that one operation meets


class Transfer(NamedTuple):
    """Time of a transfer at the memory channel, at full share, and at its port, in ps.

    The slower one bounds it. Its last byte arrives `lag_ps` after the port is free again.
    """

    channel_ps: int
    port_ps: int
    lag_ps: int = 0

    @property
    def moves(self) -> bool:
        """Whether there is anything to transfer."""
        return bool(self.channel_ps or self.port_ps)

    def duration_ps(self, share: int) -> int:
        """Return the time of the transfer at `share` of the memory."""
        channel = self.channel_ps
        if share != WHOLE:
            channel = ceil_div(channel * WHOLE, share)
        return max(channel, self.port_ps)


class Tile(NamedTuple):
    """One tile: transfer in, cycles, transfer out.

    For a machine in lockstep: whether the tile `ends` a dataflow region, whether the pipeline
    `drains` after it, so that the region's outputs leave at once, and whether stores are `serial`,
    each with its own tile.
    """

    load: Transfer
    cycles: int
    store: Transfer
    ends: bool = True
    drains: bool = False
    serial: bool = False


class TileLoop(NamedTuple):
    """The same sequence `times` times."""

    times: int
    body: "tuple[Tile | TileLoop, ...]"


class Pipelined:
    """Progress of a tiled operation on an accelerator."""

    def __init__(
        self,
        body: Sequence[Tile | TileLoop],
        fill_cycles: int,
        latency_ps: int,
        clock: Clock,
        schedule: Start = InTurn(),  # noqa: B008 - a constant
    ) -> None:
        """Run the tiles of `body` in order; the first that computes pays `fill_cycles`."""
        self.body = tuple(body)
        self.fill_cycles = fill_cycles
        self.latency_ps = latency_ps
        self.clock = clock
        self.schedule = schedule
        self._durations: Memo[int] = Memo("durations of an operation", _SHARES)

    @cached_property
    def channel_ps(self) -> int:
        """The time of all transfers in turn at the memory channel, at full share."""
        return _sum(self.body, lambda move: move.channel_ps)

    @cached_property
    def port_ps(self) -> int:
        """The time of all transfers in turn at their ports."""
        return _sum(self.body, lambda move: move.port_ps)

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return _count(self.body)

    def duration_ps(self, share: int) -> int:
        """Return the time from launch to the last byte stored, at a constant `share`."""
        duration = self._durations.find(share)
        return self._durations.keep(share, self._run(share)) if duration is None else duration

    def _run(self, share: int) -> int:
        body = _at_share(self.body, share, self.clock)
        state, (first, rest) = self.schedule, _split_first(body)
        while rest and not first.compute:  # preloads come first
            state, (first, rest) = state.step(first), _split_first(rest)
        fill = self.fill_cycles * self.clock.ticks_per_cycle
        state = state.step(first._replace(compute=first.compute + fill))
        end = _advance(state, rest).end()
        return self.latency_ps + ceil_div(end, self.clock.ticks_per_ps)


def _sum(body: Sequence[Tile | TileLoop], what: Callable[[Transfer], int]) -> int:
    return sum(
        node.times * _sum(node.body, what)
        if isinstance(node, TileLoop)
        else what(node.load) + what(node.store)
        for node in body
    )


def _count(body: Sequence[Tile | TileLoop]) -> int:
    return sum(node.times * _count(node.body) if isinstance(node, TileLoop) else 1 for node in body)


class _Repeated(NamedTuple):
    times: int
    body: "tuple[Ticks | _Repeated, ...]"


_Nodes = tuple[Ticks | _Repeated, ...]


def _at_share(body: Sequence[Tile | TileLoop], share: int, clock: Clock) -> _Nodes:
    per_ps, per_cycle = clock.ticks_per_ps, clock.ticks_per_cycle
    return tuple(
        _Repeated(node.times, _at_share(node.body, share, clock))
        if isinstance(node, TileLoop)
        else _ticks(node, share, per_ps, per_cycle)
        for node in body
    )


def _ticks(tile: Tile, share: int, per_ps: int, per_cycle: int) -> Ticks:
    load, cycles, store, ends, drains, serial = tile
    load_ps, store_ps = load.channel_ps, store.channel_ps
    if share != WHOLE:
        load_ps, store_ps = ceil_div(load_ps * WHOLE, share), ceil_div(store_ps * WHOLE, share)
    return Ticks(
        max(load_ps, load.port_ps) * per_ps,
        load_ps * per_ps,
        load.lag_ps * per_ps,
        cycles * per_cycle,
        max(store_ps, store.port_ps) * per_ps,
        store_ps * per_ps,
        ends,
        drains,
        serial,
    )


def _split_first(body: _Nodes) -> tuple[Ticks, _Nodes]:
    """Return the first tile, which may pay the array's fill, and all others."""
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
    """Step through `count` repeats; once a relative state recurs, skip whole periods."""
    visits: dict[tuple[int, ...], tuple[int, int]] = {}
    done = 0
    while done < count:
        relative = state.relative()
        if relative in visits:
            first, time = visits[relative]
            periods, rest = divmod(count - done, done - first)
            state = state.later(periods * (state.time() - time))
            for _ in range(rest):
                state = _advance(state, body)
            return state
        visits[relative] = (done, state.time())
        state = _advance(state, body)
        done += 1
    return state
