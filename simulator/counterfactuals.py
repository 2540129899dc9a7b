"""What a training step would take if one thing about its machine were different: simulated."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from simulator.activity import Counts, Work
from simulator.energy.prices import Prices, prices
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.settings import quantity_of, value_of
from simulator.hardware.shipped import dram_presets
from simulator.hardware.unit import ACCELERATOR
from simulator.lowering.program import lowered_step
from simulator.machine.step import StepRunner
from simulator.mapping_store import kept_mappings
from simulator.pattern_store import kept_samples
from simulator.replay import Replay
from simulator.results.causes import Cause, causes
from simulator.results.priced import Priced
from simulator.results.record import StepRecord
from simulator.results.result import MACHINE, STEP, Result
from simulator.results.tally import summed
from simulator.stages import CONVERSIONS, STAGE_FACTS
from simulator.step_run import SectionedRun
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import Sharing
from simulator.timing.stretches import Stretched
from simulator.trace.storage import load_trace
from simulator.trace.trace import Trace

Change = int | str
"""What becomes of a setting: so many times its value, or this value."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A step on a machine of which one thing is different: picoseconds and attojoules.

    `setting` has the options of `trainsoc run` that make it so, "" where no description can.
    """

    name: str
    setting: str
    time_ps: int
    energy_aj: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the time of a step goes, and what would change it, the shortest time first.

    `causes` add up to `time_ps`.
    """

    hardware: str
    trace: str
    time_ps: int
    energy_aj: int
    causes: tuple[Cause, ...]
    changes: tuple[Counterfactual, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the content as plain values, for JSON."""
        plain_causes = [cause._asdict() for cause in self.causes]
        return asdict(self) | {"causes": plain_causes}


def explain(source: Result | str | Path) -> Explanation:
    """Return why the typical training step of a run takes what it takes, and what would change it.

    `source` is a result of `simulate`, or the folder that `trainsoc run -o` wrote. Raises
    InputError for a result that was not simulated here, and a folder that lacks the run's inputs.
    """
    if isinstance(source, Result):
        if source.source is None:
            raise InputError(
                "explain needs a run, which this result was only read or recosted from"
            )
        return explained(*source.source)
    files = [Path(source) / name for name in (MACHINE, STEP)]
    for path in files:
        if not path.is_file():
            raise InputError(
                f"{source}: no {path.name} here: explain reads the folder that `trainsoc run -o` "
                "wrote; run it again if that was long ago"
            )
    return explained(load_hardware(files[0]), load_trace(files[1]))


def explained(hardware: Hardware, trace: Trace) -> Explanation:
    """Return why the typical training step of `trace` takes what it takes on `hardware`.

    The step runs after itself, at fidelity "flow". Raises Infeasible if it does not fit.
    """
    step, costs = trace.typical_run, prices(hardware)
    with _stores(hardware):
        run = _steady(hardware, step)
        changes = [*_rewritten(hardware, run, costs), *_changed(hardware, step)]
    ranked = sorted(changes, key=lambda each: (each.time_ps, each.energy_aj, each.name))
    return Explanation(
        hardware.name,
        trace.name,
        run.duration_ps,
        _energy_aj(run, hardware, costs),
        causes(run.whole),
        tuple(ranked),
    )


def step_causes(hardware: Hardware, trace: Trace) -> tuple[Cause, ...]:
    """Return what the time of the typical training step goes to, without simulating any change."""
    with _stores(hardware):
        return causes(_steady(hardware, trace.typical_run).whole)


def is_soon_explained(trace: Trace) -> bool:
    """Whether all changes of a step are simulated in about a second."""
    return len(trace.typical_run.steps[0].ops) <= _SOON


_SOON = 400  # ops, a guess: two to three milliseconds for each of them


def _rewritten(hardware: Hardware, run: SectionedRun, costs: Prices) -> Iterator[Counterfactual]:
    """Yield the tasks of `run` with other work, which no setting of a machine makes of them."""
    for name, rewrite in _REWRITES.items():
        works = {task.work: rewrite(task.work) for task in run.whole.tasks}
        if all(work is other for work, other in works.items()):
            continue
        tasks = [replace(task, work=works[task.work]) for task in run.whole.tasks]
        other = StepRunner(Sharing(hardware)).run(lowered_step(tasks, hardware.runtime.issue))
        yield Counterfactual(name, "", other.duration_ps, _energy_aj(other, hardware, costs))


def _unconverted(work: Work) -> Work:
    """Return work that takes and costs nothing if it converts number formats."""
    if STAGE_FACTS[work.stage].serves != CONVERSIONS:
        return work
    return replace(
        work, progress=Stretched(0, ()), counts=Counts(), overhead_ps=0, compute_ps=0, memory_ps=0
    )


def _undisturbed(work: Work) -> Work:
    """Return work that takes what it takes alone, whoever else uses the memory."""
    return replace(work, progress=Stretched(work.progress.duration_ps(WHOLE), ()))


_REWRITES: Mapping[str, Callable[[Work], Work]] = {
    "conversions that take no time": _unconverted,
    "a memory that units do not share": _undisturbed,
}


def _changed(hardware: Hardware, step: Trace) -> Iterator[Counterfactual]:
    """Yield the step on other machines, as far as they can be and can run it."""
    for name, changes in _changes(hardware):
        with suppress(InputError, Infeasible):
            settings = _settings(hardware, changes)
            if settings:
                other = load_hardware(hardware, settings)
                yield _simulated(name, _options(settings), other, step)
    if hardware.dram.device and _preset_of_twice(hardware) is None:
        yield _simulated(_MEMORY, "", _with_twice_the_channels(hardware), step)


_MEMORY = "twice the memory bandwidth"


def _changes(hardware: Hardware) -> Iterator[tuple[str, Mapping[str, Change]]]:
    """Yield changes of settings by what they make of the machine."""
    yield "a CPU of twice the clock", {"cpu.clock": 2}
    yield "twice as many cores", {"cpu.cores": 2}
    yield "ops that take no dispatch", dict.fromkeys(_DISPATCH, 0)
    yield "chains of ops fused", {"runtime.fusion": "chains"}
    preset = _preset_of_twice(hardware)
    yield _MEMORY, {"dram.preset": preset} if preset else {"dram.bandwidth": 2}
    if hardware.accelerator:
        yield "an array of twice the rows and columns", _twice("rows", "cols")
        yield "twice the array's memories", _twice("scratchpad", "accumulator")
    if hardware.drivers:
        drivers = ["runtime" if n == ACCELERATOR else f"units.{n}.driver" for n in hardware.drivers]
        yield "launches that take no time", {f"{d}.{cost}": 0 for d in drivers for cost in _LAUNCH}
        yield "conversions by DMA engines", {f"{d}.conversions": "unit" for d in drivers}
        yield "ops issued as their inputs are ready", {"runtime.issue": "dataflow"}


_PARTS = "forward", "backward", "optimizer"
_DISPATCH = (
    "cpu.op_overhead",
    "cpu.view_overhead",
    *(f"cpu.dispatch.{part}" for part in _PARTS),
    *(f"cpu.dispatch.begin.{part}" for part in _PARTS),
)
_LAUNCH = "launch", "synchronise", "switch", "first_call"


def _twice(*names: str) -> Mapping[str, Change]:
    return {f"{ACCELERATOR}.{name}": 2 for name in names}


def _settings(hardware: Hardware, changes: Mapping[str, Change]) -> dict[str, str]:
    """Return the settings that change, with their new values as text."""
    settings = {}
    for path, change in changes.items():
        value = value_of(hardware, path)
        new = value * change if value is not None and isinstance(change, int) else change
        if value is not None and new != value:
            settings[path] = _as_text(path, new)
    return settings


def _as_text(path: str, value: Change) -> str:
    """Return a new value of a setting as `--set` takes it, without a space that a shell splits."""
    quantity = quantity_of(path)
    if quantity is None or isinstance(value, str):
        return str(value)
    return quantity.text(value).replace(" ", "")


def _options(settings: Mapping[str, str]) -> str:
    return " ".join(f"--set {path}={value}" for path, value in settings.items())


def _preset_of_twice(hardware: Hardware) -> str | None:
    """Return a preset that is this memory with twice as many channels, if one ships.

    Names of presets begin with standard and rate.
    """
    device, rate = hardware.dram.device, hardware.dram.preset.partition("_")[0]
    for name in dram_presets():
        if device and name.partition("_")[0] == rate:
            other = load_hardware(hardware, {"dram.preset": name}).dram.device
            if other == device.model_copy(update={"channels": 2 * device.channels}):
                return name
    return None


def _with_twice_the_channels(hardware: Hardware) -> Hardware:
    device = hardware.dram.device
    assert device is not None, "asked of a device only"
    wider = device.model_copy(update={"channels": 2 * device.channels})
    dram = hardware.dram.model_copy(update={"device": wider})
    return hardware.model_copy(update={"dram": dram})


def _simulated(name: str, setting: str, hardware: Hardware, step: Trace) -> Counterfactual:
    with _stores(hardware):
        run = _steady(hardware, step)
    energy_aj = _energy_aj(run, hardware, prices(hardware))
    return Counterfactual(name, setting, run.duration_ps, energy_aj)


def _steady(hardware: Hardware, step: Trace) -> SectionedRun:
    """Return how the one step of a trace runs after itself."""
    return Replay(hardware, step).steady_run(0)


def _energy_aj(run: SectionedRun, hardware: Hardware, costs: Prices) -> int:
    record = StepRecord(0, run, costs, (), {0: 1}, hardware.dram)
    return Priced(summed([(part, 1) for part in record.by_phase.values()]), costs).energy_aj


@contextmanager
def _stores(hardware: Hardware) -> Iterator[None]:
    """Keep what is searched for and sampled on `hardware` from process to process."""
    with ExitStack() as stack:
        stack.enter_context(kept_mappings(hardware))
        stack.enter_context(kept_samples(hardware.dram.device))
        yield
