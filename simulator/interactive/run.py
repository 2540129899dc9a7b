"""A run that one has in hand: its result, and what one asks of it."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from simulator.endurance import add_sections, cooling
from simulator.energy.boundary import USUAL, Boundary
from simulator.errors import InputError, shown
from simulator.hardware import Hardware, load_hardware
from simulator.interactive.tables import frame
from simulator.interactive.verdict import Verdict
from simulator.replay import Recording, Replay, as_trace
from simulator.results.result import Result
from simulator.results.step_documents import StepDocument
from simulator.run_folder import discard_run, save_run
from simulator.trace.passes.file import load_method
from simulator.trace.passes.overlay import scheduled
from simulator.trace.passes.treatment import MethodSchedule
from simulator.trace.trace import StepKind, Trace
from simulator.units import AJ_PER_J, PS_PER_S

if TYPE_CHECKING:
    import polars

    from simulator.views.plots import Figure

_NOT_SHARED = ("accelerator", "units", "name", "desc")
"""Settings that a baseline does not take over."""

_ROWS: dict[str, Callable[[Result], Iterable[Mapping[str, Any]]]] = {
    "phase": lambda result: result.phases,
    "layer": lambda result: result.layers,
    "epoch": lambda result: result.epochs,
    "op": lambda result: result.ops,
}


class RunResult(Result):
    """The result of a replay that is still at hand, so that it can be drawn, saved and compared.

    Beside its own `baseline`, if it has one, it stands against any other with `against`.
    """

    def __init__(self, replay: Replay, baseline: "RunResult | None" = None) -> None:
        """Replay, and keep what a step over time takes."""
        vars(self).update(vars(replay.run()))  # the result is this one: it is not summed twice
        self.replay, self.baseline = replay, baseline

    @property
    def hardware(self) -> Hardware:
        """The machine."""
        return self.replay.hardware

    @property
    def trace(self) -> Trace:
        """The run that was replayed, as this machine runs it."""
        return self.replay.trace

    @property
    def time_per_step_s(self) -> float:
        """The mean time of a training step (of any step where none trains), in seconds."""
        kinds = [self.trace.steps[record.step].kind for _, record in self._steps]
        chosen = {StepKind.TRAIN} & set(kinds) or set(kinds)
        steps = [each for each, kind in zip(self._steps, kinds, strict=True) if kind in chosen]
        time_ps = sum(tally.latency_ps * record.count for tally, record in steps)
        return time_ps / sum(record.count for _, record in steps) / PS_PER_S

    @property
    def time_per_epoch_s(self) -> float:
        """The mean time of an epoch, in seconds."""
        return self.whole.latency_s / len(self.epoch_numbers)

    @property
    def energy_per_epoch_j(self) -> float:
        """The mean energy of an epoch, in joules."""
        return self.whole.energy_aj / len(self.epoch_numbers) / AJ_PER_J

    @property
    def verdict(self) -> Verdict | None:
        """This run against its baseline; None without one."""
        return self.against(self.baseline) if self.baseline else None

    def against(self, other: Result) -> Verdict:
        """Return this run against another: ratios of time and energy, `other` over this one."""
        return Verdict.of(self, other)

    def table(self, by: str = "phase") -> "polars.DataFrame":
        """Return what each "phase", "layer", "epoch" or "op" costs, one row each.

        Columns end in their unit. Raises InputError for another `by`.
        """
        if by not in _ROWS:
            raise InputError(f"table(by={shown(by)}): unknown; use {' or '.join(_ROWS)}")
        return frame(_ROWS[by](self))

    def plot(self, name: str = "latency_per_phase") -> "Figure":
        """Return a figure of this run beside its baseline; `savefig` of matplotlib writes it.

        Raises InputError for a name that is none, with all names.
        """
        from simulator.views.plots import figure_of_run  # noqa: PLC0415 - matplotlib takes 0.4 s

        return figure_of_run(
            name,
            {label: run.as_dict() for label, run in self._labelled.items()},
            lambda: {label: run.typical_step for label, run in self._labelled.items()},
        )

    def save(self, directory: str | Path, *, ops: bool = False) -> Path:
        """Write the folder that `trainsoc run -o` writes, its baseline in it, and return it.

        With `ops`, result.json has a row for each op. Raises InputError where nothing can be
        written.
        """
        folder = Path(directory)
        save_run(self.replay, self, folder, ops=ops)
        if self.baseline:
            self.baseline.save(folder / "baseline", ops=ops)
        else:
            discard_run(folder / "baseline")
        return folder

    def timeline(self, path: str | Path) -> Path:
        """Write the typical step as a Chrome trace, which ui.perfetto.dev opens; return the file.

        The baseline's is in it as a second process. Raises InputError where it cannot be written.
        """
        from simulator.views.timeline import write_timeline  # noqa: PLC0415 - few runs are drawn

        other = self.baseline.typical_step if self.baseline else None
        write_timeline(self.typical_step, Path(path), other)
        return Path(path)

    def report(self, path: str | Path) -> Path:
        """Write one HTML page that opens in any browser: what it costs, and what limits it.

        Its baseline stands beside it. Returns the file. Raises InputError where it cannot be
        written.
        """
        from simulator.views.page import (  # noqa: PLC0415 - few runs are reported
            page_document,
            read_runs,
            simulated_changes,
            write_page,
        )

        with TemporaryDirectory() as place:
            folder = self.save(Path(place) / self.trace.name)
            runs, changes = read_runs(folder), simulated_changes(folder)
        command = self.identity.provenance["command"]
        write_page(page_document(runs, [], changes, command), Path(path))
        return Path(path)

    @cached_property
    def typical_step(self) -> StepDocument:
        """One steady run of the most frequent training step over time."""
        return self.replay.typical_step()

    @property
    def _labelled(self) -> dict[str, "RunResult"]:
        """This run and its baseline by the names of their machines, which differ."""
        own = {self.hardware.name: self}
        if self.baseline is None:
            return own
        name = self.baseline.hardware.name
        return own | {f"{name} (baseline)" if name in own else name: self.baseline}


def simulate(
    hardware: Hardware | str | Path,
    trace: Trace | Recording | str | Path,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    fidelity: str = "flow",
    boundary: Boundary | str = USUAL,
    *,
    method: MethodSchedule | str | Path | None = None,
    baseline: Hardware | str | Path | None = None,
    heat_epochs: int | None = None,
) -> RunResult:
    """Return what training as in `trace` costs on `hardware`.

    `hardware` is a description, a YAML file or a name in `hwconfigs`, with `overrides` as dotted
    paths; `trace` a trace, a capture, a file, or the name of a trace that ships with the product,
    run under a training `method` if there is one. A `baseline` is another SoC, which takes the
    overrides except those of accelerator and units. `boundary` says whose joules the result is of.
    A SoC whose governor chooses clocks has a section `dvfs`, one that says how it cools a section
    `heat` over `heat_epochs`, those of the trace by default. Raises InputError for bad input,
    Infeasible when a machine cannot run it.
    """
    if isinstance(overrides, Mapping):
        settings = [f"{key}={value}" for key, value in overrides.items()]
    else:
        overrides = settings = list(overrides)
    soc, run = load_hardware(hardware, overrides), as_trace(trace)
    if method is not None:
        treatment = method if isinstance(method, MethodSchedule) else load_method(Path(method))
        run = scheduled(run, treatment)
    if heat_epochs is not None:
        cooling(soc)
    within, other = Boundary(boundary), None
    if baseline is not None:
        shared = shared_settings(settings)
        second = load_hardware(baseline, shared)
        other = RunResult(Replay(second, run, shared, fidelity, boundary=within))
        add_sections(other, second, run, heat_epochs, fidelity)
    own = RunResult(Replay(soc, run, settings, fidelity, boundary=within), other)
    add_sections(own, soc, run, heat_epochs, fidelity)
    return own


def shared_settings(settings: Iterable[str]) -> list[str]:
    """Return the settings "key=value" that a baseline takes over."""
    return [text for text in settings if not text.startswith(_NOT_SHARED)]
