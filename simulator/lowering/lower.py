"""A step's operations become tasks: work for a unit, bound to tensors and ordered by them."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from simulator.activity import Stage, Task, Work
from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.soc import Hardware
from simulator.lowering.backends.backend import backends_of
from simulator.lowering.balance import UNBALANCED, Balance, PartSizes
from simulator.lowering.binding import Binding, CopyKey, Site
from simulator.lowering.cache import CachedRegion, Lines, Token
from simulator.lowering.heap import new_bytes
from simulator.lowering.keeping import Keeping, plan_of
from simulator.lowering.outline import Outline, outline_of
from simulator.lowering.placement import place, traced_precision
from simulator.lowering.program import LoweredStep, Program, program_of
from simulator.lowering.requests import Requests, WorkRequest
from simulator.lowering.splitting import parts_of
from simulator.lowering.step_on_units import StepOnUnits
from simulator.lowering.works import Templates
from simulator.memo import Memo
from simulator.timing.compiled import compiled_on
from simulator.timing.shares import WHOLE
from simulator.trace.compiled_graph import NO_GRAPH, graph_of
from simulator.trace.op import Phase
from simulator.trace.trace import PERSISTENT, Step, StorageKind

Units = Sequence[str]
"""The unit of each op of a step."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What one step leaves to the next: engines that are built, copies of tensors for the
    accelerator, tensors in the last-level cache.

    Parameters and other tensors that stay are known by their names, copies of them by name and
    key; what else is in the cache is only in the way.
    """

    engines: frozenset[WorkRequest] = frozenset()
    copies: frozenset[tuple[str, CopyKey]] = frozenset()
    cached: Lines = ()


class Precisions(NamedTuple):
    """The precisions in which the GEMMs of a step were traced, and those in which they run."""

    traced: frozenset[str]
    executed: frozenset[str]


class Lowering:
    """Lowers steps for one SoC; shapes seen before are not lowered again."""

    def __init__(self, hardware: Hardware) -> None:
        """Lower for `hardware`."""
        self._programs = programs_on(outline_of(hardware))
        self._templates = Templates(hardware)
        self._balance = Balance(hardware.runtime)

    def lower(
        self, step: Step, carry: Carry, units: Units | None = None
    ) -> tuple[tuple[Task, ...], Carry]:
        """Return the tasks of `step` in program order, and what carries over to the next step.

        Op i goes to `units[i]`, or else where the rules place it. Raises Infeasible when the
        hardware cannot run an operation.
        """
        lowered, after = self.lowered(step, carry, units)
        return lowered.tasks, after

    def lowered(
        self, step: Step, carry: Carry, units: Units | None = None
    ) -> tuple[LoweredStep, Carry]:
        """Return what `lower` does, its tasks as columns."""
        sizes = UNBALANCED if units else self._balance.of(step, self._alone_ps)
        program, after = self._programs.of(step, carry, units, sizes)
        return self._on(program), after

    def alone(self, step: Step, unit: str) -> LoweredStep:
        """Return a step of one op on `unit`, caches empty and engines built."""
        _, after = self._programs.of(step, Carry(), (unit,))
        program, _ = self._programs.of(step, Carry(after.engines), (unit,))
        return self._on(program)

    def _alone_ps(self, step: Step, unit: str) -> int:
        """Return how long the tasks of such a step take, one after the other."""
        lowered = self.alone(step, unit)
        works = (lowered.works[number] for number in lowered.program.numbers)
        return sum(work.progress.duration_ps(WHOLE) for work in works)

    def precisions(self, step: Step, units: Units | None = None) -> Precisions:
        """Return the precisions of the GEMMs of `step`, of which op i goes to `units[i]`."""
        sizes = UNBALANCED if units else self._balance.of(step, self._alone_ps)
        return self._programs.precisions(step, units, sizes)

    def synchronise(self, unit: str, *, awaited: bool = False) -> tuple[Task, ...]:
        """Return what the CPU does to use a result of `unit`, `awaited` already or not, by itself:
        it awaits one completion, and has a switch come back.
        """
        return self._on(self._programs.synchronise(unit, awaited=awaited)).tasks

    def _on(self, program: Program) -> LoweredStep:
        templates, host = self._templates, self._templates.on_host(program)
        works = [*host.works]
        for number in program.elsewhere:
            works[number] = program.works[number].of(templates)
        return LoweredStep(program, tuple(cast(list[Work], works)), host)


class _OpPlaces(NamedTuple):
    """Where the ops of a step go: the unit of each, or by the rules and splits of these sizes."""

    units: tuple[str, ...] | None
    sizes: PartSizes

    def of(self, index: int) -> tuple[str | None, tuple[int, ...]]:
        """Return the unit of op `index`, if it is given, and the sizes of its parts."""
        unit = self.units[index] if self.units else None
        return unit, self.sizes[index] if self.sizes else ()


class _Lowered(NamedTuple):
    """A step on all hardware of an outline, and what it leaves."""

    program: Program
    carry: Carry


# Guesses: each outline has the steps of a trace, cold and steady, of 0.1 to 1 MB each. All share
# the room: a sweep over CPUs has many outlines, and goes through them again and again.
_STEPS = 256
_PRECISIONS = 64
_PROGRAMS_OF_STEPS: "Memo[_Lowered]" = Memo("lowered steps", _STEPS)


class Programs:
    """The steps of traces as hardware of one outline runs them, whatever its sizes."""

    def __init__(self, outline: Outline) -> None:
        """Lower for hardware of this outline."""
        self._outline = outline
        self._requests = Requests(outline)
        self._backends = backends_of(outline)
        self._precisions: Memo[Precisions] = Memo("precisions of steps", _PRECISIONS)

    def of(
        self, step: Step, carry: Carry, units: Units | None, sizes: PartSizes = UNBALANCED
    ) -> tuple[Program, Carry]:
        """Return what `Lowering.lower` says, made once; `sizes` are those of balanced splits."""
        placed = _OpPlaces(None if units is None else tuple(units), sizes)
        key = self, step.digest, carry, placed
        return _PROGRAMS_OF_STEPS.get(key, lambda: self._lowered(step, carry, placed))

    def precisions(
        self, step: Step, units: Units | None, sizes: PartSizes = UNBALANCED
    ) -> Precisions:
        """Return what `Lowering.precisions` says, computed once."""
        placed = _OpPlaces(None if units is None else tuple(units), sizes)
        key = step.digest, placed
        return self._precisions.get(key, lambda: self._precisions_of(step, placed))

    def _precisions_of(self, step: Step, placed: "_OpPlaces") -> Precisions:
        runtime, backends = self._outline.runtime, self._backends
        traced, executed = set(), set()
        for index, op in enumerate(step.ops):
            unit, sizes = placed.of(index)
            parts = () if unit else parts_of(runtime, op.head, sizes)
            for on, each in parts or ((unit, op),):
                for gemm in each.gemms:
                    traced.add(traced_precision(each, gemm))
                    executed.add(place(runtime, backends, each, gemm, on).precision)
        return Precisions(frozenset(traced), frozenset(executed))

    def _lowered(self, step: Step, carry: Carry, placed: "_OpPlaces") -> _Lowered:
        capacities = {name: size for name, size in self._capacities if size}
        if not capacities:
            return self._with(step, carry, placed, Keeping({}))[1]
        keeping = Keeping(capacities)
        binding, _ = self._with(step, carry, placed, keeping)
        plan = plan_of(keeping.touches, capacities, _lasting(binding, step))
        return self._with(step, carry, placed, Keeping(capacities, plan))[1]

    @property
    def _capacities(self) -> Iterator[tuple[str, int]]:
        for name, unit in self._outline.units.items():
            if isinstance(unit.interface, ArrayInterface):
                yield name, unit.interface.keep

    def _with(
        self, step: Step, carry: Carry, placed: "_OpPlaces", keeping: Keeping
    ) -> tuple[Binding, _Lowered]:
        """Lower a step whose accelerators keep tensors as `keeping` says."""
        binding = Binding(self._requests, len(step.storages), new_bytes(step), keeping)
        binding.cache.hold(_as_tokens(carry.cached, _recalled(carry, step, binding)))
        compiled = compiled_on(self._outline.cpu, self._outline.runtime)
        graph = graph_of(step) if compiled else NO_GRAPH
        lowered = StepOnUnits(self._outline, self._backends, binding, carry.engines, graph)
        for index, op in enumerate(step.ops):
            lowered.add(index, op, *placed.of(index))
        copies = _lasting_copies(binding, step)
        left = _by_name(binding.cache.lines, ChainMap[Any, Any](copies, _named(step)))
        after = Carry(lowered.engines, frozenset(copies.values()), left)
        memory = binding.buffers.bytes_by_op(
            binding.tasks.ops, len(step.ops), copies.keys(), keeping.unstored
        )
        return binding, _Lowered(self._program(binding, memory, lowered.unfused), after)

    def synchronise(self, unit: str, *, awaited: bool) -> Program:
        """Return what the CPU does to use a result of `unit`, by itself."""
        binding, driver = Binding(self._requests, 0), self._outline.units[unit].driver
        site = Site(0, Phase.OTHER, "")
        if not awaited:
            binding.driver(Stage.SYNCHRONISE, driver.synchronise, site)
        binding.driver(Stage.SWITCH, driver.switch, site)
        return self._program(binding)

    def _program(
        self, binding: Binding, copies: Sequence[int] = (), unfused: Iterable[int] = ()
    ) -> Program:
        return program_of(binding.tasks, self._outline.runtime.issue, copies, unfused)


_OUTLINES = 32  # a guess: a sweep over arrays and memories has one, over CPUs one for each
_PROGRAMS: Memo[Programs] = Memo("outlines", _OUTLINES)


def programs_on(outline: Outline) -> Programs:
    """Return the programs on hardware of this outline, which equal ones share."""
    return _PROGRAMS.get(outline.key, lambda: Programs(outline))


def _named(step: Step) -> dict[int, str]:
    """Return the names of the storages that stay from step to step."""
    return {
        index: storage.name
        for index, storage in enumerate(step.storages)
        if storage.kind in PERSISTENT and storage.name
    }


def _lasting(binding: Binding, step: Step) -> frozenset[int]:
    """Return the tokens that outlive the step: gradients, what stays, and copies of it."""
    stay = (*PERSISTENT, StorageKind.GRADIENT)
    storages = {index for index, storage in enumerate(step.storages) if storage.kind in stay}
    return frozenset(storages | _lasting_copies(binding, step).keys())


def _lasting_copies(binding: Binding, step: Step) -> dict[int, tuple[str, CopyKey]]:
    """Return the copies that the next step can use, by token: of what stays and was not written."""
    names = _named(step)
    return {
        token: (names[storage], key) for storage, key, token in binding.copies if storage in names
    }


def _recalled(carry: Carry, step: Step, binding: Binding) -> dict[Token, Token]:
    """Return the tokens in this step of what the earlier one left by name."""
    storages_of = {name: token for token, name in _named(step).items()}
    tokens: dict[Token, Token] = dict(storages_of.items())
    for name, key in sorted(carry.copies, key=repr):
        if name in storages_of:
            tokens[name, key] = binding.recall(storages_of[name], key)
    return tokens


def _by_name(lines: Lines, names: Mapping[Token, Token]) -> Lines:
    """Return the cache's lines after a step, by names that the next step can resolve."""
    return tuple((names.get(token, at), line) for at, (token, line) in enumerate(lines))


def _as_tokens(lines: Lines, tokens: Mapping[Token, Token]) -> Iterator[tuple[Token, CachedRegion]]:
    """Yield what an earlier step left, by the tokens of this one where it has them."""
    for name, line in lines:
        yield tokens.get(name, f"earlier {name}"), line
