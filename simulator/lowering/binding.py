"""Tasks of a step in program order: tokens for what they read and write, and who waits for whom.

A token is a storage of the step, or a buffer that lowering itself needs: a converted copy, the
raw output of the array. Buffers are new for each use, so they never make work wait.
"""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.activity import Stage, Task, Unit, Work
from simulator.lowering.works import Templates
from simulator.trace.op import Phase, Tensor
from simulator.trace.trace import Hazards


class Site(NamedTuple):
    """The operation that work serves: its index in the step, phase and layer."""

    op: int
    phase: Phase
    layer: str


class Binding:
    """Collects the tasks of one step."""

    def __init__(self, templates: Templates, storages: int) -> None:
        """Start with no tasks over a table of so many storages."""
        self.tasks: list[Task] = []
        self.templates = templates
        self._runtime = templates.hardware.runtime
        self._hazards = Hazards()
        self._next_token = storages
        self._copies: dict[int, dict[object, int]] = {}
        self._unsynchronised: dict[int, int] = {}  # token -> accelerator task that wrote it

    def token(self) -> int:
        """Return a new buffer."""
        self._next_token += 1
        return self._next_token

    def append(
        self,
        work: Work,
        site: Site,
        reads: Iterable[int | None],
        writes: Iterable[int],
        *,
        after: int | None = None,
        random: bool = False,
        barrier: bool = False,
    ) -> int:
        """Append `work` and return its index; it waits for its hazards and for task `after`.

        A CPU task first notices the completion of the accelerator's work that it depends on.
        """
        read, written = known(reads), tuple(writes)
        if work.unit is Unit.CPU and self._unsynchronised:
            for token in (*read, *written):
                self.synchronise(token, site)
        index = len(self.tasks)
        waits = self._hazards.add(index, read, written, random=random, barrier=barrier)
        if after is not None and after not in waits:
            waits = tuple(sorted((*waits, after)))
        for token in written:
            self._copies.pop(token, None)
        self.tasks.append(Task(work, site.op, site.phase, site.layer, waits))
        return index

    def copy(
        self, key: object, work: Work, site: Site, tensor: Tensor, source: int | None = None
    ) -> int:
        """Return the token of a derived copy of `tensor`, made by `work` unless it still exists.

        The copy is derived from token `source`, or from the tensor's own storage.
        """
        copies = self._copies.setdefault(tensor.storage, {})
        full_key = (key, tensor.elements, tensor.offset)
        if full_key not in copies:
            token = self.token()
            self.append(work, site, (tensor.storage if source is None else source,), (token,))
            copies[full_key] = token
        return copies[full_key]

    def driver(self, stage: Stage, duration_ps: int, site: Site) -> int | None:
        """Append driver code of fixed duration, if it takes any time."""
        if not duration_ps:
            return None
        return self.append(self.templates.driver(stage, duration_ps), site, (), ())

    def written_by_accelerator(self, token: int, task: int) -> None:
        """Take note that `task` writes `token` without the CPU noticing."""
        self._unsynchronised[token] = task

    def synchronise(self, token: int, site: Site) -> None:
        """Let the CPU notice that the accelerator has finished writing `token`."""
        done = self._unsynchronised.pop(token, None)
        if done is not None and self._runtime.synchronise:
            work = self.templates.driver(Stage.SYNCHRONISE, self._runtime.synchronise)
            # It writes the token: whoever reads the result on the CPU comes after it.
            self.append(work, site, (), (token,), after=done)


def storages(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Return the distinct storages of `tensors`, in order."""
    return tuple(dict.fromkeys(tensor.storage for tensor in tensors))


def known(tokens: Iterable[int | None]) -> tuple[int, ...]:
    """Return the tokens that are there."""
    return tuple(token for token in tokens if token is not None)
