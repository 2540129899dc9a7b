"""A run over minutes: what its heat does to its clock, and how far a battery carries it.

Every clock that heat may leave the CPU is simulated once, exactly; between clocks the run goes by
average steps, as steps take milliseconds and packages minutes. Heat limits the CPU's clock alone.
Without a governor that is its clock, and accelerators keep theirs; a governor chooses anew among
its operating points within the limit.
"""

from collections.abc import Sequence
from itertools import groupby

from simulator.energy.boundary import BOARD, REGULATORS, USUAL, Boundary
from simulator.errors import InputError
from simulator.governor import GovernedRun, cost_of, dvfs_of, governed_run
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.thermal import Thermal
from simulator.machine.step import MOST_TILES
from simulator.replay import Replay
from simulator.results.documents import HeatDocument
from simulator.results.result import Result
from simulator.si import si
from simulator.thermal.network import ThermalNetwork, steady_die_c
from simulator.thermal.walk import ClockedStep, PollInterval, walk
from simulator.trace.trace import Trace

_NOT_LEAKING = ("dram", BOARD, REGULATORS)  # by temperature of the die


def cooling(hardware: Hardware) -> Thermal:
    """Return how `hardware` cools. Raises InputError where it does not say."""
    if hardware.thermal is None:
        raise InputError(
            f"{hardware.name} has no thermal section, so it does not heat up: describe "
            "thermal.stages, or use a SoC that does, such as raspberry-pi-4-bare"
        )
    return hardware.thermal


def add_sections(
    result: Result,
    hardware: Hardware,
    trace: Trace,
    heat_epochs: int | None = None,
    fidelity: str = "flow",
    most_tiles: int = MOST_TILES,
    *,
    heats: bool = True,
) -> None:
    """Add to the result of a run what needs runs at other clocks, where `hardware` describes it:
    its governor's choice and, if it `heats`, heat over `heat_epochs`, those of the trace by
    default.

    Raises InputError as `governed_run` and `heat_of` do.
    """
    boundary = result.prices.boundary
    governed = governed_run(hardware, trace, fidelity, most_tiles, boundary)
    result.dvfs = dvfs_of(governed) if governed else None
    if heats and hardware.thermal:
        result.heat = heat_of(hardware, trace, heat_epochs, fidelity, most_tiles, governed)


def heat_of(
    hardware: Hardware,
    trace: Trace,
    epochs: int | None = None,
    fidelity: str = "flow",
    most_tiles: int = MOST_TILES,
    governed: GovernedRun | None = None,
) -> HeatDocument:
    """Return seconds, joules and degrees of `epochs` epochs, those of the trace by default.

    Energy is of the whole board, as all of it heats the package's surroundings. `fidelity` and
    `most_tiles` are those of a replay; `governed` is the run at the operating points, where it is
    known already. Raises InputError where `hardware` describes no `thermal`, and where heat asks
    for a clock that its governor has not.
    """
    thermal = cooling(hardware)
    steps_per_epoch = _steps(trace) / trace.epochs
    steps = _steps(trace) if epochs is None else round(steps_per_epoch * epochs)
    governed = governed or governed_run(hardware, trace, fidelity, most_tiles, USUAL)
    if governed:
        choices = governed_steps(hardware, governed, _steps(trace))
    else:
        choices = [
            clocked_step(hardware, trace, clock, fidelity, most_tiles) for clock in clocks(hardware)
        ]
    intervals = list(walk(thermal, hardware.battery, choices, steps))
    done = sum(each.steps for each in intervals)
    drawn_j = sum(each.drawn_j for each in intervals)
    document: HeatDocument = {
        "epochs": done / steps_per_epoch,
        "complete": done == steps,
        "time_s": sum(each.seconds for each in intervals),
        "energy_j": sum(each.energy_j for each in intervals),
        "peak_temperature_degc": _peak(intervals, thermal.ambient / 1000),
        "steady_temperature_degc": steady_c(hardware, choices[-1]),
        "throttled_s": sum(e.seconds for e in intervals if e.clock < choices[-1].clock),
        "clock_shares": _shares(intervals),
        "timeline": _timeline(intervals, thermal.ambient / 1000),
    }
    if hardware.battery and done:
        capacity_j = hardware.battery.capacity * 3.6
        document["charge_per_epoch"] = drawn_j / capacity_j / done * steps_per_epoch
        document["epochs_per_charge"] = 1 / document["charge_per_epoch"]
    return document


def clocks(hardware: Hardware) -> list[int]:
    """Return the clocks that heat may leave the CPU, the slowest first."""
    trips = hardware.thermal.trips if hardware.thermal else ()
    fastest = hardware.cpu.clock
    return sorted({fastest, *(trip.clock for trip in trips if trip.clock < fastest)})


def clocked_step(
    hardware: Hardware,
    trace: Trace,
    clock: int,
    fidelity: str = "flow",
    most_tiles: int = MOST_TILES,
) -> ClockedStep:
    """Return the average step of a run with the CPU at `clock`: simulated, with its leakage."""
    soc = load_hardware(hardware, {"cpu.clock": f"{clock} Hz"})
    replay = Replay(soc, trace, (), fidelity, most_tiles, Boundary.BOARD)
    result, count = replay.run(), _steps(trace)
    whole = result.whole
    return ClockedStep(clock, whole.tally.latency_ps // count, whole.energy_aj // count,
                       _leakage_uw(result))  # fmt: skip


def governed_steps(hardware: Hardware, governed: GovernedRun, count: int) -> list[ClockedStep]:
    """Return the average of `count` steps as the governor chooses within each limit of heat, the
    slowest first. The clock of each is that of the CPU in its fastest part.

    Raises InputError where no operating point is within a limit.
    """
    of_cpu = [point.get("cpu", hardware.cpu.clock) for point in governed.points]
    board = governed.at(Boundary.BOARD)
    leakage = [_leakage_uw(result) for result in governed.results]
    steps: dict[int, ClockedStep] = {}
    for limit in (max(of_cpu), *(trip.clock for trip in cooling(hardware).trips)):
        chosen = governed.choice(_within(hardware, of_cpu, limit))
        times = [row[point].time_ps for row, point in zip(board.costs, chosen, strict=True)]
        leaked = sum(t * leakage[point] for t, point in zip(times, chosen, strict=True))
        whole = cost_of(board.costs, board.switches, board.borders, chosen)
        clock = max(of_cpu[point] for point in chosen)
        steps[clock] = ClockedStep(
            clock, whole.time_ps // count, whole.energy_aj // count, leaked // sum(times)
        )
    return [steps[clock] for clock in sorted(steps)]


def _within(hardware: Hardware, of_cpu: Sequence[int], limit: int) -> list[int]:
    """Return the points whose clock of the CPU is within a limit of heat."""
    allowed = [number for number, clock in enumerate(of_cpu) if clock <= limit]
    if not allowed:
        raise InputError(
            f"{hardware.name}: thermal.trips limits the CPU to {si(limit, 'Hz')}, and "
            "runtime.governor has no operating point as slow: add one to cpu.operating_points, or "
            "remove the governor"
        )
    return allowed


def _leakage_uw(result: Result) -> int:
    return sum(uw for name, uw in result.prices.static_uw.items() if name not in _NOT_LEAKING)


def steady_c(hardware: Hardware, step: ClockedStep) -> float | None:
    """Return where the die would end at this step's clock without a trip; None if it runs away."""
    thermal = hardware.thermal
    if thermal is None:
        return None
    leakage_w = step.leakage_uw / 1e6
    fixed_w = step.energy_aj / step.time_ps / 1e6 - leakage_w
    law = thermal.leakage_at / 1000, thermal.leakage_doubling / 1000
    network = ThermalNetwork.of_part(thermal)
    return steady_die_c(network.to_ambient, fixed_w, leakage_w, thermal.ambient / 1000, law)


def _steps(trace: Trace) -> int:
    return sum(trace.runs_of(number) for number in range(len(trace.steps)))


def _peak(intervals: Sequence[PollInterval], ambient_c: float) -> float:
    starts = [each.die_c for each in intervals]
    return max([*starts, *(ambient_c + each.rises[0] for each in intervals)], default=ambient_c)


def _shares(intervals: Sequence[PollInterval]) -> dict[str, float]:
    """Return the part of the time at each clock, by its hertz."""
    whole = sum(each.seconds for each in intervals)
    shares: dict[str, float] = {}
    for each in intervals:
        shares[str(each.clock)] = shares.get(str(each.clock), 0.0) + each.seconds / whole
    return shares


def _timeline(
    intervals: Sequence[PollInterval], ambient_c: float, most: int = 500
) -> list[tuple[float, float, int, float]]:
    """Return (second, degC of the die, Hz, W of the board), at the end, at changes of the clock
    and `most` times between.
    """
    if not intervals:
        return []
    every = max(1, len(intervals) // most)
    changes = {next(group)[0] for _, group in groupby(enumerate(intervals), lambda e: e[1].clock)}
    rows = [
        (each.start_s, each.die_c, each.clock, each.energy_j / each.seconds)
        for number, each in enumerate(intervals)
        if number % every == 0 or number in changes
    ]
    last = intervals[-1]
    end_s, watts = last.start_s + last.seconds, last.energy_j / last.seconds
    return [*rows, (end_s, ambient_c + last.rises[0], last.clock, watts)]
