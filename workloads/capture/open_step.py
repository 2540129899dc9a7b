"""The step under way, and the passes over loaders."""

import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from simulator.trace.passes.treatment import AS_TRACED, Method
from simulator.trace.trace import StepKind
from workloads.capture.tape import Tape

Key = tuple[Hashable, ...]


@dataclass(slots=True, eq=False)
class OpenStep:
    """The step under way, or what may become one.

    `cause`: what opened it (start, next, stop, after). `tape` is None if it is not recorded; a
    `partial` tape lacks its beginning. `signature` covers all module calls, `path` those of
    networks, `prefixes` the path after each of them; `functions`: it starts with a network of
    functions. `rows` is the first size of the input of the first network that trains, `first_rows`
    that of the first network. `source` is the data set, and the batches left at the start if known.
    `end` is the call after its update, `left` the one after its last network, `cuts` the calls
    before which it may split into evaluations; `repeats` those where it could if, as
    its `last` step shows, the run trains nothing.
    """

    cause: str
    tape: Tape | None
    partial: bool = False
    signature: int = 0
    path: int = 0
    prefixes: list[int] = field(default_factory=list)
    rows: int | None = None
    first_rows: int | None = None
    networks: int = 0
    functions: bool = False
    optimizers: list[int] = field(default_factory=list)
    passes: set[int] = field(default_factory=set)
    roots: set[int] = field(default_factory=set)
    batches: int = 0
    source: tuple[int, int | None] = (0, None)
    updated: bool = False
    backward: bool = False
    trains: bool = False
    pending: bool = False
    ending: bool = False
    end: int = 0
    left: int = 0
    cuts: list[int] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    last: bool = False
    method: Method = AS_TRACED
    started_ns: int = field(default_factory=time.perf_counter_ns)

    def call(self, root: object, call: Hashable, rows: int | None, *, trains: bool) -> None:
        """Count a call of network `root`; `rows` is the first size of its input."""
        if not self.networks:
            self.first_rows = rows
        if trains or not self.networks:
            self.rows = self.rows if self.trains else rows
        self.networks += 1
        self.signature = hash((self.signature, call))
        self.roots.add(id(root))
        self.trains |= trains

    @property
    def busy(self) -> bool:
        """Whether a network ran in it, forward or backward, or an optimizer."""
        return bool(self.networks or self.optimizers) or self.backward or self.functions

    @property
    def evaluates(self) -> bool:
        """Whether networks ran in it, but none to train."""
        learns = self.trains or self.backward or self.optimizers
        return bool(self.networks or self.functions) and not learns

    @property
    def kind(self) -> StepKind:
        """Its kind, as far as it has come."""
        if self.updated:
            return StepKind.TRAIN
        return StepKind.EVAL if self.evaluates else StepKind.OTHER

    @property
    def key(self) -> Key:
        """Equal for steps that count as alike without recording their ops."""
        calls = self.networks, len(self.optimizers), self.path, self.signature
        return (self.kind, self.batches, self.backward, *calls)


@dataclass(slots=True, eq=False)
class LoaderPass:
    """A pass over a loader: its batches so far, and how many it had left at the first, if known."""

    batches: int = 0
    length: int | None = None
    exhausted: bool = False

    @property
    def counts(self) -> bool:
        """Whether it counts as a pass of an epoch, rather than one abandoned after its
        first batch.
        """
        return self.exhausted or self.batches > 1 or self.length == 1
