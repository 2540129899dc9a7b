"""From the events of a PyTorch trace to a Trace: steps, calls, drafts, equal steps counted."""

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
from simulator.trace.importers.calls import MISFITS, Call, Memory, bind
from simulator.trace.importers.drafting import Drafter
from simulator.trace.importers.nodes import Node, Seen, flattened
from simulator.trace.importers.passes import restarts
from simulator.trace.importers.steps import kind_of, phases, split
from simulator.trace.op import OpKind, Phase
from simulator.trace.phases import FACTS
from simulator.trace.trace import Segment, Step, StorageKind, Timing, Trace


@dataclass(slots=True)
class Program:
    """The calls of each step of a run, the storages that they touch, and what went lost."""

    steps: list[list[Call]]
    memory: Memory
    left_out: int

    @property
    def numbers(self) -> int:
        """How many operands were taken for numbers of the program."""
        return sum(call.number for step in self.steps for call in step)


def read_program(path: Path, programs: Iterable[list[Node]], memory: Memory) -> Program:
    """Return the calls in the trees of events of each process.

    Raises InputError if there is no network in them.
    """
    bound, left_out = [], 0
    for roots in programs:
        steps, left = split(flattened(roots))
        left_out += left
        for step in steps:
            bound.append(_calls(path, step, memory))
    if not any(call.done.kind is OpKind.GEMM for step in bound for call in step):
        raise InputError(
            f"{path} holds no matrix product or convolution: record whole training steps"
        )
    return Program(bound, memory, left_out)


def _calls(path: Path, step: list[Seen], memory: Memory) -> list[Call]:
    memory.begin_step()
    again = restarts(step)
    numbered = zip(range(len(step)), step, phases(step), strict=True)
    return [_bound(path, seen, phase, memory, place in again) for place, seen, phase in numbered]


def _bound(path: Path, seen: Seen, phase: Phase, memory: Memory, again: bool) -> Call:
    try:
        return bind(seen, phase, memory, restarts=again)
    except MISFITS as error:
        told = " ".join(str(error).split())[:80]
        raise InputError(
            f"{path}: {seen.node.name} does not have the arguments that it takes ({told}): record "
            "the trace again with a newer PyTorch"
        ) from None


def draft_steps(program: Program, drafter: Callable[[], Drafter]) -> list[Drafter]:
    """Return the drafts of every step."""
    drafted = []
    for step in program.steps:
        drafted.append(drafter())
        for call in step:
            drafted[-1].add(call)
    return drafted


def find_gradients(drafter: Drafter) -> None:
    """Find the gradients of parameters, and with them the backward work that serves them alone."""
    backward: set[int] = set()
    for draft in drafter.drafts:
        if FACTS[draft.phase].backward:
            backward |= {tensor.storage for tensor in draft.outputs}
        elif draft.phase is Phase.OPTIMIZER:
            drafter.gradients |= backward & draft.touched
    find_weight_gradients(drafter.drafts, drafter.gradients)


def name_layers(drafted: list[Drafter]) -> dict[int, str]:
    """Give what the optimizer does the layers of its parameters; return the parameters' names."""
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
    """Add the layers of what the optimizer keeps for the parameters of just one."""
    for draft in drafter.drafts:
        found = {layers[storage] for storage in draft.touched if storage in layers}
        if draft.phase is Phase.OPTIMIZER and len(found) == 1:
            layers.update(dict.fromkeys(draft.touched - layers.keys(), *found))


def assembled(
    name: str,
    program: Program,
    drafted: list[Drafter],
    owned: Owned,
    origin: dict[str, str],
    *,
    timed: bool = False,
) -> Trace:
    """Return the trace; consecutive equal steps are one segment."""
    order: list[int] = []
    distinct: dict[Step, int] = {}
    measured: dict[int, list[list[int]]] = {}
    for calls, drafter in zip(program.steps, drafted, strict=True):
        kind = kind_of([call.phase for call in calls])
        gradients = dict.fromkeys(drafter.gradients, (StorageKind.GRADIENT, ""))
        step = build_step(kind, drafter.drafts, program.memory.sizes, {**gradients, **owned})
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
    """Return the name of a trace from its file's."""
    name = path.name
    for ending in (".gz", ".json", ".pt.trace", ".et", ".kineto"):
        name = name.removesuffix(ending)
    return name or path.name
