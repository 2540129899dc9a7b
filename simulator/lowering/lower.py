"""A step's operations become tasks: work for a unit, bound to tensors and ordered by them."""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.activity import Stage, Task, Unit
from simulator.hardware.soc import Hardware
from simulator.lowering.asked import NOTHING, Asked, Asking, Outline, outline_of
from simulator.lowering.binding import Binding, Bound, CopyKey, Site, storages
from simulator.lowering.cache import Line, Lines, Token
from simulator.lowering.heap import new_bytes
from simulator.lowering.offload import Offload
from simulator.lowering.placement import place
from simulator.lowering.works import Templates
from simulator.memo import Memo
from simulator.timing.cores import begin_ps, is_timed_whole, part_of_step
from simulator.timing.flash import executed_results
from simulator.timing.kernels import between_products
from simulator.trace.accesses import loops_of
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.trace.phases import FACTS, StepPart
from simulator.trace.trace import PERSISTENT, Step, phase_of


@dataclass(frozen=True, slots=True)
class Carry:
    """What one step leaves to the next: engines that are built, copies of tensors for the
    accelerator, tensors in the last-level cache.

    Parameters and other tensors that stay are known by their names, copies of them by name and
    key; what else is in the cache is only in the way.
    """

    engines: frozenset[Asked] = frozenset()
    copies: frozenset[tuple[str, CopyKey]] = frozenset()
    cached: Lines = ()


class Lowering:
    """Lowers steps for one SoC; shapes seen before are not lowered again."""

    def __init__(self, hardware: Hardware) -> None:
        """Lower for `hardware`."""
        self._programs = programs_on(outline_of(hardware))
        self._templates = Templates(hardware)

    def lower(
        self, step: Step, carry: Carry, placed: Sequence[Unit] | None = None
    ) -> tuple[tuple[Task, ...], Carry]:
        """Return the tasks of `step` in program order, and what carries over to the next step.

        The GEMMs of each operation go where they are `placed`, or else by the rules.
        Raises Infeasible when the hardware cannot run an operation.
        """
        program = self._programs.of(step, carry, placed)
        return program.on(self._templates), program.carry

    def synchronise(self) -> tuple[Task, ...]:
        """Return what the CPU does to notice one completion, by itself."""
        return self._programs.synchronise().on(self._templates)


@dataclass(frozen=True, slots=True)
class Program:
    """The tasks of a step in program order, what they ask for, and what the step leaves."""

    step: Step | None
    tasks: tuple[Bound, ...]
    carry: Carry

    def on(self, templates: Templates) -> tuple[Task, ...]:
        """Return the tasks with the work that `templates` make of what they ask for."""
        works = {asked: asked.of(templates) for asked in dict.fromkeys(b.work for b in self.tasks)}
        return tuple(
            [
                Task(works[asked], op, phase, layer, waits)
                for asked, op, phase, layer, waits in self.tasks
            ]
        )


_STEPS = 64  # a guess: more than a trace has, cold and steady; of 0.1 to 1 MB each


class Programs:
    """The steps of traces as hardware of one outline runs them, whatever its sizes."""

    def __init__(self, outline: Outline) -> None:
        """Lower for hardware of this outline."""
        self._outline = outline
        self._asking = Asking(outline)
        self._known: Memo[Program] = Memo("programs of an outline", _STEPS)

    def of(self, step: Step, carry: Carry, placed: Sequence[Unit] | None) -> Program:
        """Return what `Lowering.lower` says, made once."""
        # The program keeps its step, and so no other one has its id.
        key = id(step), carry, None if placed is None else tuple(placed)
        return self._known.get(key, lambda: self._lowered(step, carry, placed))

    def _lowered(self, step: Step, carry: Carry, placed: Sequence[Unit] | None) -> Program:
        binding = Binding(self._asking, len(step.storages))
        binding.cache.hold(_as_tokens(carry.cached, _recalled(carry, step, binding)))
        new = new_bytes(step)
        offload = Offload(binding, carry.engines)
        part = StepPart.LOOP
        for index, op in enumerate(step.ops):
            part = self._begun(binding, index, op, part)
            if op.gemms:
                told = placed[index] if placed else None
                self._gemms(binding, offload, index, op, new[index], told)
            else:
                self._plain(binding, index, op, new[index])
        copies = _kept(binding, step)
        left = _by_name(binding.cache.lines, ChainMap[Any, Any](copies, _named(step)))
        after = Carry(frozenset(offload.engines), frozenset(copies.values()), left)
        return Program(step, tuple(binding.tasks), after)

    def synchronise(self) -> Program:
        """Return what the CPU does to notice one completion, by itself."""
        binding = Binding(self._asking, 0)
        duration_ps = self._outline.runtime.synchronise
        binding.driver(Stage.SYNCHRONISE, duration_ps, Site(0, Phase.OTHER, ""))
        return Program(None, tuple(binding.tasks), Carry())

    def _begun(self, binding: Binding, index: int, op: Op, part: StepPart) -> StepPart:
        """Begin another part of the step than `part` if `op` does, and return the one it is in."""
        own = part_of_step(op.phase) or part
        if own != part:
            duration_ps = begin_ps(self._outline.cpu, own)
            binding.driver(Stage.BEGIN, duration_ps, Site(index, op.phase, op.layer))
        return own

    def _plain(
        self, binding: Binding, index: int, op: Op, new: int = 0, *, dispatched: bool = True
    ) -> None:
        """An operation without GEMMs, on the CPU. A view moves nothing and waits for nothing."""
        site = Site(index, op.phase, op.layer)
        if op.kind is OpKind.VIEW:
            work = self._asking.operation(op, NOTHING, dispatched=dispatched)
            binding.append(work, site, (), ())
            return
        moved = binding.cache.walk(loops_of(op))
        work = self._asking.operation(op, moved, new, dispatched=dispatched)
        barrier = op.kind is OpKind.SYNC
        reads, writes = storages(op.inputs), storages(op.outputs)
        binding.append(work, site, reads, writes, random=op.random, barrier=barrier)

    def _gemms(
        self,
        binding: Binding,
        offload: Offload,
        index: int,
        op: Op,
        new: int,
        told: Unit | None,
    ) -> None:
        """GEMMs where they are placed, each role a task of its own; then what else the op does."""
        placed = [(gemm, place(self._outline, op, gemm, told)) for gemm in op.gemms]
        on_cpu = [gemm for gemm, placement in placed if placement.unit is Unit.CPU]
        roles = list(dict.fromkeys(gemm.role for gemm in on_cpu))
        for role in roles:
            gemms = tuple(gemm for gemm in on_cpu if gemm.role is role)
            first = role is roles[0]
            self._cpu_gemms(binding, index, op, gemms, new if first else 0, dispatched=first)
        offloaded = [item for item in placed if item[1].unit is Unit.ACCELERATOR]
        offload.add(index, op, offloaded)
        if offloaded or len(roles) > 1:
            eager = bool(offloaded) and self._outline.runtime.conversions == "eager"
            self._left_over(binding, index, op, dispatched=eager)

    def _cpu_gemms(
        self,
        binding: Binding,
        index: int,
        op: Op,
        gemms: tuple[Gemm, ...],
        new: int,
        *,
        dispatched: bool,
    ) -> None:
        part = _part(op, gemms)
        site = Site(index, phase_of(op, gemms[0].role), op.layer)
        moved = binding.cache.walk(loops_of(part))
        work = self._asking.cpu_gemm(part, gemms, moved, new, dispatched=dispatched)
        reads, writes = storages(part.inputs), storages(part.outputs)
        done = binding.append(work, site, reads, writes, random=op.random)
        hidden = sum(executed_results(gemm) for gemm in gemms if gemm.c < 0)
        if hidden and not is_timed_whole(self._outline.cpu, part, gemms[0]):
            # A softmax or gates between the GEMMs of a fused kernel, in its caches.
            kernel = between_products(op.name)
            inner = self._asking.kernel(Stage.OP, kernel, hidden, NOTHING)
            binding.append(inner, site, (), writes, after=(done,))

    def _left_over(self, binding: Binding, index: int, op: Op, *, dispatched: bool) -> None:
        """What the op computes besides its GEMMs: the bias gradient, on the CPU. A driver of eager
        ops has it `dispatched`; else it is part of the op.
        """
        made = {gemm.c for gemm in op.gemms}
        rest = tuple(tensor for i, tensor in enumerate(op.outputs) if i not in made)
        if not rest or not FACTS[op.phase].backward or -1 in made:
            return
        sources = tuple(op.inputs[which] for which in [_gradient(op)] if which >= 0)
        reduction = Op(op.name, OpKind.REDUCTION, Phase.WGRAD, op.layer, sources, rest)
        self._plain(binding, index, reduction, dispatched=dispatched)


_OUTLINES = 4  # a guess: a sweep over arrays and memories has one
_PROGRAMS: Memo[Programs] = Memo("outlines", _OUTLINES)


def programs_on(outline: Outline) -> Programs:
    """Return the programs on hardware of this outline, which equal ones share."""
    # By its text, which is complete: measured CPUs hold dictionaries, and so have no hash.
    return _PROGRAMS.get(repr(outline), lambda: Programs(outline))


def _named(step: Step) -> dict[int, str]:
    """Return the names of the storages that stay from step to step."""
    return {
        index: storage.name
        for index, storage in enumerate(step.storages)
        if storage.kind in PERSISTENT and storage.name
    }


def _kept(binding: Binding, step: Step) -> dict[int, tuple[str, CopyKey]]:
    """Return the copies that the next step can use, by token: of what stays and was not written."""
    names = _named(step)
    return {
        token: (names[storage], key) for storage, key, token in binding.copies if storage in names
    }


def _recalled(carry: Carry, step: Step, binding: Binding) -> dict[Token, Token]:
    """Return the tokens in this step of what the earlier one knew by name."""
    storages_of = {name: token for token, name in _named(step).items()}
    tokens: dict[Token, Token] = dict(storages_of.items())
    for name, key in sorted(carry.copies, key=repr):
        if name in storages_of:
            tokens[name, key] = binding.recall(storages_of[name], key)
    return tokens


def _by_name(lines: Lines, names: Mapping[Token, Token]) -> Lines:
    """Return what the cache holds at the end of a step in terms that the next step knows."""
    return tuple((names.get(token, at), line) for at, (token, line) in enumerate(lines))


def _as_tokens(lines: Lines, tokens: Mapping[Token, Token]) -> Iterator[tuple[Token, Line]]:
    """Yield what an earlier step left, by the tokens of this one where it has them."""
    for name, line in lines:
        yield tokens.get(name, f"earlier {name}"), line


def _gradient(op: Op) -> int:
    """Return the input of a convolution's backward that is the gradient of its output."""
    gemm = op.gemms[0]
    transposed = gemm.conv is not None and gemm.conv.transposed
    return gemm.b if transposed and gemm.role is Role.WGRAD else gemm.a


def _part(op: Op, gemms: tuple[Gemm, ...]) -> Op:
    """Return the part of `op` that computes `gemms`: its operands and results alone."""
    if len(gemms) == len(op.gemms):
        return op
    used = sorted({which for gemm in gemms for which in (gemm.a, gemm.b) if which >= 0})
    made = sorted({gemm.c for gemm in gemms if gemm.c >= 0})
    inputs = tuple(op.inputs[i] for i in used)
    outputs = tuple(op.outputs[i] for i in made)
    return Op(op.name, op.kind, op.phase, op.layer, inputs, outputs)
