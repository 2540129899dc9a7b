"""The accelerator tile by tile: transfers and computations as events, linked by double buffers.

The same pipelines as the recurrences of `timing.pipeline`; here every transfer competes for the
memory at the moment it takes place.
"""

from collections.abc import Callable, Generator, Iterator, Sequence

from simpy import Environment, Event

from simulator.timing.pipeline import InTurn, Lockstep, Loop, Pipelined, Tile, Transfer, TwoSlots

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
        released = pipeline.done if isinstance(work.schedule, TwoSlots) else pipeline.computed
        movers = [env.process(pipeline.loads(released)), env.process(pipeline.stores())]
    yield from pipeline.computations(buffered=not isinstance(work.schedule, TwoSlots))
    yield from movers


class _Count:
    """How many tiles have passed a stage, and who waits for more of them."""

    __slots__ = ("_env", "_waiting", "value")

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.value = 0
        self._waiting: list[tuple[int, Event]] = []

    def add(self) -> None:
        """Let one more tile pass."""
        self.value += 1
        if self._waiting:
            ready = [event for least, event in self._waiting if least <= self.value]
            if ready:
                self._waiting = [item for item in self._waiting if item[0] > self.value]
                for event in ready:
                    event.succeed()

    def reaches(self, least: int, *, first: bool = False) -> Event:
        """Return an event for the moment at which so many have passed; ask only before it.

        Of those who wait for the same moment, who is `first` goes before the others.
        """
        event = self._env.event()
        self._waiting.insert(0 if first else len(self._waiting), (least, event))
        return event


class _DoubleBuffered:
    """Loads, computations and stores that run on as far as two buffers for each allow."""

    def __init__(self, env: Environment, work: Pipelined, move: Move) -> None:
        self._env, self._work, self._move = env, work, move
        self._loaded, self.computed = _Count(env), _Count(env)
        self._stored, self.done = _Count(env), _Count(env)
        self._channel: Event | None = None  # when the last transfer in the queue is through

    def loads_and_stores(self) -> _Steps:
        """Move load(i), store(i-1), load(i+1) in turn."""
        computed, due, index = self.computed, None, 0
        for index, tile in enumerate(_tiles(self._work.body)):
            if tile.load.channel_ps or tile.load.port_ps:
                if computed.value < index - 1:
                    yield computed.reaches(index - 1)
                yield self._move(tile.load)
            self._arrived(tile.load.lag_ps)
            if due is not None:
                if computed.value < index:
                    yield computed.reaches(index)
                yield self._move(due)
                self._stored.add()
            due = tile.store if tile.store.channel_ps or tile.store.port_ps else None
        if due is not None:
            if computed.value < index + 1:
                yield computed.reaches(index + 1)
            yield self._move(due)

    def loads(self, released: _Count) -> _Steps:
        """Load tiles on a stream of their own, each when the one two before is `released`."""
        for index, tile in enumerate(_tiles(self._work.body)):
            if tile.load.channel_ps or tile.load.port_ps:
                if released.value < index - 1:
                    yield released.reaches(index - 1)
                yield from self._pass(tile.load)
            self._arrived(tile.load.lag_ps)

    def stores(self) -> _Steps:
        """Store outputs on a stream of their own."""
        computed = self.computed
        for index, tile in enumerate(_tiles(self._work.body)):
            if computed.value <= index:  # at the same moment, outputs leave before loads begin
                yield computed.reaches(index + 1, first=True)
            if tile.store.channel_ps or tile.store.port_ps:
                yield from self._pass(tile.store)
                self._stored.add()
            self.done.add()

    def computations(self, *, buffered: bool) -> _Steps:
        """Compute each tile once its operands are there and its output buffer is free."""
        loaded, stored, storing = self._loaded, self._stored, 0
        per_cycle, per_ps = self._work.clock.ticks_per_cycle, self._work.clock.ticks_per_ps
        ticks = self._work.fill_cycles * per_cycle
        for index, tile in enumerate(_tiles(self._work.body)):
            if loaded.value <= index:
                yield loaded.reaches(index + 1)
            if buffered and stored.value < storing - 1:
                yield stored.reaches(storing - 1)
            whole, ticks = divmod(ticks + tile.cycles * per_cycle, per_ps)
            if whole:
                yield self._env.timeout(whole)
            self.computed.add()
            storing += bool(tile.store.channel_ps or tile.store.port_ps)

    def _pass(self, transfer: Transfer) -> _Steps:
        """Move a transfer beside those of the other stream: it has the channel first come first
        served and for no longer than it needs it, however long its port takes.
        """
        least_ps = int(self._env.now) + transfer.port_ps
        if transfer.channel_ps:
            before, mine = self._channel, self._env.event()
            self._channel = mine
            if before is not None and not before.processed:
                yield before
            yield self._move(transfer._replace(port_ps=0))
            mine.succeed()
        left_ps = least_ps - int(self._env.now)
        if left_ps > 0:
            yield self._env.timeout(left_ps)

    def _arrived(self, lag_ps: int) -> None:
        if not lag_ps:
            self._loaded.add()
            return
        later = self._env.timeout(lag_ps)
        assert later.callbacks is not None, "a new event has callbacks"
        later.callbacks.append(lambda _: self._loaded.add())


def _beats(env: Environment, work: Pipelined, move: Move) -> _Steps:
    """Advance all stages together; see `timing.pipeline.Lockstep`."""
    computing, due, storing, inside = env.timeout(0), None, None, False
    clock, first = work.clock, work.fill_cycles
    for tile in _tiles(work.body):
        cycles_ps, first = clock.cycles_to_ps(tile.cycles + first), 0
        yield from _load(env, tile, move)
        if inside:
            yield computing
        if storing is not None:
            yield move(storing)
        stores = tile.store if tile.store.channel_ps or tile.store.port_ps else None
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


def _load(env: Environment, tile: Tile, move: Move) -> _Steps:
    if tile.load.channel_ps or tile.load.port_ps:
        yield move(tile.load)
        if tile.load.lag_ps:
            yield env.timeout(tile.load.lag_ps)


def _tiles(body: Sequence[Tile | Loop]) -> Iterator[Tile]:
    for node in body:
        if isinstance(node, Loop):
            for _ in range(node.times):
                yield from _tiles(node.body)
        else:
            yield node
