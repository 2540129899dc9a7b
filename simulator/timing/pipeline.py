"""Load, compute and store of a run of tiles, overlapped by double buffers, as a recurrence.

How a machine overlaps them is its schedule: a state that steps from tile to tile. Identical tiles
become periodic, and periods are skipped, so that the cost does not grow with the number of tiles.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from simulator.memo import Memo
from simulator.timing.schedules import InTurn, Start, Ticks
from simulator.timing.shares import WHOLE
from simulator.units import Clock, ceil_div

_SHARES = 1024  # a guess: the shares of the memory that one operation meets


class Transfer(NamedTuple):
    """Memory time of a transfer at full share, and the least time that its port allows, in ps.

    Its last byte arrives `lag_ps` after the port is free again.
    """

    channel_ps: int
    port_ps: int
    lag_ps: int = 0

    @property
    def moves(self) -> bool:
        """Whether there is anything to transfer."""
        return bool(self.channel_ps or self.port_ps)

    def duration_ps(self, share: int) -> int:
        """Return the time that the transfer takes at `share` of the memory."""
        channel = self.channel_ps
        if share != WHOLE:
            channel = ceil_div(channel * WHOLE, share)
        return max(channel, self.port_ps)


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
        self._durations: Memo[int] = Memo("durations of an operation", _SHARES)
        self.channel_ps = _sum(self.body, lambda move: move.channel_ps)
        self.port_ps = _sum(self.body, lambda move: move.port_ps)

    @property
    def tiles(self) -> int:
        """How many tiles it has."""
        return _count(self.body)

    def duration_ps(self, share: int) -> int:
        """Return the time from launch to the last byte stored, at a constant `share`."""
        duration = self._durations.find(share)
        return self._durations.keep(share, self._run(share)) if duration is None else duration

    def _run(self, share: int) -> int:
        body = _at_share(self.body, share, self.clock)
        state, (first, rest) = self.schedule, _split_first(body)
        while rest and not first.compute:  # what is held comes first
            state, (first, rest) = state.step(first), _split_first(rest)
        fill = self.fill_cycles * self.clock.ticks_per_cycle
        state = state.step(first._replace(compute=first.compute + fill))
        end = _advance(state, rest).end()
        return self.latency_ps + ceil_div(end, self.clock.ticks_per_ps)


def _sum(body: Sequence[Tile | Loop], what: Callable[[Transfer], int]) -> int:
    return sum(
        node.times * _sum(node.body, what)
        if isinstance(node, Loop)
        else what(node.load) + what(node.store)
        for node in body
    )


def _count(body: Sequence[Tile | Loop]) -> int:
    return sum(node.times * _count(node.body) if isinstance(node, Loop) else 1 for node in body)


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
    """Return the first tile, and all others: one that computes has the array's fill for itself."""
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
