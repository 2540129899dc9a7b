"""Where the GEMMs of a run go when that is searched for: candidates, to be simulated.

A search by what each operation costs alone knows nothing of what runs side by side, so that both
extremes stay candidates beside what it finds.
"""

from collections.abc import Callable, Iterable, Sequence

from simulator.activity import DramStates, Stage, Task
from simulator.energy.prices import Prices
from simulator.hardware import Hardware
from simulator.hardware.unit import HOST
from simulator.lowering.chain import Choice, UnitCost, cheapest
from simulator.lowering.lower import Lowering
from simulator.stages import STAGE_FACTS
from simulator.timing.shares import WHOLE
from simulator.trace.op import Op, OpKind
from simulator.trace.trace import Step, Trace

Placed = tuple[tuple[str, ...], ...]
"""The unit of each operation of each distinct step."""

_Cost = Callable[[Iterable[Task]], int]


def candidates(
    hardware: Hardware, trace: Trace, lowering: Lowering, prices: Prices
) -> dict[str, Placed]:
    """Return what is worth simulating on `hardware`, by name; what the search finds comes first."""
    cost = _energy_aj_at(prices) if hardware.runtime.placement == "frugal" else _duration_ps
    units = tuple(hardware.drivers)
    cheapest_way = tuple(cheapest(choices(step, lowering, units, cost)) for step in trace.steps)
    return {"found": cheapest_way} | {unit: everywhere(trace, unit) for unit in hardware.units}


def everywhere(trace: Trace, unit: str) -> Placed:
    """Return the placement of every operation on one unit, as far as that can run it."""
    return tuple((unit,) * len(step.ops) for step in trace.steps)


def choices(
    step: Step, lowering: Lowering, units: Sequence[str], cost: _Cost | None = None
) -> list[Choice]:
    """Return what the operations of a step cost alone on the host and on `units`, in ps or as
    `cost` says.

    Equal operations cost the same; engines are built.
    """
    choice_of: dict[tuple[object, ...], Choice] = {}
    for op in step.ops:
        if op.alike not in choice_of:
            choice_of[op.alike] = _choice(step, op, lowering, units, cost or _duration_ps)
    return [choice_of[op.alike] for op in step.ops]


def _choice(step: Step, op: Op, lowering: Lowering, units: Sequence[str], cost: _Cost) -> Choice:
    alone = Step(step.kind, (op,), step.storages)
    host = cost(lowering.alone(alone, HOST).tasks)
    if op.kind is OpKind.VIEW:
        others = {unit: _view_on_unit(host, lowering, unit, cost) for unit in units}
    else:
        others = {unit: _on_unit(alone, lowering, unit, cost) for unit in units}
    return Choice(host, {unit: own for unit, own in others.items() if own})


def _view_on_unit(host: int, lowering: Lowering, unit: str, cost: _Cost) -> UnitCost | None:
    """Return what a view costs that lies between ops of a unit with a switch: it moves no data, so
    that work stays on that side.
    """
    switch = cost(lowering.synchronise(unit, awaited=True))
    return UnitCost(host, switch, switch) if switch else None


def _on_unit(step: Step, lowering: Lowering, unit: str, cost: _Cost) -> UnitCost | None:
    tasks = lowering.alone(step, unit).tasks
    if all(task.work.unit == HOST for task in tasks):
        return None
    enter = [task for task in tasks if STAGE_FACTS[task.work.stage].enters]
    stay = [task for task in tasks if not STAGE_FACTS[task.work.stage].enters]
    awaited = any(task.work.stage is Stage.SYNCHRONISE for task in tasks)
    leave = cost(lowering.synchronise(unit, awaited=awaited))
    return UnitCost(cost(stay), cost(enter), leave)


def _duration_ps(tasks: Iterable[Task]) -> int:
    return sum(task.work.progress.duration_ps(WHOLE) for task in tasks)


def _energy_aj_at(prices: Prices) -> _Cost:
    """Return the cost in attojoules: dynamic energy, and static power for as long as it takes, the
    memory in standby for as long as it is busy.
    """
    static_uw = prices.whole_static_uw

    def cost(tasks: Iterable[Task]) -> int:
        tasks = list(tasks)
        dynamic = sum(prices.dynamic_aj_of(task.work.counts) for task in tasks)
        busy_ps = sum(task.work.progress.channel_ps for task in tasks)
        awake = prices.states_aj(DramStates(busy_ps, busy_ps))
        return dynamic + awake + static_uw * _duration_ps(tasks)

    return cost
