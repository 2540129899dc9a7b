"""Load, compute and store of a run of tiles, overlapped by double buffers, as a recurrence.

One memory engine serves loads and stores in the order load(i), store(i-1), load(i+1); a tile's
load waits until the tile two before it has been computed, and a computation until the output two
before it has been stored. Identical tiles become periodic, and periods are skipped, so that the
cost does not grow with the number of tiles.
"""

from collections.abc import Sequence
from typing import NamedTuple

from simulator.timing.shares import WHOLE
from simulator.units import Clock, ceil_div

_REMEMBERED = 1024  # shares whose durations one operation keeps


class Transfer(NamedTuple):
    """Memory time of a transfer at full share, and the least time that its port allows, in ps."""

    channel_ps: int
    port_ps: int

    def duration_ps(self, share: int) -> int:
        """Return the time that the transfer takes at `share` of the memory."""
        return max(ceil_div(self.channel_ps * WHOLE, share), self.port_ps)


class Tile(NamedTuple):
    """One tile: transfer in, cycles, transfer out."""

    load: Transfer
    cycles: int
    store: Transfer


class Loop(NamedTuple):
    """`times` times the same sequence."""

    times: int
    body: "tuple[Tile | Loop, ...]"


class _State(NamedTuple):
    """Times in ticks: memory free, last computation, last two stores; a store still due.

    `fill` is what the next computation takes longer: the first fill of the array.
    """

    memory: int = 0
    computed: int = 0
    stored: int = 0
    stored_before: int = 0
    due: int = 0
    fill: int = 0

    def shape(self) -> tuple[int, int, int, int, int]:
        """Return the state without its position in time: equal shapes evolve equally."""
        memory, computed, stored, before, due, fill = self
        return memory - computed, stored - computed, before - computed, due, fill

    def later(self, ticks: int) -> "_State":
        """Return the same state `ticks` later."""
        memory, computed, stored, before, due, fill = self
        return _State(memory + ticks, computed + ticks, stored + ticks, before + ticks, due, fill)


class Pipelined:
    """Progress of a tiled operation on an accelerator."""

    def __init__(
        self, body: Sequence[Tile | Loop], fill_cycles: int, latency_ps: int, clock: Clock
    ) -> None:
        """Take the tiles in order, the array's first fill, the launch's latency, the clock."""
        self._body = tuple(body)
        self._fill = fill_cycles * clock.ticks_per_cycle
        self._latency_ps = latency_ps
        self._clock = clock
        self._durations: dict[int, int] = {}
        self.channel_ps = _sum_channel(self._body)

    def duration_ps(self, share: int) -> int:
        """Return the time from launch to the last byte stored, at a constant `share`."""
        duration = self._durations.get(share)
        if duration is None:
            if len(self._durations) >= _REMEMBERED:
                self._durations.clear()
            duration = self._durations[share] = self._run(share)
        return duration

    def _run(self, share: int) -> int:
        body = _at_share(self._body, share, self._clock)
        state = _advance(_State(fill=self._fill), body)
        end = max(state.memory, state.computed) + state.due
        return self._latency_ps + ceil_div(end, self._clock.ticks_per_ps)


def _sum_channel(body: Sequence[Tile | Loop]) -> int:
    return sum(
        node.times * _sum_channel(node.body)
        if isinstance(node, Loop)
        else node.load.channel_ps + node.store.channel_ps
        for node in body
    )


_Ticks = tuple[int, int, int]  # load, compute, store
_Node = _Ticks | tuple[int, tuple["_Node", ...]]


def _at_share(body: Sequence[Tile | Loop], share: int, clock: Clock) -> tuple[_Node, ...]:
    per_ps, per_cycle = clock.ticks_per_ps, clock.ticks_per_cycle
    return tuple(
        (node.times, _at_share(node.body, share, clock))
        if isinstance(node, Loop)
        else (
            node.load.duration_ps(share) * per_ps,
            node.cycles * per_cycle,
            node.store.duration_ps(share) * per_ps,
        )
        for node in body
    )


def _advance(state: _State, body: tuple[_Node, ...]) -> _State:
    for node in body:
        state = _step(state, node) if len(node) == 3 else _repeat(state, *node)
    return state


def _repeat(state: _State, count: int, body: tuple[_Node, ...]) -> _State:
    seen: dict[tuple[int, int, int, int, int], tuple[int, int]] = {}
    done = 0
    while done < count:
        shape = state.shape()
        if shape in seen:
            first, computed = seen[shape]
            periods, rest = divmod(count - done, done - first)
            state = state.later(periods * (state.computed - computed))
            for _ in range(rest):
                state = _advance(state, body)
            return state
        seen[shape] = (done, state.computed)
        state = _advance(state, body)
        done += 1
    return state


def _step(state: _State, tile: _Ticks) -> _State:
    memory, computed, stored, before, due, fill = state
    load, compute, store = tile
    loaded = 0
    if load:
        memory = loaded = memory + load
    if due:
        memory = max(memory, computed) + due
        before, stored = stored, memory
    start = max(loaded, computed, before)
    end = start + compute + fill
    # Anything before `end` can no longer delay the next tile; folding it makes states comparable.
    return _State(max(memory, computed), end, max(stored, end), max(before, end), store)
