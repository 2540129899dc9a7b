"""Where the steps of a trace start, and the phase of each op."""

from collections.abc import Iterator
from itertools import pairwise

from simulator.trace.importers.names import is_step, kind_by_name, marked_phase
from simulator.trace.importers.nodes import Mark, OpEvent
from simulator.trace.importers.passes import passes
from simulator.trace.op import OpKind, Phase
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.phases import FACTS
from simulator.trace.trace import StepKind

OpOrMark = OpEvent | Mark


def split(entries: list[OpOrMark]) -> tuple[list[list[OpEvent]], int]:
    """Return the ops of each step, and how many ops belong to no step.

    Steps start at the profiler's step marks. Without marks a step ends after its optimizer, as soon
    as gradients are zeroed, a batch is loaded or a network runs; an evaluation pass is a step of
    its own.
    """
    marked = any(isinstance(entry, Mark) and is_step(entry.node.name) for entry in entries)
    groups = _by_marks(entries) if marked else list(_without_evaluation(_by_optimizer(entries)))
    steps: list[list[OpEvent]] = []
    left = 0
    for group in groups:
        ops = [entry for entry in group if isinstance(entry, OpEvent)]
        if any(_in_network(event) for event in ops):
            steps.append(ops)
        elif steps and not marked:
            steps[-1] += ops
        else:
            left += len(ops)
    return [ops for step in steps for ops in passes(step)], left


def _by_marks(entries: list[OpOrMark]) -> list[list[OpOrMark]]:
    groups: list[list[OpOrMark]] = [[]]
    for entry in entries:
        if isinstance(entry, Mark) and is_step(entry.node.name):
            groups.append([])
        groups[-1].append(entry)
    return groups


def _by_optimizer(entries: list[OpOrMark]) -> list[list[OpOrMark]]:
    groups: list[list[OpOrMark]] = [[]]
    stepped = False
    for entry in entries:
        if stepped and _begins(entry):
            groups.append([])
            stepped = False
        groups[-1].append(entry)
        stepped |= marked_phase(entry.node.name) is Phase.OPTIMIZER
    return groups


def _begins(entry: OpOrMark) -> bool:
    if isinstance(entry, Mark):
        phase = marked_phase(entry.node.name)
        return phase is not None and FACTS[phase].begins_step
    return _in_network(entry) and entry.scope.marker is None


# Evaluation passes: they run a network that no backward pass differentiates


def _without_evaluation(groups: list[list[OpOrMark]]) -> Iterator[list[OpOrMark]]:
    """Yield the groups, with evaluation before training split off.

    If the first step and most others start with a network that is not differentiated (a teacher, a
    target network), it is part of the step, unless a batch is loaded in between.
    """
    learned = {
        entry.scope.backward for group in groups for entry in group if isinstance(entry, OpEvent)
    }
    starts = [_start(group, learned) for group in groups]
    training = [
        start > 0 for group, start in zip(groups, starts, strict=True) if _differentiates(group)
    ]
    habit = training[:1] == [True] and 2 * sum(training) >= len(training)
    for group, start in zip(groups, starts, strict=True):
        if not _differentiates(group):
            yield from _by_batches(group)
        elif start and (not habit or _loads(group[start])):
            yield from _by_batches(group[:start])
            yield group[start:]
        else:
            yield group


def _start(group: list[OpOrMark], learned: set[tuple[int, int] | None]) -> int:
    """Return where training starts, 0 if no network runs before.

    That is the first mark after the evaluation, else the first op that is differentiated.
    """
    learning = [place for place, entry in enumerate(group) if _learns(entry, learned)]
    network = next((place for place in learning if _runs_network(group[place])), 0)
    before = [place for place in range(network) if _runs_network(group[place])]
    if not before:
        return 0
    between = range(before[-1] + 1, network + 1)
    marks = (place for place in between if isinstance(group[place], Mark))
    return next(marks, next(place for place in learning if place in between))


def _learns(entry: OpOrMark, learned: set[tuple[int, int] | None]) -> bool:
    if isinstance(entry, Mark) or entry.scope.in_backward:
        return False
    return (entry.node.thread, entry.scope.seq) in learned


def _runs_network(entry: OpOrMark) -> bool:
    return isinstance(entry, OpEvent) and _in_network(entry) and entry.scope.marker is None


def _differentiates(group: list[OpOrMark]) -> bool:
    return any(isinstance(entry, OpEvent) and entry.scope.in_backward for entry in group)


def _loads(entry: OpOrMark) -> bool:
    return isinstance(entry, Mark) and marked_phase(entry.node.name) is Phase.DATA


def _by_batches(group: list[OpOrMark]) -> Iterator[list[OpOrMark]]:
    cuts = [place for place, entry in enumerate(group) if place and _loads(entry)]
    for begin, end in pairwise([0, *cuts, len(group)]):
        yield group[begin:end]


def _in_network(event: OpEvent) -> bool:
    return event.scope.in_backward or _computes_network(event)


def _computes_network(event: OpEvent) -> bool:
    """Tell whether an op is, or is called by, one that only networks have."""
    outer = event.scope.outer or event.node
    return any(map(_of_network, (event.node.base, outer.base)))


def _of_network(base: str) -> bool:
    kind = kind_by_name(base)
    return base == "embedding" or (kind is not None and KIND_FACTS[kind].in_networks)


def phases(step: list[OpEvent]) -> Iterator[Phase]:
    """Yield the phase of each op; all backward ops are dgrad until their results say otherwise.

    A loss lasts until backward starts or another network runs.
    """
    now = Phase.FORWARD
    for event in step:
        scope = event.scope
        if scope.in_backward:
            now = Phase.OTHER
            # Backward runs without grad mode, except where a checkpoint recomputes its forward.
            yield Phase.RECOMPUTE if scope.seq >= 0 else Phase.DGRAD
        elif scope.marker is not None and not _closure(event):
            yield scope.marker
        elif scope.loss:
            now = Phase.LOSS
            yield now
        else:
            if _computes_network(event):
                now = Phase.FORWARD
            yield Phase.OTHER if kind_by_name(event.node.base) is OpKind.SYNC else now


def _closure(event: OpEvent) -> bool:
    """Return whether an op belongs to the closure that an optimizer calls: it runs in grad mode."""
    return event.scope.marker is Phase.OPTIMIZER and event.scope.seq >= 0


def kind_of(phases_: list[Phase]) -> StepKind:
    """Return the kind of a step with these phases."""
    if Phase.OPTIMIZER in phases_:
        return StepKind.TRAIN
    if Phase.DGRAD in phases_ or Phase.RECOMPUTE in phases_:
        return StepKind.OTHER
    return StepKind.EVAL
