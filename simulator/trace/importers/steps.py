"""Where the steps of a trace begin, and which phase each op of a step belongs to."""

from collections.abc import Iterator

from simulator.trace.importers.names import is_step, kind_by_name, marked_phase
from simulator.trace.importers.nodes import Mark, Seen
from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import StepKind

_NETWORK = frozenset({OpKind.GEMM, OpKind.NORM})
_STARTERS = frozenset({Phase.ZERO_GRAD, Phase.DATA})


def split(found: list[Seen | Mark]) -> tuple[list[list[Seen]], int]:
    """Return the ops of each step, and how many ops belong to none.

    The profiler's marks begin the steps; without them a step ends after its optimizer, where the
    next gradients are zeroed, the next batch is loaded or the next network runs.
    """
    marked = any(isinstance(entry, Mark) and is_step(entry.node.name) for entry in found)
    groups = _by_marks(found) if marked else _by_optimizer(found)
    steps: list[list[Seen]] = []
    left = 0
    for group in groups:
        if any(_in_network(seen) for seen in group):
            steps.append(group)
        elif steps and not marked:
            steps[-1] += group
        else:
            left += len(group)
    return steps, left


def _by_marks(found: list[Seen | Mark]) -> list[list[Seen]]:
    groups: list[list[Seen]] = [[]]
    for entry in found:
        if isinstance(entry, Seen):
            groups[-1].append(entry)
        elif is_step(entry.node.name):
            groups.append([])
    return groups


def _by_optimizer(found: list[Seen | Mark]) -> list[list[Seen]]:
    groups: list[list[Seen]] = [[]]
    stepped = False
    for entry in found:
        if stepped and _begins(entry):
            groups.append([])
            stepped = False
        if isinstance(entry, Seen):
            groups[-1].append(entry)
        stepped |= marked_phase(entry.node.name) is Phase.OPTIMIZER
    return groups


def _begins(entry: Seen | Mark) -> bool:
    if isinstance(entry, Mark):
        return marked_phase(entry.node.name) in _STARTERS
    return _in_network(entry) and entry.scope.marker is None


def _in_network(seen: Seen) -> bool:
    return kind_by_name(seen.node.base) in _NETWORK or seen.scope.in_backward


def phases(step: list[Seen]) -> Iterator[Phase]:
    """Yield the phase of each op; backward ops as dgrad, which their results may correct.

    A loss lasts until backward begins or another network runs.
    """
    now = Phase.FORWARD
    for seen in step:
        scope, kind = seen.scope, kind_by_name(seen.node.base)
        if scope.in_backward:
            now = Phase.OTHER
            # Backward runs without grad mode, unless a checkpoint computes its forward again.
            yield Phase.RECOMPUTE if scope.seq >= 0 else Phase.DGRAD
        elif scope.marker is not None and not (_closure(seen)):
            yield scope.marker
        elif scope.loss:
            now = Phase.LOSS
            yield now
        else:
            if kind in _NETWORK or seen.node.base == "embedding":
                now = Phase.FORWARD
            yield Phase.OTHER if kind is OpKind.SYNC else now


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
