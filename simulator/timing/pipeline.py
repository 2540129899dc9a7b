"""Load, compute and store of a sequence of tiles, overlapped by double buffers, as a recurrence.

A schedule is a state that steps from tile to tile. Equal tiles make it periodic, and whole periods
are skipped, so that the cost does not grow with the number of tiles.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from simulator.activity import Repeat
from simulator.memo import Memo
from simulator.timing.repeats import Nodes, Numbered, census, numbered
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

    Its load `waits` until all tiles before are computed, where these use an operand's one buffer.
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
    waits: bool = False


TileBody = Sequence[Tile | Repeat[Tile]]


class Pipelined:
    """Progress of a tiled operation on an accelerator."""

    def __init__(
        self,
        body: TileBody | Numbered[Tile],
        fill_cycles: int,
        latency_ps: int,
        clock: Clock,
        schedule: Start = InTurn(),  # noqa: B008 - a constant
    ) -> None:
        """Run the tiles of `body` in order; the first that computes pays `fill_cycles`."""
        self._sequence = body if isinstance(body, Numbered) else numbered(body)
        self.fill_cycles = fill_cycles
        self.latency_ps = latency_ps
        self.clock = clock
        self.schedule = schedule
        self._durations: Memo[int] = Memo("durations of an operation", _SHARES)

    @cached_property
    def body(self) -> tuple[Tile | Repeat[Tile], ...]:
        """The tiles in order, nested where they repeat."""
        return self._sequence.body

    @cached_property
    def channel_ps(self) -> int:
        """The time of all transfers in turn at the memory channel, at full share."""
        return self._sum(lambda move: move.channel_ps)

    @cached_property
    def port_ps(self) -> int:
        """The time of all transfers in turn at their ports."""
        return self._sum(lambda move: move.port_ps)

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return sum(self._census.values())

    def duration_ps(self, share: int) -> int:
        """Return the time from launch to the last byte stored, at a constant `share`."""
        duration = self._durations.find(share)
        return self._durations.keep(share, self._run(share)) if duration is None else duration

    def _run(self, share: int) -> int:
        per_ps, per_cycle = self.clock.ticks_per_ps, self.clock.ticks_per_cycle
        ticks = [_ticks(tile, share, per_ps, per_cycle) for tile in self._sequence.items]
        state, (number, rest) = self.schedule, _split_first(self._sequence.nodes)
        while rest and not ticks[number].compute:  # preloads come first
            state, (number, rest) = state.step(ticks[number]), _split_first(rest)
        first = ticks[number]
        state = state.step(first._replace(compute=first.compute + self.fill_cycles * per_cycle))
        return self.latency_ps + ceil_div(_advance(state, rest, ticks).end(), per_ps)

    @cached_property
    def _census(self) -> dict[int, int]:
        return census(self._sequence.nodes)

    def _sum(self, what: Callable[[Transfer], int]) -> int:
        tiles = self._sequence.items
        return sum(
            times * (what(tiles[number].load) + what(tiles[number].store))
            for number, times in self._census.items()
        )


def _ticks(tile: Tile, share: int, per_ps: int, per_cycle: int) -> Ticks:
    load, cycles, store, ends, drains, serial, waits = tile
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
        waits,
    )


def _split_first(nodes: Nodes) -> tuple[int, Nodes]:
    """Return the first tile, which may pay the array's fill, and all others."""
    node, rest = nodes[0], nodes[1:]
    if not isinstance(node, Repeat):
        return node, rest
    first, inner = _split_first(node.body)
    again = (Repeat(node.times - 1, node.body),) if node.times > 1 else ()
    return first, (*inner, *again, *rest)


def _advance(state: Start, nodes: Nodes, ticks: Sequence[Ticks]) -> Start:
    for node in nodes:
        if isinstance(node, Repeat):
            state = _repeat(state, *node, ticks)
        else:
            state = state.step(ticks[node])
    return state


def _repeat(state: Start, count: int, nodes: Nodes, ticks: Sequence[Ticks]) -> Start:
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
                state = _advance(state, nodes, ticks)
            return state
        visits[relative] = (done, state.time())
        state = _advance(state, nodes, ticks)
        done += 1
    return state
