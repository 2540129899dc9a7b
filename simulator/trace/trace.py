"""A training run: its distinct steps, when each ran, and the dependences between ops."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from simulator.errors import InputError
from simulator.html import html_table
from simulator.si import si
from simulator.trace.op import Op, OpKind, Phase, Role
from simulator.trace.passes.treatment import AS_TRACED, Method
from simulator.trace.phases import FACTS
from simulator.trace.sparsity import DENSE


class StorageKind(StrEnum):
    """The use of a storage, which decides how long it is live."""

    PARAMETER = "parameter"
    BUFFER = "buffer"
    GRADIENT = "gradient"
    OPTIMIZER_STATE = "optimizer_state"
    INPUT = "input"
    CACHE = "cache"
    ACTIVATION = "activation"


PERSISTENT = frozenset(
    {
        StorageKind.PARAMETER,
        StorageKind.BUFFER,
        StorageKind.OPTIMIZER_STATE,
        StorageKind.CACHE,
    }
)


class StepKind(StrEnum):
    """TRAIN runs an optimizer, EVAL runs forward alone, OTHER is all else.

    A language model that generates runs a PREFILL of its prompt, then a DECODE for each token.
    """

    TRAIN = "train"
    EVAL = "eval"
    PREFILL = "prefill"
    DECODE = "decode"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Storage:
    """One allocation of `bytes`; parameters, buffers and optimizer state carry their name."""

    bytes: int
    kind: StorageKind
    name: str = ""


@dataclass(frozen=True)
class Step:
    """The ops of one distinct step in program order, and the storages they touch.

    `tokens` are those that a language model takes in or generates in one run of it; 0 elsewhere.
    """

    kind: StepKind
    ops: tuple[Op, ...]
    storages: tuple[Storage, ...]
    tokens: int = 0

    def __repr__(self) -> str:
        """Return kind and sizes: the ops themselves are a text of a million characters."""
        return f"Step({self.kind.value}, {len(self.ops)} ops, {len(self.storages)} storages)"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the step's content; equal steps have equal digests."""
        # The text form of frozen dataclasses is complete and ten times as fast as JSON. It goes in
        # by parts, as that of a million ops takes as much memory as they do.
        content = hashlib.sha256()
        for part in self._text:
            content.update(part.encode())
        return content.hexdigest()

    @property
    def _text(self) -> Iterator[str]:
        """The text form of kind, ops and storages, and of what ops and products have beside it."""
        yield f"({self.kind!r}, "
        yield from _text_of(self.ops)
        yield ", "
        yield from _text_of(self.storages)
        yield f"){self._causal}{self._formats}{self._sparse}{self._fused}"
        if self.tokens:
            yield f" {self.tokens} tokens"

    @cached_property
    def op_names(self) -> tuple[str, ...]:
        """The name of each op."""
        return tuple([op.name for op in self.ops])

    @property
    def _causal(self) -> str:
        """Which products stop at the diagonal, "" if none does."""
        causal = [
            (index, number, gemm.causal.value)
            for index, op in enumerate(self.ops)
            for number, gemm in enumerate(op.gemms)
            if gemm.causal
        ]
        return repr(causal) if causal else ""

    @property
    def _formats(self) -> str:
        """The formats of the operands of products that have narrower ones, "" if none does."""
        formats = [
            (index, number, gemm.formats)
            for index, op in enumerate(self.ops)
            for number, gemm in enumerate(op.gemms)
            if any(gemm.formats)
        ]
        return repr(formats) if formats else ""

    @property
    def _sparse(self) -> str:
        """Which products have zeros to skip, "" if none has."""
        sparse = [
            (index, number, gemm.sparsity)
            for index, op in enumerate(self.ops)
            for number, gemm in enumerate(op.gemms)
            if gemm.sparsity != DENSE
        ]
        return repr(sparse) if sparse else ""

    @property
    def _fused(self) -> str:
        """What the fused ops consist of, "" if there are none."""
        fused = [(index, op.parts) for index, op in enumerate(self.ops) if op.parts]
        return repr(fused) if fused else ""


def _text_of(items: tuple[object, ...]) -> Iterator[str]:
    """Yield the text form of a tuple by parts."""
    yield "("
    for index, item in enumerate(items):
        yield f", {item!r}" if index else repr(item)
    yield ",)" if len(items) == 1 else ")"


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` consecutive runs of distinct step `step` in `epoch` (from 0), under a method."""

    epoch: int
    step: int
    count: int
    method: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Measured times of a step in ps, medians over its runs.

    `step_ps` is that of whole steps without the recorder, 0 if none ran so; `ops_ps` those of each
    op, without the time between two of them.
    """

    step_ps: int
    ops_ps: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """Distinct steps and methods, and the order in which the run used them.

    `origin` says how the trace came about (tool, torch version, capture mode); `timings` has
    measured times of each step, if there are any. Neither is part of the digest.
    """

    name: str
    steps: tuple[Step, ...]
    segments: tuple[Segment, ...]
    origin: dict[str, str] = field(default_factory=dict)
    timings: tuple[Timing, ...] = ()
    methods: tuple[Method, ...] = (AS_TRACED,)

    def __repr__(self) -> str:
        """Return name and sizes on one line."""
        return f"Trace({self.name}: {self._sizes})"

    def _repr_html_(self) -> str:
        rows = [
            (number, step.kind.value, len(step.ops), self.runs_of(number))
            for number, step in enumerate(self.steps)
        ]
        return html_table(f"{self.name}: {self._sizes}", ("step", "kind", "ops", "runs"), rows)

    @property
    def _sizes(self) -> str:
        """What the run is, in words: epochs, training steps, parameters, work."""
        train, epochs = self.count(StepKind.TRAIN), self.epochs
        macs = sum(self.flops_by_phase().values()) // 2
        return (
            f"{epochs} epoch{'s' * (epochs != 1)}, {train} training step{'s' * (train != 1)}, "
            f"{len(self.steps)} distinct, {self.parameters:,} parameters, {si(macs, 'MAC')}"
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over steps, segments and methods."""
        parts = [step.digest for step in self.steps]
        parts += [f"{s.epoch}:{s.step}:{s.count}" for s in self.segments]
        if self.methods != (AS_TRACED,):
            parts += [method.content for method in self.methods]
            parts += [str(segment.method) for segment in self.segments]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return max((segment.epoch for segment in self.segments), default=-1) + 1

    def count(self, kind: StepKind) -> int:
        """Number of steps of `kind` that the run executed."""
        return sum(s.count for s in self.segments if self.steps[s.step].kind is kind)

    @cached_property
    def runs_by_epoch(self) -> tuple[dict[int, int], ...]:
        """How often each distinct step ran, by epoch, in the order of the run."""
        runs: tuple[dict[int, int], ...] = tuple({} for _ in self.steps)
        for segment in self.segments:
            of_step = runs[segment.step]
            of_step[segment.epoch] = of_step.get(segment.epoch, 0) + segment.count
        return runs

    def runs_of(self, step: int) -> int:
        """How often distinct step `step` ran."""
        return sum(self.runs_by_epoch[step].values())

    @property
    def typical_step(self) -> int:
        """Index of the training step that ran most often, of equals the last one (steady).

        Of all steps if none trained.
        """
        trains = [i for i, step in enumerate(self.steps) if step.kind is StepKind.TRAIN]
        return max(trains or range(len(self.steps)), key=lambda i: (self.runs_of(i), i))

    @property
    def typical_run(self) -> "Trace":
        """One run of the typical step, as traced."""
        return Trace(self.name, (self.steps[self.typical_step],), (Segment(0, 0, 1),))

    def chosen(self, step: int | None) -> int:
        """Return the index of distinct step `step`, of the typical one if it is None.

        Raises InputError if there is no such step.
        """
        index = self.typical_step if step is None else step
        if 0 <= index < len(self.steps):
            return index
        raise InputError(f"step {index}: trace {self.name} has steps 0-{len(self.steps) - 1}")

    def flops_by_phase(self) -> dict[str, int]:
        """2 x MACs of all GEMM work, by phase, summed over the run."""
        flops: dict[str, int] = {}
        for index, step in enumerate(self.steps):
            runs = self.runs_of(index)
            for op in step.ops:
                for gemm in op.gemms:
                    phase = phase_of(op, gemm.role).value
                    flops[phase] = flops.get(phase, 0) + 2 * gemm.macs * runs
        return flops

    @property
    def parameters(self) -> int:
        """Parameter elements, each distinct parameter counted once."""
        elements: dict[str, int] = {}
        for step in self.steps:
            dtype_bytes = _parameter_itemsize(step)
            for index, storage in enumerate(step.storages):
                if storage.kind is StorageKind.PARAMETER:
                    elements[storage.name] = storage.bytes // dtype_bytes.get(index, 4)
        return sum(elements.values())


def _parameter_itemsize(step: Step) -> dict[int, int]:
    return {
        tensor.storage: max(1, tensor.bits // 8)
        for op in step.ops
        for tensor in (*op.inputs, *op.outputs)
    }


_GRADIENTS = {Role.DGRAD: Phase.DGRAD, Role.WGRAD: Phase.WGRAD}


def phase_of(op: Op, role: Role) -> Phase:
    """Return the phase of a GEMM: its role where the op mixes both gradients, else the op's."""
    return _GRADIENTS.get(role, op.phase) if FACTS[op.phase].backward else op.phase


class Hazards:
    """Dependences of work on earlier work, by the storages it reads and writes.

    RAW, WAR and WAW hazards; random draws keep their order; a synchronising op (`.item()`) waits
    for all it reads and blocks all that follows.
    """

    def __init__(self) -> None:
        """Start with nothing written."""
        self._writer: dict[int, int] = {}
        self._readers: dict[int, list[int]] = {}
        self._barrier = -1
        self._random = -1

    def add(
        self,
        index: int,
        reads: Iterable[int],
        writes: Iterable[int],
        *,
        random: bool = False,
        barrier: bool = False,
    ) -> tuple[int, ...]:
        """Record work `index` and return the sorted indices it depends on."""
        waits = {self._barrier}
        for storage in reads:
            waits.add(self._writer.get(storage, -1))
            readers = self._readers.get(storage)
            if readers is None:
                self._readers[storage] = [index]
            else:
                readers.append(index)
        for storage in writes:
            waits.add(self._writer.get(storage, -1))
            waits.update(self._readers.pop(storage, ()))
            self._writer[storage] = index
        if random:
            waits.add(self._random)
            self._random = index
        if barrier:
            self._barrier = index
        return tuple(sorted(waits - {-1, index}))


def dependences(step: Step) -> Iterator[tuple[int, ...]]:
    """Yield the indices of the ops that each op of the step depends on."""
    hazards = Hazards()
    for index, op in enumerate(step.ops):
        if op.kind is OpKind.VIEW:
            yield ()
            continue
        yield hazards.add(
            index,
            {tensor.storage for tensor in op.inputs},
            {tensor.storage for tensor in op.outputs},
            random=op.random,
            barrier=op.kind is OpKind.SYNC,
        )
