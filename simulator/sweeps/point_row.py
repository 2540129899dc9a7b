"""What points cost: each replayed, and the row of the table that it becomes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from simulator.endurance import add_sections
from simulator.energy.formats import clock_ratio
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware
from simulator.hardware.accelerator import Accelerator
from simulator.replay import Replay
from simulator.results.metric_row import Column, Metric
from simulator.results.metrics import (
    AREAS,
    COST_BREAKDOWNS,
    MEMORY,
    METRICS,
    OF_GOVERNOR,
    OF_HEAT,
    PHASES,
    TRAINING,
    TRAINING_PART,
    UNIT_BREAKDOWNS,
    using,
)
from simulator.results.result import Result
from simulator.sweeps.job import Done, Job
from simulator.sweeps.sampled import sampled_columns
from simulator.sweeps.table import CLOCK_BEYOND
from simulator.trace.phases import FACTS
from simulator.trace.trace import Trace
from simulator.uncertainty.account import account
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw
from simulator.views.design_space import Cell

if TYPE_CHECKING:
    from simulator.sweeps.study import Study

_LARGEST = 2**63 - 1
_OF_PHASES, _OF_TRAINING = using(PHASES), using(TRAINING)


def replay(job: Job, study: "Study") -> Done:
    """Return what a point costs; one that cannot run has its reason instead."""
    study.training.check()
    row: dict[str, Cell] = {"point": job.address, **job.columns}
    hardware, trace = study.space.resolve(job.point), study.trace_of(job.point)
    settings = [f"{key}={value}" for key, value in job.point.settings.items()]
    try:
        result = Replay(hardware, trace, settings).run()
        sampled = _sampled(study, hardware, trace, result, full=job.full)
    except Infeasible as error:
        return Done(row | {"feasible": False, "reason": error.reason})
    try:
        clocked = _clocked(study, hardware, trace, result)
    except InputError as error:  # its governor has nothing to choose
        return Done(row | {"feasible": False, "reason": str(error)})
    document = result.to_json() if job.full else ""
    row |= {"feasible": True, "reason": ""}
    return Done(row | _metrics(result) | _clock_beyond(hardware) | clocked | sampled, document)


def _clock_beyond(hardware: Hardware) -> dict[str, Cell]:
    """Return the clock of an array over what its format reaches, where it is beyond that."""
    arrays = [each for each in hardware.units.values() if isinstance(each, Accelerator)]
    most = max([clock_ratio(each, hardware.technology.node) for each in arrays], default=0.0)
    return {CLOCK_BEYOND: most} if most > 1 else {}


def _clocked(study: "Study", hardware: Hardware, trace: Trace, result: Result) -> dict[str, Cell]:
    """Return the columns of what runs at other clocks tell, and add it to the result of a point:
    its governor's choice, and heat over the epochs that the study asks for.

    Under a governor `fixed` the run is as it is. Raises InputError where one has nothing to choose.
    """
    epochs, row = study.request.heat_epochs, dict[str, Cell]()
    add_sections(result, hardware, trace, epochs, heats=epochs is not None)
    if hardware.runtime.governor:
        own, dvfs = result.whole, result.dvfs
        costs = (dvfs["time_s"], dvfs["energy_j"]) if dvfs else (own.latency_s, own.energy_j)
        row |= _named(OF_GOVERNOR, costs)
    if heat := result.heat:
        epoch_s = heat["time_s"] / heat["epochs"] if heat["epochs"] else None
        charge = heat.get("charge_per_epoch")
        peak, throttled_s = heat["peak_temperature_degc"], heat["throttled_s"]
        row |= _named(OF_HEAT, (peak, throttled_s, epoch_s, charge))
        row["heat_epochs"] = heat["epochs"]
    return row


def _named(columns: Iterable[Column], values: Iterable[float | None]) -> dict[str, Cell]:
    pairs = zip(columns, values, strict=True)
    return {column.key: value for column, value in pairs if value is not None}


def _sampled(
    study: "Study", hardware: Hardware, trace: Trace, result: Result, *, full: bool
) -> dict[str, Cell]:
    """Return the columns of the samples of a point, and let its result say how sure it is."""
    count, seed = study.request.samples, study.request.seed
    if not count:
        return {}
    (samples,) = draw([Subject(hardware, trace)], count, seed, most_processes=1)
    if full:
        result.uncertainty = account(samples)
    return sampled_columns(samples)


def _metrics(result: Result) -> dict[str, Cell]:
    total = result.total
    row: dict[str, Cell] = {"epochs": len(result.epoch_numbers)}
    row |= {each.key: _storable(each, each.get(total)) for each in METRICS if each.key in total}
    for costs in COST_BREAKDOWNS:
        row |= costs.columns(costs.of(total))
    row |= AREAS.columns(result.area_mm2)
    row |= result.resources._asdict() if result.resources else {}
    row |= MEMORY.columns({name.removesuffix("_bytes"): n for name, n in result.memory.items()})
    for phase, part in result.by_phase.items():
        name = phase.value
        row |= {f"{name}_{each.key}": _storable(each, each.compute(part)) for each in _OF_PHASES}
        for units in UNIT_BREAKDOWNS:
            row |= {f"{name}_{key}": n for key, n in units.columns(units.compute(part)).items()}
    idle = [part for phase, part in result.by_phase.items() if not FACTS[phase].trains]
    for each in _OF_TRAINING:
        rest = sum(each.compute(part) or 0.0 for part in idle)
        row[f"{TRAINING_PART}_{each.key}"] = each.of(total) - rest
    return row


def _storable(metric: Metric, value: float | None) -> str | float | None:
    """Return a value as tables hold it: exact energies go beyond 64 bits in long runs."""
    if metric.is_text:
        return str(value)
    return float(value) if isinstance(value, int) and value > _LARGEST else value
