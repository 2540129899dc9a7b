"""Figures of runs, sweeps, scenarios and traces, as PNG, SVG or PDF files.

Everything is drawn from plain documents, the content of result.json and step.json, on figures of
its own: no window, no backend and no setting of matplotlib outside is touched.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from simulator.comparison import Comparison
from simulator.errors import InputError, shown
from simulator.hardware.settings import likely
from simulator.scenario.record import PlayDocument
from simulator.views.design_space import SweepTable
from simulator.views.plots.against import against
from simulator.views.plots.against_baseline import against_baseline
from simulator.views.plots.bars import energy_per_epoch, energy_per_phase, latency_per_phase
from simulator.views.plots.canvas import Results, StepsByLabel, save, styled
from simulator.views.plots.decides import decides
from simulator.views.plots.drawing import FORMATS, Drawing, into
from simulator.views.plots.heat import heat
from simulator.views.plots.level_map import LevelMap, level_map
from simulator.views.plots.methods import (
    accuracy_front,
    bits_over_epochs,
    energy_to_accuracy,
    memory_of_methods,
    method_energy,
)
from simulator.views.plots.over_step import cumulative_energy, step_memory
from simulator.views.plots.over_time import dram_bandwidth, occupancy
from simulator.views.plots.profile import layers, profile
from simulator.views.plots.roofline import roofline
from simulator.views.plots.scenario import energies, lanes, latencies
from simulator.views.plots.sweep_across import across
from simulator.views.plots.sweep_array import energy_by_array, utilization
from simulator.views.plots.sweep_curves import curves, sensitivity
from simulator.views.plots.sweep_front import front
from simulator.views.plots.sweep_map import heat_map
from simulator.views.plots.sweep_search import history, importance, parallel
from simulator.views.plots.trace import memory, work
from simulator.views.trace_documents import MemoryOverTime, TraceSummary

_D = TypeVar("_D")

__all__ = [
    "FIGURES_BY_KIND",
    "FORMATS",
    "RUN_FIGURES",
    "SCENARIO_FIGURES",
    "Drawing",
    "Figure",
    "LevelMap",
    "draw_comparison",
    "draw_level_map",
    "draw_methods",
    "draw_run",
    "draw_scenario",
    "draw_step",
    "draw_sweep",
    "draw_trace",
    "figure_of_run",
    "figure_of_scenario",
]

_OF_RESULTS: dict[str, Callable[[Results], Figure | None]] = {
    "energy_per_epoch": energy_per_epoch,
    "energy_per_phase": energy_per_phase,
    "latency_per_phase": latency_per_phase,
    "decides": decides,
    "against_baseline": against_baseline,
    "heat": heat,
}
_OF_STEPS: dict[str, Callable[[StepsByLabel], Figure]] = {
    "dram_bandwidth": dram_bandwidth,
    "occupancy": occupancy,
    "cumulative_energy": cumulative_energy,
    "step_memory": step_memory,
    "roofline": roofline,
    "profile": profile,
    "layers": layers,
}

_OF_SCENARIOS: dict[str, Callable[[PlayDocument, dict[str, Any]], Figure | None]] = {
    "lanes": lanes,
    "latencies": latencies,
    "energies": energies,
}
_OF_METHODS: dict[str, Callable[[Results], Figure]] = {
    "method_energy": method_energy,
    "energy_to_accuracy": energy_to_accuracy,
    "accuracy_front": accuracy_front,
    "bits_over_epochs": bits_over_epochs,
    "memory_of_methods": memory_of_methods,
}
_OF_SWEEPS: dict[str, Callable[[SweepTable], Figure | None]] = {
    "heat_map": heat_map,
    "front": front,
    "energy_by_array": energy_by_array,
    "utilization": utilization,
    "curves": curves,
    "sensitivity": sensitivity,
}
_OF_SEARCHES: dict[str, Callable[[SweepTable], Figure | None]] = {
    "front": front,
    "history": history,
    "importance": importance,
    "parallel": parallel,
}
_OF_TRACES: dict[str, Callable[[SweepTable], Figure | None]] = {"across": across}

FIGURES_BY_KIND: dict[str, tuple[str, ...]] = {
    "a run": (*_OF_RESULTS, *_OF_STEPS),
    "a scenario": tuple(_OF_SCENARIOS),
    "methods": tuple(_OF_METHODS),
    "a sweep": tuple(_OF_SWEEPS | _OF_SEARCHES | _OF_TRACES),
}
"""The names of the figures by what they show."""

_WANTING = {"decides": "sample the run first", "heat": "run on a SoC with thermal first"}
"""What gives a figure of results something to show."""

RUN_FIGURES = (*_OF_RESULTS, *_OF_STEPS)
SCENARIO_FIGURES = tuple(_OF_SCENARIOS)
"""The names of the figures of a run, and of a scenario."""


def figure_of_run(name: str, results: Results, steps: Callable[[], StepsByLabel]) -> Figure:
    """Return one figure of a run; `steps` is called where it shows a step over time.

    Raises InputError for a name that is none, and where the results do not have what it shows.
    """
    _check_name(name, RUN_FIGURES)
    with styled():
        if name in _OF_STEPS:
            return _OF_STEPS[name](steps())
        return _there(name, _OF_RESULTS[name](results))


def figure_of_scenario(name: str, play: PlayDocument, result: dict[str, Any]) -> Figure:
    """Return one figure of a scenario. Raises InputError as `figure_of_run` does."""
    _check_name(name, SCENARIO_FIGURES)
    with styled():
        return _there(name, _OF_SCENARIOS[name](play, result))


def _check_name(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise InputError(f"no figure {shown(name)}: {likely(name, names)}")


def _there(name: str, figure: Figure | None) -> Figure:
    if figure is None:
        wanting = _WANTING.get(name, "run it again")
        raise InputError(f"figure {name}: there is nothing to show; {wanting}")
    return figure


def draw_run(results: Results, steps: StepsByLabel, directory: Path | Drawing) -> list[Path]:
    """Draw every figure of a run into `directory` and return the files.

    `results` and `steps` hold the documents of result.json and step.json by the machine's label;
    the first is the machine in question, the others are what it is compared with. What decides
    the answer is drawn where samples tell it, heat where a SoC describes its cooling. Raises
    InputError when `directory` cannot be written.
    """
    return _draw(_OF_RESULTS, results, directory) + draw_step(steps, directory)


def draw_scenario(
    play: PlayDocument, result: dict[str, Any], directory: Path | Drawing
) -> list[Path]:
    """Draw the figures of a scenario into `directory` and return the files.

    `play` and `result` are the documents of its folder. Raises InputError when `directory` cannot
    be written.
    """
    drawing = into(directory)
    figures = ((name, partial(draw, play, result)) for name, draw in _OF_SCENARIOS.items())
    return [path for name, draw in figures for path in drawing.put(name, draw)]


def draw_methods(results: Results, directory: Path | Drawing) -> list[Path]:
    """Draw training methods side by side into `directory` and return the files.

    `results` holds documents of result.json by the method's label. Raises InputError when
    `directory` cannot be written.
    """
    return _draw(_OF_METHODS, results, directory)


def draw_sweep(table: SweepTable, directory: Path | Drawing, *, search: bool = False) -> list[Path]:
    """Draw the figures of a design space into `directory` and return the files.

    Those that an earlier sweep left there are removed. Of a `search`, whose points are no grid,
    there are its history, which knob explains how much, and all points across their knobs.

    A figure that the table cannot give is left out: a heat map with fewer than two knobs, a front
    without two objectives, energy by array and utilization unless rows or columns vary, curves
    without a numeric knob, sensitivity where no knob moves alone; all of them when no point runs.
    With several traces each has figures of its own, its name at the end of theirs, and `across`
    compares designs over all. Raises InputError when `directory` cannot be written.
    """
    drawing, tables = into(directory), table.by_trace()
    figures = _OF_SEARCHES if search else _OF_SWEEPS
    paths: list[Path] = []
    for trace, part in tables.items():
        ending = f"_{re.sub(r'[^A-Za-z0-9.-]+', '_', trace)}" if len(tables) > 1 else ""
        for name, draw in figures.items():
            paths += drawing.put(name, partial(draw, part), ending)
    for name, draw in _OF_TRACES.items():
        paths += drawing.put(name, partial(draw, table))
    _remove_others(drawing.directory, paths)
    return paths


def _remove_others(directory: Path, paths: list[Path]) -> None:
    """Remove the figures of sweeps that an earlier one left, so that none shows other points."""
    for name in (*_OF_SWEEPS, *_OF_SEARCHES, *_OF_TRACES):
        for path in directory.glob(f"{name}*.*"):
            if path.suffix.removeprefix(".") in FORMATS and path not in paths:
                path.unlink()


def draw_step(steps: StepsByLabel, directory: Path | Drawing) -> list[Path]:
    """Draw the figures of one step, as `draw_run` does; none when `steps` is empty."""
    return _draw(_OF_STEPS, steps, directory)


def draw_comparison(document: Comparison, path: Path) -> None:
    """Draw predicted against measured times of the ops of a step; raises InputError as others."""
    with styled():
        save(against(document), path)


def draw_level_map(shown: LevelMap, path: Path) -> None:
    """Draw a measure over two settings with the line of one level; raises InputError as others."""
    with styled():
        save(level_map(shown), path)


def draw_trace(
    summary: TraceSummary, footprint: MemoryOverTime, directory: Path | Drawing
) -> list[Path]:
    """Draw what a step of a trace does and what it holds, and return the files.

    `footprint` is what the step holds over time. Raises InputError when `directory` cannot be
    written.
    """
    drawing = into(directory)
    return [
        *drawing.put("trace", partial(work, summary)),
        *drawing.put("memory", partial(memory, footprint)),
    ]


def _draw(
    figures: Mapping[str, Callable[[Mapping[str, _D]], Figure | None]],
    documents: Mapping[str, _D],
    directory: Path | Drawing,
) -> list[Path]:
    drawing = into(directory)
    chosen = figures.items() if documents else ()
    return [path for name, draw in chosen for path in drawing.put(name, partial(draw, documents))]
