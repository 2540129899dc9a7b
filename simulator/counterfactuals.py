"""What a training step would take if one thing about its machine were different: simulated."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from simulator.activity import Counts, Work
from simulator.energy.prices import Prices, prices
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.settings import quantity_of, value_of
from simulator.hardware.shipped import dram_presets
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.program import lowered_step
from simulator.machine.step import StepRunner
from simulator.mapping_store import kept_mappings
from simulator.pattern_store import kept_samples
from simulator.replay import Replay
from simulator.results.causes import CONTENTION, Cause, arithmetic, causes, memory_traffic
from simulator.results.priced import Priced
from simulator.results.record import StepRecord
from simulator.results.result import MACHINE, STEP, Result
from simulator.results.tally import summed
from simulator.stages import CONVERSIONS, DISPATCH, LAUNCHES, STAGE_FACTS
from simulator.step_run import SectionedRun
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import sharing_of
from simulator.timing.stretches import Stretched
from simulator.trace.storage import load_trace
from simulator.trace.trace import Trace

Change = int | str
"""What becomes of a setting: so many times its value, or this value."""

SettingChanges = Mapping[str, Change]
"""What becomes of settings, by their paths."""


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
        changes = [*_rewritten(hardware, run, costs), *_changed(hardware, step, _CHANGES)]
    return _explanation(hardware, trace, run, changes)


def answered(hardware: Hardware, trace: Trace, most: int = 1) -> Explanation:
    """Return what `explained` does, of the changes at most those that answer the first causes.

    Each change is aimed at one cause, so the causes rank them without a simulation. That a change
    helps more than all others only `explained` knows.
    """
    step = trace.typical_run
    with _stores(hardware):
        run = _steady(hardware, step)
        names = [_ANSWERS[each.name] for each in causes(run.whole) if each.name in _ANSWERS]
        changes = islice(_changed(hardware, step, dict.fromkeys(names)), most)
        return _explanation(hardware, trace, run, changes)


def _explanation(
    hardware: Hardware, trace: Trace, run: SectionedRun, changes: Iterable[Counterfactual]
) -> Explanation:
    ranked = sorted(changes, key=lambda each: (each.time_ps, each.energy_aj, each.name))
    return Explanation(
        hardware.name,
        trace.name,
        run.duration_ps,
        _energy_aj(run, hardware, prices(hardware)),
        causes(run.whole),
        tuple(ranked),
    )


def is_soon_explained(trace: Trace) -> bool:
    """Whether what answers the first causes is simulated in a part of a second."""
    return len(trace.typical_run.steps[0].ops) <= _SOON


_SOON = 400  # ops, a guess: half a millisecond for each of them


def _rewritten(hardware: Hardware, run: SectionedRun, costs: Prices) -> Iterator[Counterfactual]:
    """Yield the tasks of `run` with other work, which no setting of a machine makes of them."""
    for name, rewrite in _REWRITES.items():
        works = {task.work: rewrite(task.work) for task in run.whole.tasks}
        if all(work is other for work, other in works.items()):
            continue
        tasks = [replace(task, work=works[task.work]) for task in run.whole.tasks]
        other = StepRunner(sharing_of(hardware)).run(lowered_step(tasks, hardware.runtime.issue))
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


def _changed(hardware: Hardware, step: Trace, names: Iterable[str]) -> Iterator[Counterfactual]:
    """Yield the step with each of these changes, as far as the machine can have and run them."""
    for name in names:
        with suppress(InputError, Infeasible):
            settings = _settings(hardware, _CHANGES[name](hardware))
            if settings:
                other = load_hardware(hardware, settings)
                yield _simulated(name, _options(settings), other, step)
        if name == _MEMORY and hardware.dram.device and _preset_of_twice(hardware) is None:
            yield _simulated(_MEMORY, "", _with_twice_the_channels(hardware), step)


_PARTS = "forward", "backward", "optimizer"
_DISPATCH = (
    "cpu.op_overhead",
    "cpu.view_overhead",
    *(f"cpu.dispatch.{part}" for part in _PARTS),
    *(f"cpu.dispatch.begin.{part}" for part in _PARTS),
    *(f"cpu.compiled.{part}.{of}" for part in ("forward", "backward") for of in ("call", "tensor")),
    *(f"cpu.compiled.{launch}" for launch in ("kernel", "extern")),
)
_LAUNCH = "launch", "synchronise", "switch", "first_call"


def _twice_the_memory(hardware: Hardware) -> SettingChanges:
    preset = _preset_of_twice(hardware)
    return {"dram.preset": preset} if preset else {"dram.bandwidth": 2}


def _of_array(hardware: Hardware, *names: str) -> SettingChanges:
    return {f"{ACCELERATOR}.{name}": 2 for name in names} if hardware.accelerator else {}


def _of_drivers(hardware: Hardware, changes: SettingChanges) -> SettingChanges:
    """Return changes of the drivers of all units."""
    drivers = ["runtime" if n == ACCELERATOR else f"units.{n}.driver" for n in hardware.drivers]
    return {f"{driver}.{name}": value for driver in drivers for name, value in changes.items()}


_MEMORY, _CLOCK = "twice the memory bandwidth", "a CPU of twice the clock"
_NO_DISPATCH, _DMA = "ops that take no dispatch", "conversions by DMA engines"
_LARGER_ARRAY, _LARGER_MEMORIES = (
    "an array of twice the rows and columns", "twice the array's memories",
)  # fmt: skip
_NO_LAUNCHES = "launches that take no time"

_CHANGES: Mapping[str, Callable[[Hardware], SettingChanges]] = {
    _CLOCK: lambda _: {"cpu.clock": 2},
    "twice as many cores": lambda _: {"cpu.cores": 2},
    _NO_DISPATCH: lambda _: dict.fromkeys(_DISPATCH, 0),
    "chains of ops fused": lambda _: {"runtime.fusion": "chains"},
    _MEMORY: _twice_the_memory,
    _LARGER_ARRAY: lambda soc: _of_array(soc, "rows", "cols"),
    _LARGER_MEMORIES: lambda soc: _of_array(soc, "scratchpad", "accumulator"),
    _NO_LAUNCHES: lambda soc: _of_drivers(soc, dict.fromkeys(_LAUNCH, 0)),
    _DMA: lambda soc: _of_drivers(soc, {"conversions": "unit"}),
    "ops issued as their inputs are ready": lambda soc: (
        {"runtime.issue": "dataflow"} if soc.drivers else {}
    ),
}
"""What becomes of settings, by what it makes of the machine."""

_ANSWERS = {
    DISPATCH: _NO_DISPATCH,
    LAUNCHES: _NO_LAUNCHES,
    CONVERSIONS: _DMA,
    CONTENTION: _MEMORY,
    **{arithmetic(HOST): _CLOCK, memory_traffic(HOST): _MEMORY},
    **{arithmetic(ACCELERATOR): _LARGER_ARRAY, memory_traffic(ACCELERATOR): _LARGER_MEMORIES},
}
"""The change that is aimed at a cause."""


def _settings(hardware: Hardware, changes: SettingChanges) -> dict[str, str]:
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
