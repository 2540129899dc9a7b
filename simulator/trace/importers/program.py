"""From the events of a PyTorch trace to a Trace: steps, calls, drafts, repetitions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

from simulator.errors import InputError
from simulator.trace.drafts import (
    Owned,
    build_step,
    find_optimizer_layers,
    find_weight_gradients,
)
from simulator.trace.importers.calls import Call, StorageResolver, bind
from simulator.trace.importers.drafting import Drafter
from simulator.trace.importers.nodes import Node, OpEvent, flattened
from simulator.trace.importers.passes import restarts
from simulator.trace.importers.steps import kind_of, phases, split
from simulator.trace.importers.values import MALFORMED
from simulator.trace.op import OpKind, Phase
from simulator.trace.phases import FACTS
from simulator.trace.trace import Segment, Step, StorageKind, Timing, Trace


@dataclass(slots=True)
class ImportedRun:
    """The calls of each step, the storages that they touch, and how many ops were left out."""

    steps: list[list[Call]]
    resolver: StorageResolver
    left_out: int

    @property
    def numbers(self) -> int:
        """How many operands were taken for scalars of the program."""
        return sum(call.number for step in self.steps for call in step)


def read_run(path: Path, programs: Iterable[list[Node]], resolver: StorageResolver) -> ImportedRun:
    """Return the calls in the event trees of each process.

    Raises InputError if they contain no network.
    """
    bound, left_out = [], 0
    for roots in programs:
        steps, left = split(flattened(roots))
        left_out += left
        for step in steps:
            bound.append(_calls(path, step, resolver))
    if not any(call.effect.kind is OpKind.GEMM for step in bound for call in step):
        raise InputError(
            f"{path} holds no matrix product or convolution: record whole training steps"
        )
    return ImportedRun(bound, resolver, left_out)


def _calls(path: Path, step: list[OpEvent], resolver: StorageResolver) -> list[Call]:
    resolver.begin_step()
    again = restarts(step)
    numbered = zip(range(len(step)), step, phases(step), strict=True)
    return [
        _bound(path, event, phase, resolver, place in again) for place, event, phase in numbered
    ]


def _bound(
    path: Path, event: OpEvent, phase: Phase, resolver: StorageResolver, again: bool
) -> Call:
    try:
        return bind(event, phase, resolver, restarts=again)
    except MALFORMED as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(
            f"{path}: {event.node.name} does not have the arguments that it takes ({reason}): "
            "record the trace again with a newer PyTorch"
        ) from None


def draft_steps(run: ImportedRun, drafter: Callable[[], Drafter]) -> list[Drafter]:
    """Return a drafter for each step, which has drafted all its calls."""
    drafted = []
    for step in run.steps:
        drafted.append(drafter())
        for call in step:
            drafted[-1].add(call)
    return drafted


def find_gradients(drafter: Drafter) -> None:
    """Find the gradients of parameters, and mark backward work that only computes them as wgrad."""
    backward: set[int] = set()
    for draft in drafter.drafts:
        if FACTS[draft.phase].backward:
            backward |= {tensor.storage for tensor in draft.outputs}
        elif draft.phase is Phase.OPTIMIZER:
            drafter.gradients |= backward & draft.touched
    find_weight_gradients(drafter.drafts, drafter.gradients)


def name_layers(drafted: list[Drafter]) -> dict[int, str]:
    """Give optimizer ops the layers of their parameters; return parameter names by storage."""
    names: dict[int, str] = {}
    for drafter in drafted:
        names = drafter.names | names
    layers = {storage: name.rpartition(".")[0] for storage, name in names.items()}
    for drafter in drafted:
        _spread(drafter, layers)
    for drafter in drafted:
        find_optimizer_layers(drafter.drafts, dict(layers))
    return names


def _spread(drafter: Drafter, layers: dict[int, str]) -> None:
    """Extend `layers` to optimizer state that belongs to a single layer."""
    for draft in drafter.drafts:
        owners = {layers[storage] for storage in draft.touched if storage in layers}
        if draft.phase is Phase.OPTIMIZER and len(owners) == 1:
            layers.update(dict.fromkeys(draft.touched - layers.keys(), *owners))


def assembled(
    name: str,
    run: ImportedRun,
    drafted: list[Drafter],
    owned: Owned,
    origin: dict[str, str],
    *,
    timed: bool = False,
) -> Trace:
    """Return the trace; consecutive equal steps make one segment."""
    order: list[int] = []
    distinct: dict[Step, int] = {}
    measured: dict[int, list[list[int]]] = {}
    for calls, drafter in zip(run.steps, drafted, strict=True):
        kind = kind_of([call.phase for call in calls])
        gradients = dict.fromkeys(drafter.gradients, (StorageKind.GRADIENT, ""))
        step = build_step(kind, drafter.drafts, run.resolver.sizes, {**gradients, **owned})
        index = distinct.setdefault(step, len(distinct))
        order.append(index)
        times = [draft.measured_ns for draft in drafter.drafts]
        measured.setdefault(index, []).append(times)
    segments = tuple(Segment(0, index, len(list(same))) for index, same in groupby(order))
    timings = tuple(_timing(runs) for _, runs in sorted(measured.items())) if timed else ()
    return Trace(name, tuple(distinct), segments, origin, timings)


def _timing(runs: list[list[int]]) -> Timing:
    return Timing(0, tuple(round(1000 * median(times)) for times in zip(*runs, strict=True)))


def title(path: Path) -> str:
    """Return the name of a trace, from the name of its file."""
    name = path.name
    for ending in (".gz", ".json", ".pt.trace", ".et", ".kineto"):
        name = name.removesuffix(ending)
    return name or path.name
