"""Figures of a run: energy, latency, memory traffic, occupancy and roofline, as PNG files.

Everything is drawn from plain documents, the content of result.json and step.json, on figures of
its own: no window, no backend and no setting of matplotlib outside is touched.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from simulator.comparison import Comparison
from simulator.scenario.record import PlayDocument
from simulator.views.design_space import SweepTable
from simulator.views.plots.against import against
from simulator.views.plots.bars import energy_per_epoch, energy_per_phase, latency_per_phase
from simulator.views.plots.canvas import Results, StepsByLabel, save, styled
from simulator.views.plots.decides import decides
from simulator.views.plots.methods import (
    bits_over_epochs,
    energy_to_accuracy,
    memory_of_methods,
    method_energy,
)
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
    "draw_comparison",
    "draw_methods",
    "draw_run",
    "draw_scenario",
    "draw_step",
    "draw_sweep",
    "draw_trace",
]

_OF_RESULTS: dict[str, Callable[[Results], Figure | None]] = {
    "energy_per_epoch": energy_per_epoch,
    "energy_per_phase": energy_per_phase,
    "latency_per_phase": latency_per_phase,
    "decides": decides,
}
_OF_STEPS: dict[str, Callable[[StepsByLabel], Figure]] = {
    "dram_bandwidth": dram_bandwidth,
    "occupancy": occupancy,
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


def draw_run(results: Results, steps: StepsByLabel, directory: Path) -> list[Path]:
    """Draw every figure of a run into `directory` and return the files.

    `results` and `steps` hold the documents of result.json and step.json by the machine's label;
    the first is the machine in question, the others are what it is compared with. What decides
    the answer is drawn where samples tell it. Raises InputError when `directory` cannot be written.
    """
    return _draw(_OF_RESULTS, results, directory) + draw_step(steps, directory)


def draw_scenario(play: PlayDocument, result: dict[str, Any], directory: Path) -> list[Path]:
    """Draw the figures of a scenario into `directory` and return the files.

    `play` and `result` are the documents of its folder. Raises InputError when `directory` cannot
    be written.
    """
    paths: list[Path] = []
    for name, draw in _OF_SCENARIOS.items():
        with styled():
            figure = draw(play, result)
            if figure is not None:
                paths.append(directory / f"{name}.png")
                save(figure, paths[-1])
    return paths


def draw_methods(results: Results, directory: Path) -> list[Path]:
    """Draw training methods side by side into `directory` and return the files.

    `results` holds documents of result.json by the method's label. Raises InputError when
    `directory` cannot be written.
    """
    return _draw(_OF_METHODS, results, directory)


def draw_sweep(table: SweepTable, directory: Path, *, search: bool = False) -> list[Path]:
    """Draw the figures of a design space into `directory` and return the files.

    Those that an earlier sweep left there are removed. Of a `search`, whose points are no grid,
    there are its history, which knob explains how much, and all points across their knobs.

    A figure that the table cannot give is left out: a heat map with fewer than two knobs, a front
    without two objectives, energy by array and utilization unless rows or columns vary, curves
    without a numeric knob, sensitivity where no knob moves alone; all of them when no point runs.
    With several traces each has figures of its own, its name at the end of theirs, and `across`
    compares designs over all. Raises InputError when `directory` cannot be written.
    """
    tables = table.by_trace()
    figures = _OF_SEARCHES if search else _OF_SWEEPS
    paths: list[Path] = []
    for trace, part in tables.items():
        ending = f"_{re.sub(r'[^A-Za-z0-9.-]+', '_', trace)}" if len(tables) > 1 else ""
        paths += _drawn(figures, part, directory, ending)
    paths += _drawn(_OF_TRACES, table, directory, "")
    _remove_others(directory, paths)
    return paths


def _drawn(
    figures: Mapping[str, Callable[[SweepTable], Figure | None]],
    table: SweepTable,
    directory: Path,
    ending: str,
) -> list[Path]:
    paths: list[Path] = []
    for name, draw in figures.items():
        with styled():
            figure = draw(table)
            if figure is not None:
                paths.append(directory / f"{name}{ending}.png")
                save(figure, paths[-1])
    return paths


def _remove_others(directory: Path, paths: list[Path]) -> None:
    """Remove the figures of sweeps that an earlier one left, so that none shows other points."""
    for name in (*_OF_SWEEPS, *_OF_SEARCHES, *_OF_TRACES):
        for path in directory.glob(f"{name}*.png"):
            if path not in paths:
                path.unlink()


def draw_step(steps: StepsByLabel, directory: Path) -> list[Path]:
    """Draw the figures of one step, as `draw_run` does; none when `steps` is empty."""
    return _draw(_OF_STEPS, steps, directory)


def draw_comparison(document: Comparison, path: Path) -> None:
    """Draw predicted against measured times of the ops of a step; raises InputError as others."""
    with styled():
        save(against(document), path)


def draw_trace(summary: TraceSummary, footprint: MemoryOverTime, directory: Path) -> list[Path]:
    """Draw what a step of a trace does and what it holds, and return the files.

    `footprint` is what the step holds over time. Raises InputError when `directory` cannot be
    written.
    """
    paths = [directory / "trace.png", directory / "memory.png"]
    with styled():
        save(work(summary), paths[0])
        save(memory(footprint), paths[1])
    return paths


def _draw(
    figures: Mapping[str, Callable[[Mapping[str, _D]], Figure | None]],
    documents: Mapping[str, _D],
    directory: Path,
) -> list[Path]:
    paths: list[Path] = []
    for name, draw in figures.items() if documents else ():
        with styled():
            figure = draw(documents)
            if figure is not None:
                paths.append(directory / f"{name}.png")
                save(figure, paths[-1])
    return paths
