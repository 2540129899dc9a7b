"""Operating points by the part of a step: which clocks of CPU and accelerator serve a goal best.

Every point is simulated for the whole run, so each part's time and energy there are exact. Clocks
change at borders of parts alone, in the order that tasks are issued in; no task and no chain of
fused ops runs at two clocks. What overlaps is charged as in any result.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, product
from typing import NamedTuple

from simulator.activity import Counts, DramStates
from simulator.energy.boundary import USUAL, Boundary
from simulator.errors import InputError
from simulator.hardware import Hardware, load_hardware
from simulator.machine.step import MOST_TILES
from simulator.replay import Replay
from simulator.results.documents import DvfsDocument, GovernedPart
from simulator.results.record import Record
from simulator.results.result import Result
from simulator.trace.phases import FACTS, StepPart
from simulator.trace.trace import Trace
from simulator.units import AJ_PER_J, PS_PER_S

Borders = Mapping[tuple[int, int], int]
"""How often work goes over between two parts, by their numbers, the lower first."""


class PartCost(NamedTuple):
    """What a part of a run takes and costs at an operating point, or a switch between two."""

    time_ps: int
    energy_aj: int

    def plus(self, other: "PartCost", times: int = 1) -> "PartCost":
        """Return this and `times` the other."""
        return PartCost(
            self.time_ps + times * other.time_ps, self.energy_aj + times * other.energy_aj
        )


NOTHING = PartCost(0, 0)
SWITCH_PS = 100_000_000
"""A change of clocks takes 100 us where nothing is said: a guess, range 10 us .. 1 ms."""
GOALS: Mapping[str, Callable[[PartCost], tuple[int, int]]] = {
    "energy": lambda cost: (cost.energy_aj, cost.time_ps),
    "edp": lambda cost: (cost.energy_aj * cost.time_ps, cost.time_ps),
    "time": lambda cost: (cost.time_ps, cost.energy_aj),
}
"""What each governor makes least, and what decides between equals. All rise with either cost."""


def cost_of(
    costs: Sequence[Sequence[PartCost]],
    switches: Sequence[PartCost],
    borders: Borders,
    chosen: Sequence[int],
) -> PartCost:
    """Return what a run costs with these points; the first `len(chosen)` parts of it alone.

    `costs` are by part and point. A switch costs as the dearer of its two points in `switches`.
    """
    whole = NOTHING
    for part, point in enumerate(chosen):
        whole = whole.plus(costs[part][point])
    for (one, other), times in borders.items():
        if other < len(chosen) and chosen[one] != chosen[other]:
            dearer = max(switches[chosen[one]], switches[chosen[other]])
            whole = whole.plus(dearer, times)
    return whole


def best_points(
    costs: Sequence[Sequence[PartCost]],
    switches: Sequence[PartCost],
    borders: Borders,
    goal: Callable[[PartCost], tuple[int, int]],
) -> tuple[int, ...]:
    """Return the point of each part that serves `goal` best: exact, by branch and bound.

    A choice of the first parts is left where even the least of every other part, without a switch,
    is no better than the best found. Of equals, the first point wins.
    """
    least = [NOTHING]  # of the last parts
    for row in reversed(costs):
        least.append(least[-1].plus(PartCost(min(c.time_ps for c in row),
                                             min(c.energy_aj for c in row))))  # fmt: skip
    best = min(
        ((point,) * len(costs) for point in range(len(switches))),
        key=lambda same: goal(cost_of(costs, switches, borders, same)),
    )
    bound = goal(cost_of(costs, switches, borders, best))
    open_choices: list[tuple[int, ...]] = [()]
    while open_choices:
        chosen = open_choices.pop()
        cost = cost_of(costs, switches, borders, chosen)
        reached = goal(cost.plus(least[len(costs) - len(chosen)]))
        if reached >= bound:
            continue
        if len(chosen) == len(costs):
            best, bound = chosen, reached
        else:
            open_choices += [(*chosen, point) for point in range(len(switches))]
    return best


def points_of(hardware: Hardware) -> list[dict[str, int]]:
    """Return the clocks in Hz that may be chosen, by unit: first those that `hardware` has.

    Raises InputError where no unit has operating points.
    """
    clocks: dict[str, list[int]] = {}
    for name, part in (("cpu", hardware.cpu), ("accelerator", hardware.accelerator)):
        if part is not None and part.operating_points:
            others = [point.clock for point in part.operating_points if point.clock != part.clock]
            clocks[name] = [part.clock, *others]
    if not clocks:
        raise InputError(
            f"{hardware.name}: runtime.governor has no operating point to choose: describe "
            "cpu.operating_points, or remove the governor"
        )
    return [dict(zip(clocks, each, strict=True)) for each in product(*clocks.values())]


class GovernedRun(NamedTuple):
    """A run at every operating point, and what its governor goes by: costs by part and point,
    within the boundary that it was made for.
    """

    governor: str
    points: Sequence[Mapping[str, int]]
    results: Sequence[Result]
    parts: Sequence[StepPart]
    costs: Sequence[Sequence[PartCost]]
    switches: Sequence[PartCost]
    borders: Borders
    switch_ps: int

    def choice(self, allowed: Sequence[int]) -> tuple[int, ...]:
        """Return the point of each part that serves the goal best, among those `allowed`."""
        costs = [[row[point] for point in allowed] for row in self.costs]
        switches = [self.switches[point] for point in allowed]
        best = best_points(costs, switches, self.borders, GOALS[self.governor])
        return tuple(allowed[each] for each in best)

    def at(self, boundary: Boundary) -> "GovernedRun":
        """Return the same run with the energy within another boundary: what it chooses differs."""
        by_part = [part_costs(result, boundary) for result in self.results]
        return self._replace(
            costs=[[each[part] for each in by_part] for part in self.parts],
            switches=[_switch(result, self.switch_ps, boundary) for result in self.results],
        )


def governed_run(
    hardware: Hardware,
    trace: Trace,
    fidelity: str = "flow",
    most_tiles: int = MOST_TILES,
    boundary: Boundary = USUAL,
) -> GovernedRun | None:
    """Return the run at each operating point of `hardware`; None where clocks are fixed.

    Each is simulated. Energy is within `boundary`. Raises InputError where there is nothing to
    choose, or where a search places the work: it would place it elsewhere at each point.
    """
    governor, switch_ps = hardware.runtime.governor, hardware.runtime.clock_switch
    if governor is None or governor == "fixed":
        return None
    points = points_of(hardware)
    if hardware.runtime.placement != "rules":
        raise InputError(
            f"{hardware.name}: runtime.governor needs one placement for all clocks: set "
            "runtime.placement=rules"
        )
    results = [
        Replay(_clocked(hardware, point), trace, (), fidelity, most_tiles, boundary).run()
        for point in points
    ]
    parts = [part for part in StepPart if part in part_costs(results[0], boundary)]
    borders = borders_of(results[0].records, parts)
    waits = SWITCH_PS if switch_ps is None else switch_ps
    return GovernedRun(governor, points, results, parts, (), (), borders, waits).at(boundary)


def dvfs_of(governed: GovernedRun) -> DvfsDocument:
    """Return what the governor of a run chooses, and what that takes."""
    _, points, _, parts, costs, switches, borders, _ = governed
    chosen = governed.choice(range(len(points)))
    whole, fixed = (cost_of(costs, switches, borders, each) for each in (chosen, (0,) * len(parts)))
    alone = cost_of(costs, switches, {}, chosen)
    return {
        "governor": governed.governor,
        "time_s": whole.time_ps / PS_PER_S,
        "energy_j": whole.energy_aj / AJ_PER_J,
        "fixed_time_s": fixed.time_ps / PS_PER_S,
        "fixed_energy_j": fixed.energy_aj / AJ_PER_J,
        "switches": sum(n for (a, b), n in borders.items() if chosen[a] != chosen[b]),
        "switching_s": (whole.time_ps - alone.time_ps) / PS_PER_S,
        "switching_j": (whole.energy_aj - alone.energy_aj) / AJ_PER_J,
        "parts": [
            _row(part, points[point], row[point])
            for part, point, row in zip(parts, chosen, costs, strict=True)
        ],
    }


def part_costs(result: Result, boundary: Boundary) -> dict[StepPart, PartCost]:
    """Return what each part of the step took over a run, and cost within `boundary`."""
    sums: dict[StepPart, PartCost] = {}
    prices = result.prices.by_boundary[boundary]
    for phase, priced in result.by_phase.items():
        part, tally = FACTS[phase].part, priced.tally
        energy_aj = prices.energy_aj(tally.counts, tally.latency_ps, tally.states)
        cost = PartCost(tally.latency_ps, energy_aj)
        sums[part] = sums.get(part, NOTHING).plus(cost)
    return sums


def borders_of(records: Sequence[Record], parts: Sequence[StepPart]) -> Counter[tuple[int, int]]:
    """Return how often work goes over between two of `parts` in a run.

    Tasks count in the order that they are issued in. After a step comes one of its kind.
    """
    numbers = {part: number for number, part in enumerate(parts)}
    borders: Counter[tuple[int, int]] = Counter()
    for record in records:
        order = [numbers[FACTS[task.phase].part] for task in record.tasks]
        for one, other in pairwise([*order, *order[:1]]):
            if one != other:
                borders[min(one, other), max(one, other)] += record.count
    return borders


def _clocked(hardware: Hardware, point: Mapping[str, int]) -> Hardware:
    return load_hardware(hardware, {f"{unit}.clock": f"{hz} Hz" for unit, hz in point.items()})


def _switch(result: Result, switch_ps: int, boundary: Boundary) -> PartCost:
    """Return what waiting for a new clock costs at this point: static power alone."""
    prices = result.prices.by_boundary[boundary]
    idle_aj = prices.energy_aj(Counts(), switch_ps, DramStates(switch_ps, switch_ps))
    return PartCost(switch_ps, idle_aj)


def _row(part: StepPart, point: Mapping[str, int], cost: PartCost) -> GovernedPart:
    return {
        "part": part.value or "loop",
        "clocks": dict(point),
        "time_s": cost.time_ps / PS_PER_S,
        "energy_j": cost.energy_aj / AJ_PER_J,
    }
