"""Tasks of a step in program order: tokens for what they read and write, and who waits for whom.

A token is a storage of the step, or a buffer that lowering itself needs: a converted copy, the
raw output of the array. Every buffer is new, so that only its readers wait for it.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple

from simulator.activity import Stage, Unit
from simulator.lowering.asked import Asked, Asking
from simulator.lowering.cache import LastLevelCache
from simulator.trace.op import Phase, Tensor
from simulator.trace.trace import Hazards


class Site(NamedTuple):
    """The operation that work serves: its index in the step, phase and layer."""

    op: int
    phase: Phase
    layer: str


CopyKey = tuple[Hashable, Hashable]
"""What a copy is, whatever its token: how it was made, and from which region of its tensor."""


class Bound(NamedTuple):
    """A task of a step, of which is known what work is asked for, but not yet what it takes."""

    work: Asked
    op: int
    phase: Phase
    layer: str
    waits: tuple[int, ...]


class Binding:
    """Collects the tasks of one step."""

    def __init__(self, asking: Asking, storages: int) -> None:
        """Start with no tasks over a table of so many storages."""
        self.tasks: list[Bound] = []
        self.asking = asking
        llc = asking.outline.cpu.llc
        self.cache = LastLevelCache(llc.size if llc else 0)
        self._runtime = asking.outline.runtime
        self._hazards = Hazards()
        self._next_token = storages
        self._copies: dict[int, dict[CopyKey, int]] = {}
        self._made_as: dict[int, CopyKey] = {}  # token -> the copy that it is
        self._unnoticed: dict[int, int] = {}  # token -> accelerator task that wrote it

    def token(self) -> int:
        """Return a new buffer."""
        self._next_token += 1
        return self._next_token

    def append(
        self,
        work: Asked,
        site: Site,
        reads: Iterable[int | None],
        writes: Iterable[int],
        *,
        after: Iterable[int | None] = (),
        random: bool = False,
        barrier: bool = False,
    ) -> int:
        """Append `work` and return its index; it waits for its hazards and for the tasks `after`.

        Before a CPU task uses what the accelerator wrote, the CPU notices its completion.
        """
        read, written, extra = known(reads), tuple(writes), set(known(after))
        if work.unit is Unit.CPU:
            noticed = (self.notice(token, site) for token in (*read, *written))
            extra |= set(known(noticed))
        index = len(self.tasks)
        waits = self._hazards.add(index, read, written, random=random, barrier=barrier)
        for token in written:
            self._copies.pop(token, None)
            self._unnoticed.pop(token, None)
            if work.unit is Unit.ACCELERATOR:
                self._unnoticed[token] = index
        if extra:
            waits = tuple(sorted({*waits, *extra}))
        self.tasks.append(Bound(work, site.op, site.phase, site.layer, waits))
        return index

    def copy(
        self, kind: Hashable, tensor: Tensor, source: int, make: Callable[[int], object]
    ) -> int:
        """Return the token of a copy of `tensor`, made from token `source` unless it still exists.

        `make` appends the work that writes the copy into the token that it is given.
        """
        key = (kind, self._made_as.get(source)), tensor.region
        token = self._copies.get(tensor.storage, {}).get(key)
        if token is None:
            token = self.token()
            make(token)
            self._keep(tensor.storage, key, token)
        return token

    def recall(self, storage: int, key: CopyKey) -> int:
        """Return the token of a copy of `storage` that an earlier step has left."""
        token = self.token()
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
        return self.append(self.asking.driver(stage, duration_ps), site, (), ())

    def notice(self, token: int, site: Site) -> int | None:
        """Let the CPU notice that the accelerator has written `token`; return the task, if any."""
        done = self._unnoticed.pop(token, None)
        if done is None or not self._runtime.synchronise:
            return None
        work = self.asking.driver(Stage.SYNCHRONISE, self._runtime.synchronise)
        return self.append(work, site, (), (), after=(done,))


def storages(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Return the distinct storages of `tensors`, in order."""
    return tuple(dict.fromkeys(tensor.storage for tensor in tensors))


def known(items: Iterable[int | None]) -> tuple[int, ...]:
    """Return the items that are there."""
    return tuple(item for item in items if item is not None)
