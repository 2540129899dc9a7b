"""Several trainings on the same designs: which design suits all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.si import percent
from simulator.views.design_space import ENERGY, LATENCY, Measure, PointRow, SweepTable, named
from simulator.views.plots.canvas import canvas, only, short
from simulator.views.plots.sweep_notes import scene

_DESIGNS = 12  # rows that a panel has room for
_MAP = "cividis_r"  # even in lightness, and the same to all colour vision

Design = tuple[Any, ...]


def across(table: SweepTable) -> Figure | None:
    """Draw the best designs of each training, and how far each of them is from the best of others.

    None with fewer than two trainings that run on the same designs.
    """
    traces = {name: part for name, part in table.by_trace().items() if part.feasible}
    if len(traces) < 2:
        return None
    ratios = {measure: over_best(table, traces, measure) for measure in (ENERGY, LATENCY)}
    if not ratios[ENERGY]:
        return None
    designs = _designs(ratios)
    figure = canvas(_title(table, ratios[ENERGY]), _note(table), 1.7 + 0.3 * len(designs))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, measure in zip(panels, ratios, strict=True):
        grid = np.array([[ratios[measure][design][name] for name in traces] for design in designs])
        axes.imshow(np.log(grid), cmap=_MAP, aspect="auto", vmin=0, vmax=np.log(2))
        for (line, column), value in np.ndenumerate(grid):
            shade = "white" if value > 1.45 else "black"
            text = f"{value:.2f}" if value < 9.995 else f"{value:.0f}"
            axes.text(column, line, text, ha="center", va="center", color=shade, fontsize=7.5)
        axes.set_title(f"{measure.name} over the least of each")
        axes.set_xticks(range(len(traces)), [short(name, 14) for name in traces])
        axes.tick_params(length=0)
        only(axes)
    rows = {_design(table, row): row for row in table.feasible}
    texts = [short(named(rows[design], _axes(table)), 34) for design in designs]
    panels[0].set_yticks(range(len(designs)), texts)
    return figure


def over_best(
    table: SweepTable, traces: Mapping[str, SweepTable], measure: Measure
) -> dict[Design, dict[str, float]]:
    """Return `measure` over the least of its training, by design and training.

    Designs that do not run all trainings are left out.
    """
    values: dict[Design, dict[str, float]] = {}
    for name, part in traces.items():
        for row in part.feasible:
            value = measure.of(row)
            if value:
                values.setdefault(_design(table, row), {})[name] = value
    whole = {design: by for design, by in values.items() if len(by) == len(traces)}
    least = {name: min((by[name] for by in whole.values()), default=1.0) for name in traces}
    return {
        design: {name: by[name] / least[name] for name in traces} for design, by in whole.items()
    }


def _designs(ratios: Mapping[Measure, dict[Design, dict[str, float]]]) -> list[Design]:
    """Return the designs that suit all trainings best in energy, and the best of each of them."""
    energy = ratios[ENERGY]
    chosen: list[Design] = [
        min(by_design, key=lambda design: by_design[design][name])
        for by_design in ratios.values()
        for name in next(iter(energy.values()))
    ]
    order = sorted(energy, key=lambda design: max(energy[design].values()))
    designs = list(dict.fromkeys([order[0], *chosen, *order]))[:_DESIGNS]
    return sorted(designs, key=lambda design: max(energy[design].values()))


def _axes(table: SweepTable) -> list[Any]:
    return [axis for axis in table.axes if "trace" not in axis.knobs]


def _design(table: SweepTable, row: PointRow) -> Design:
    return tuple(axis.of(row) for axis in _axes(table))


def _title(table: SweepTable, energy: Mapping[Design, Mapping[str, float]]) -> str:
    best = min(energy, key=lambda design: max(energy[design].values()))
    worst = max(energy[best].values())
    rows: Sequence[PointRow] = table.feasible
    row = next(row for row in rows if _design(table, row) == best)
    name = short(named(row, _axes(table)), 50)
    if worst < 1.005:
        return f"{name} takes the least energy for every training"
    return f"{name} suits all: at most {percent(worst - 1, 1, 0)} above the least energy of each"


def _note(table: SweepTable) -> str:
    return f"{scene(table)} 1.00: the best design of that training. Darker is further from it."
