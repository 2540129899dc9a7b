"""Where the steps of a trace begin, and which phase each op of a step belongs to."""

from collections.abc import Iterator
from itertools import pairwise

from simulator.trace.importers.names import is_step, kind_by_name, marked_phase
from simulator.trace.importers.nodes import Mark, Seen
from simulator.trace.importers.passes import passes
from simulator.trace.op import OpKind, Phase
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.phases import FACTS
from simulator.trace.trace import StepKind

Entry = Seen | Mark


def split(found: list[Entry]) -> tuple[list[list[Seen]], int]:
    """Return the ops of each step, and how many ops belong to none.

    The profiler's marks begin the steps; without them a step ends after its optimizer, where the
    next gradients are zeroed, the next batch is loaded or the next network runs, and an evaluation
    pass is a step of its own.
    """
    marked = any(isinstance(entry, Mark) and is_step(entry.node.name) for entry in found)
    groups = _by_marks(found) if marked else list(_without_evaluation(_by_optimizer(found)))
    steps: list[list[Seen]] = []
    left = 0
    for group in groups:
        ops = [entry for entry in group if isinstance(entry, Seen)]
        if any(_in_network(seen) for seen in ops):
            steps.append(ops)
        elif steps and not marked:
            steps[-1] += ops
        else:
            left += len(ops)
    return [ops for step in steps for ops in passes(step)], left


def _by_marks(found: list[Entry]) -> list[list[Entry]]:
    groups: list[list[Entry]] = [[]]
    for entry in found:
        if isinstance(entry, Mark) and is_step(entry.node.name):
            groups.append([])
        groups[-1].append(entry)
    return groups


def _by_optimizer(found: list[Entry]) -> list[list[Entry]]:
    groups: list[list[Entry]] = [[]]
    stepped = False
    for entry in found:
        if stepped and _begins(entry):
            groups.append([])
            stepped = False
        groups[-1].append(entry)
        stepped |= marked_phase(entry.node.name) is Phase.OPTIMIZER
    return groups


def _begins(entry: Entry) -> bool:
    if isinstance(entry, Mark):
        phase = marked_phase(entry.node.name)
        return phase is not None and FACTS[phase].begins_step
    return _in_network(entry) and entry.scope.marker is None


# Evaluation passes: they run the network, and no backward differentiates what they did


def _without_evaluation(groups: list[list[Entry]]) -> Iterator[list[Entry]]:
    """Yield the groups, parted from the evaluation that came before their training.

    Where the first step and most others begin with a network that is not differentiated, it is
    part of them (a teacher, a target network), unless a batch is loaded in between.
    """
    learned = {
        entry.scope.backward for group in groups for entry in group if isinstance(entry, Seen)
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


def _start(group: list[Entry], learned: set[tuple[int, int] | None]) -> int:
    """Return where training starts, 0 if no network runs in the group before that.

    That is at the first mark after the evaluation, or else at the first op that is learned from.
    """
    learning = [place for place, entry in enumerate(group) if _learns(entry, learned)]
    network = next((place for place in learning if _runs_network(group[place])), 0)
    before = [place for place in range(network) if _runs_network(group[place])]
    if not before:
        return 0
    between = range(before[-1] + 1, network + 1)
    marks = (place for place in between if isinstance(group[place], Mark))
    return next(marks, next(place for place in learning if place in between))


def _learns(entry: Entry, learned: set[tuple[int, int] | None]) -> bool:
    if isinstance(entry, Mark) or entry.scope.in_backward:
        return False
    return (entry.node.thread, entry.scope.seq) in learned


def _runs_network(entry: Entry) -> bool:
    return isinstance(entry, Seen) and _in_network(entry) and entry.scope.marker is None


def _differentiates(group: list[Entry]) -> bool:
    return any(isinstance(entry, Seen) and entry.scope.in_backward for entry in group)


def _loads(entry: Entry) -> bool:
    return isinstance(entry, Mark) and marked_phase(entry.node.name) is Phase.DATA


def _by_batches(group: list[Entry]) -> Iterator[list[Entry]]:
    cuts = [place for place, entry in enumerate(group) if place and _loads(entry)]
    for begin, end in pairwise([0, *cuts, len(group)]):
        yield group[begin:end]


def _in_network(seen: Seen) -> bool:
    return seen.scope.in_backward or _computes_network(seen)


def _computes_network(seen: Seen) -> bool:
    """Tell whether an op is, or is called by, one that only networks have."""
    outer = seen.scope.outer or seen.node
    return any(map(_of_network, (seen.node.base, outer.base)))


def _of_network(base: str) -> bool:
    kind = kind_by_name(base)
    return base == "embedding" or (kind is not None and KIND_FACTS[kind].in_networks)


def phases(step: list[Seen]) -> Iterator[Phase]:
    """Yield the phase of each op; backward ops as dgrad, which their results may correct.

    A loss lasts until backward begins or another network runs.
    """
    now = Phase.FORWARD
    for seen in step:
        scope = seen.scope
        if scope.in_backward:
            now = Phase.OTHER
            # Backward runs without grad mode, unless a checkpoint computes its forward again.
            yield Phase.RECOMPUTE if scope.seq >= 0 else Phase.DGRAD
        elif scope.marker is not None and not _closure(seen):
            yield scope.marker
        elif scope.loss:
            now = Phase.LOSS
            yield now
        else:
            if _computes_network(seen):
                now = Phase.FORWARD
            yield Phase.OTHER if kind_by_name(seen.node.base) is OpKind.SYNC else now


def _closure(seen: Seen) -> bool:
    """Tell whether an op inside the optimizer is of the closure that it calls, in grad mode."""
    return seen.scope.marker is Phase.OPTIMIZER and seen.scope.seq >= 0


def kind_of(phases_: list[Phase]) -> StepKind:
    """Return the kind of a step with these phases."""
    if Phase.OPTIMIZER in phases_:
        return StepKind.TRAIN
    if Phase.DGRAD in phases_ or Phase.RECOMPUTE in phases_:
        return StepKind.OTHER
    return StepKind.EVAL
