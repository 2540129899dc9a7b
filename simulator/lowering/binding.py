"""Tasks of a step in program order: tokens for what they read and write, and who waits for whom.

A token is a storage of the step, or a buffer that lowering itself needs: a converted copy, the
raw output of the array. Every buffer is new, so that only its readers wait for it.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from simulator.activity import Stage
from simulator.hardware.unit import HOST
from simulator.lowering.cache import CacheContents
from simulator.lowering.copy_buffers import CopyBuffers
from simulator.lowering.keeping import Keeping
from simulator.lowering.program import TaskColumns
from simulator.lowering.requests import Requests, WorkRequest
from simulator.trace.accesses import Access
from simulator.trace.op import Phase, Tensor
from simulator.trace.trace import Hazards


class Site(NamedTuple):
    """The operation that work serves: its index in the step, phase and layer."""

    op: int
    phase: Phase
    layer: str


CopyKey = tuple[Hashable, Hashable, int]
"""What a copy is, whatever its token: how it was made, from which region of its tensor, its bytes.
"""


class Binding:
    """Collects the tasks of one step."""

    def __init__(
        self,
        requests: Requests,
        storages: int,
        new: Sequence[int] = (),
        keeping: Keeping | None = None,
    ) -> None:
        """Start with no tasks over a table of so many storages. Op i of the step has results of
        `new[i]` bytes in new memory. Units keep on chip what `keeping` says.
        """
        self.new = new
        self.keeping = keeping or Keeping({})
        self.tasks, self.buffers = TaskColumns(), CopyBuffers()
        self.requests = requests
        llc = requests.outline.cpu.llc
        self.cache = CacheContents(llc.size if llc else 0)
        self._units = requests.outline.units
        self._hazards = Hazards()
        self._next_token = storages
        self._copies: dict[int, dict[CopyKey, int]] = {}
        self._made_as: dict[int, CopyKey] = {}  # token -> the copy that it is
        self._pending: dict[int, tuple[int, str]] = {}  # token -> task that wrote it, its unit
        self._sides = _Sides()

    def token(self, size: int) -> int:
        """Return a new buffer of `size` bytes of memory; 0 where those of a tensor serve."""
        token = self._new_token()
        self.buffers.add(token, size)
        return token

    def _new_token(self) -> int:
        self._next_token += 1
        return self._next_token

    def append(
        self,
        work: WorkRequest,
        site: Site,
        reads: Iterable[int | None],
        writes: Iterable[int],
        *,
        after: Iterable[int | None] = (),
        random: bool = False,
        barrier: bool = False,
    ) -> int:
        """Append `work` and return its index; it waits for its hazards and for the tasks `after`.

        Before a CPU task uses what another unit wrote, the CPU awaits its completion. A unit with
        a switch has that before it works, and before another one uses any of its results.
        """
        read, written, extra = present(reads), tuple(writes), set(present(after))
        if work.unit == HOST:
            awaits = (self.await_completion(token, site) for token in (*read, *written))
            extra |= set(present(awaits))
        if work.unit not in self.keeping.capacities:
            touched = ([Access(token, 0) for token in each] for each in (read, written))
            self.keeping.touch(work.unit, *touched)
        extra |= set(self._switches(work.unit, {*read, *written}, site))
        index = len(self.tasks)
        self.buffers.touch(index, (*read, *written))
        waits = self._hazards.add(index, read, written, random=random, barrier=barrier)
        for token in written:
            self._copies.pop(token, None)
            self._pending.pop(token, None)
            if work.unit != HOST:
                self._pending[token] = index, work.unit
        if work.unit != HOST and self._units[work.unit].driver.switch:
            self._sides.worked(work.unit, index, written)
        if extra:
            waits = tuple(sorted({*waits, *extra}))
        self.tasks.append(work, site.op, site.phase, site.layer, waits)
        return index

    def copy(
        self, kind: Hashable, tensor: Tensor, source: int, size: int, make: Callable[[int], object]
    ) -> int:
        """Return the token of a copy of `tensor` in `size` bytes, made from token `source` unless
        it still exists.

        `make` appends the work that writes the copy into the token that it is given.
        """
        key = (kind, self._made_as.get(source)), tensor.region, size
        token = self._copies.get(tensor.storage, {}).get(key)
        if token is None:
            token = self.token(size)
            make(token)
            self._keep(tensor.storage, key, token)
        return token

    def recall(self, storage: int, key: CopyKey) -> int:
        """Return the token of a copy of `storage` that an earlier step has left."""
        token = self._new_token()
        self.buffers.recall(token, key[-1])
        self._keep(storage, key, token)
        return token

    @property
    def copies(self) -> Iterator[tuple[int, CopyKey, int]]:
        """Storages, what copies of them are still up to date, and their tokens."""
        for storage, copies in self._copies.items():
            for key, token in copies.items():
                yield storage, key, token

    def _keep(self, storage: int, key: CopyKey, token: int) -> None:
        self._copies.setdefault(storage, {})[key] = token
        self._made_as[token] = key

    def driver(self, stage: Stage, duration_ps: int, site: Site) -> int | None:
        """Append driver code of fixed duration, if it takes any time."""
        if not duration_ps:
            return None
        return self.append(self.requests.driver(stage, duration_ps), site, (), ())

    def _switches(self, unit: str, tokens: Collection[int], site: Site) -> Iterator[int]:
        """Append and yield the changes of sides before `unit` works on `tokens`: back from other
        units that have any of them, and over to it.
        """
        for other, last in self._sides.leave(unit, tokens):
            yield self._switch(other, site, (last,))
        if unit != HOST and self._units[unit].driver.switch and self._sides.enter(unit):
            yield self._switch(unit, site, ())

    def _switch(self, unit: str, site: Site, after: tuple[int, ...]) -> int:
        work = self.requests.driver(Stage.SWITCH, self._units[unit].driver.switch)
        return self.append(work, site, (), (), after=after)

    def await_completion(self, token: int, site: Site) -> int | None:
        """Let the CPU await the unit that wrote `token`; return the task, if there is any."""
        pending = self._pending.pop(token, None)
        if pending is None:
            return None
        task, unit = pending
        duration_ps = self._units[unit].driver.synchronise
        if not duration_ps:
            return None
        work = self.requests.driver(Stage.SYNCHRONISE, duration_ps)
        return self.append(work, site, (), (), after=(task,))


class _Sides:
    """On which side of a switch work is, and what only the units beyond it have. A step begins with
    the host, which has everything.
    """

    def __init__(self) -> None:
        """Begin with the host."""
        self._unit = HOST
        self._away: dict[int, str] = {}  # token -> the unit that has it
        self._last: dict[str, int] = {}  # unit -> its last task

    def enter(self, unit: str) -> bool:
        """Go to `unit`, and return whether work was elsewhere."""
        before, self._unit = self._unit, unit
        return before != unit

    def worked(self, unit: str, task: int, tokens: Iterable[int]) -> None:
        """Note that `unit` wrote `tokens` with its last `task`."""
        self._last[unit] = task
        self._away |= dict.fromkeys(tokens, unit)

    def leave(self, unit: str, tokens: Collection[int]) -> list[tuple[str, int]]:
        """Leave all units but `unit` that have any of `tokens`; return them, with their last task.
        What they have is everywhere then.
        """
        others = {self._away[token] for token in tokens if token in self._away} - {unit}
        if others:
            self._unit = HOST
            self._away = {t: other for t, other in self._away.items() if other not in others}
        return [(other, self._last[other]) for other in sorted(others)]


def storages(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Return the distinct storages of `tensors`, in order."""
    return tuple(dict.fromkeys(tensor.storage for tensor in tensors))


def present(items: Iterable[int | None]) -> tuple[int, ...]:
    """Return the items that are not None."""
    return tuple(item for item in items if item is not None)
