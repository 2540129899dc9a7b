"""The accelerator tile by tile: transfers and computations as events, linked by double buffers.

The same pipelines as the recurrences of `timing.schedules`; here every transfer competes for the
memory at the moment it takes place.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, repeat

from simpy import Environment, Event

from simulator.timing.pipeline import Loop, Pipelined, Tile, Transfer
from simulator.timing.schedules import InTurn, Lockstep, TwoSlots

Move = Callable[[Transfer], Event]
_Steps = Generator[Event, None, None]


def run_tiles(env: Environment, work: Pipelined, move: Move) -> _Steps:
    """Execute `work`; `move` starts a transfer and returns the event of its end."""
    yield env.timeout(work.latency_ps)
    if isinstance(work.schedule, Lockstep):
        yield from _beats(env, work, move)
        return
    pipeline = _DoubleBuffered(env, work, move)
    if isinstance(work.schedule, InTurn):
        movers = [env.process(pipeline.loads_and_stores())]
    else:
        movers = [env.process(pipeline.loads()), env.process(pipeline.stores())]
    yield from pipeline.computations()
    yield from movers


class _Count:
    """How many tiles have passed a stage; one process may wait for more of them."""

    __slots__ = ("_env", "_event", "_least", "value")

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.value = 0
        self._least = 0
        self._event: Event | None = None

    @property
    def wakes(self) -> bool:
        """Whether who waited goes on at this moment and has not done so yet."""
        event = self._event
        return event is not None and event.triggered and not event.processed

    def add(self) -> None:
        """Let one more tile pass."""
        self.value += 1
        if self._event is not None and self.value == self._least:
            self._event.succeed()

    def reaches(self, least: int) -> Event:
        """Return an event for the moment at which so many have passed; ask only before it."""
        event = self._event = self._env.event()
        self._least = least
        return event


class _DoubleBuffered:
    """Loads, computations and stores that run on as far as two buffers for each allow."""

    def __init__(self, env: Environment, work: Pipelined, move: Move) -> None:
        self._env, self._work, self._move = env, work, move
        self._slots = isinstance(work.schedule, TwoSlots)
        self._loaded, self._computed = _Count(env), _Count(env)
        self._stored, self._released = _Count(env), _Count(env)
        self._arrivals: deque[int] = deque()  # of loads whose tiles are not computed, in order
        self._channel = _Channel(env)

    def loads_and_stores(self) -> _Steps:
        """Move load(i), store(i-1), load(i+1) in turn."""
        move, computed, due, index = self._move, self._computed, None, 0
        for index, tile in enumerate(_tiles(self._work.body)):
            load, store = tile.load, tile.store
            if load.moves:
                if computed.value < index - 1:
                    yield computed.reaches(index - 1)
                yield move(load)
                self._arrives(load.lag_ps)
            if due is not None:
                if computed.value < index:
                    yield computed.reaches(index)
                yield move(due)
                self._stored.add()
            due = store if store.moves else None
        if due is not None:
            if computed.value < index + 1:
                yield computed.reaches(index + 1)
            yield move(due)

    def loads(self) -> _Steps:
        """Load tiles on a stream of their own, each when the one two before is released.

        A slot is taken by tiles that load nothing too.
        """
        computed, released, slots = self._computed, self._released, self._slots
        for index, tile in enumerate(_tiles(self._work.body)):
            load = tile.load
            if load.moves or slots:
                if released.value < index - 1:
                    yield released.reaches(index - 1)
                if not slots and computed.wakes:
                    yield self._env.timeout(0)  # at the same moment, outputs leave first
                if load.moves:
                    yield from self._pass(load)
                self._arrives(load.lag_ps)

    def stores(self) -> _Steps:
        """Store outputs on a stream of their own; a slot is released by the end of its store."""
        computed, released, slots = self._computed, self._released, self._slots
        for index, tile in enumerate(_tiles(self._work.body)):
            if computed.value <= index:
                yield computed.reaches(index + 1)
            if tile.store.moves:
                yield from self._pass(tile.store)
                self._stored.add()
            if slots:
                released.add()
                if released.wakes:
                    yield self._env.timeout(0)  # at the same moment, the next load goes first

    def computations(self) -> _Steps:
        """Compute each tile once its operands are there and its output buffer is free."""
        env, slots, loaded, stored = self._env, self._slots, self._loaded, self._stored
        loading = storing = 0
        arrivals, computed, released = self._arrivals, self._computed, self._released
        per_cycle, per_ps = self._work.clock.ticks_per_cycle, self._work.clock.ticks_per_ps
        fill, ticks = self._work.fill_cycles * per_cycle, 0
        for tile in _tiles(self._work.body):
            if tile.load.moves or slots:
                loading += 1
                if loaded.value < loading:
                    yield loaded.reaches(loading)
                late = arrivals.popleft() - int(env.now)
                if late > 0:
                    yield env.timeout(late)
            if not slots and stored.value < storing - 1:
                yield stored.reaches(storing - 1)
            if tile.cycles:
                ticks, fill = ticks + tile.cycles * per_cycle + fill, 0
            whole, ticks = divmod(ticks, per_ps)
            if whole:
                yield env.timeout(whole)
            computed.add()
            if not slots:
                released.add()
            storing += tile.store.moves

    def _pass(self, transfer: Transfer) -> _Steps:
        """Move a transfer beside those of the other stream: it has the channel first come first
        served and for no longer than it needs it, however long its port takes.
        """
        env, channel = self._env, self._channel
        least_ps = int(env.now) + transfer.port_ps
        if transfer.channel_ps:
            if channel.taken:
                yield channel.turn()
            channel.taken = True
            yield self._move(Transfer(transfer.channel_ps, 0))
            channel.leave()
        left_ps = least_ps - int(env.now)
        if left_ps > 0:
            yield env.timeout(left_ps)

    def _arrives(self, lag_ps: int) -> None:
        self._arrivals.append(int(self._env.now) + lag_ps)
        self._loaded.add()


class _Channel:
    """The memory as the two streams of one master share it: first come, first served."""

    __slots__ = ("_env", "_next", "taken")

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.taken = False
        self._next: Event | None = None

    def turn(self) -> Event:
        """Return an event for the moment at which the other stream leaves the channel."""
        self._next = self._env.event()
        return self._next

    def leave(self) -> None:
        """Leave the channel to the other stream if it waits."""
        if self._next is None:
            self.taken = False
        else:
            self._next.succeed()
            self._next = None


def _beats(env: Environment, work: Pipelined, move: Move) -> _Steps:
    """Advance all stages together; see `timing.schedules.Lockstep`."""
    computing, due, storing, inside = env.timeout(0), None, None, False
    clock, first = work.clock, work.fill_cycles
    for tile in _tiles(work.body):
        load, store = tile.load, tile.store
        cycles_ps = 0
        if tile.cycles:
            cycles_ps, first = clock.cycles_to_ps(tile.cycles + first), 0
        if load.moves:
            yield move(load)
            if load.lag_ps:
                yield env.timeout(load.lag_ps)
        if inside:
            yield computing
        if storing is not None:
            yield move(storing)
        stores = store if store.moves else None
        computing, storing, inside = env.timeout(cycles_ps), None, not tile.ends
        if inside:
            storing = stores
            continue
        if due is not None:
            yield move(due)
        yield computing
        due = stores
        if due is not None and (tile.drains or tile.serial):
            yield move(due)
            due = None
    yield computing
    for last in (storing, due):
        if last is not None:
            yield move(last)


def _tiles(body: Sequence[Tile | Loop]) -> Iterator[Tile]:
    """Return the tiles one by one, without a frame of Python for each level of the nest."""
    return chain.from_iterable(
        _repeated(node) if isinstance(node, Loop) else (node,) for node in body
    )


def _repeated(loop: Loop) -> Iterator[Tile]:
    return chain.from_iterable(map(_tiles, repeat(loop.body, loop.times)))
