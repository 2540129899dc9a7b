"""Training methods side by side: energy per epoch, energy against accuracy, bits, memory."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, cast

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulator.results.documents import MemoryDocument, ResultDocument
from simulator.results.methods import accuracies, bit_table, reached_j
from simulator.results.metrics import ENERGY, ENERGY_BY_COMPONENT
from simulator.si import percent, scale, si
from simulator.views.plots.bars import components_of
from simulator.views.plots.canvas import (
    BLACK,
    COMPONENTS,
    INK,
    MACHINES,
    MEMORY,
    Results,
    canvas,
    colour,
    coloured,
    legend,
    only,
    short,
    swatches,
)
from simulator.views.plots.drawing import NothingToDraw

_MARKS = "osD^vPX*"
_OF_STEP = ("parameters", "optimizer_state", "gradients", "activations", "copies")


def method_energy(results: Results) -> Figure:
    """Draw the energy of an epoch by component for each method, and its accuracy at the end."""
    energies = {label: _epoch_j(result) for label, result in results.items()}
    least = min(energies, key=lambda label: energies[label])
    figure = canvas(
        f"{short(least)} takes the least energy per epoch, {si(energies[least], 'J')}",
        _note(results, "Bars: mean over all epochs, evaluation included. Diamonds: accuracy on the "
              "test set after the last epoch, from the training that was captured."),
    )  # fmt: skip
    axes = figure.subplots()
    factor, prefix = scale(max(energies.values()))
    components = components_of(result["total"] for result in results.values())
    bottom, colours = [0.0] * len(results), coloured(COMPONENTS, components)
    for name in components:
        heights = [_component(result, name) / factor for result in results.values()]
        axes.bar(range(len(results)), heights, 0.7, bottom, color=colour(colours, name))
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    for x, label in enumerate(results):
        text = si(energies[label], "J")
        axes.annotate(text, (x, bottom[x]), (0, 2), textcoords="offset points", ha="center")
    axes.set_xticks(range(len(results)), [short(label, 14) for label in results])
    axes.set_ylabel(f"energy per epoch ({prefix}J)")
    handles = swatches(COMPONENTS, reversed(components))
    curves = enumerate(map(accuracies, results.values()))
    last = {x: shares[-1] for x, shares in curves if shares}
    axes.set_ylim(0, (1.45 if last else 1.15) * max(bottom))  # high accuracies lie above the bars
    if last:
        right = axes.twinx()
        right.plot(list(last), [100 * a for a in last.values()], "D", color=BLACK, markersize=5)
        right.set_ylim(0, 105)
        right.set_ylabel("test accuracy (%)")
        only(right, "right", "left", "bottom")
        handles.append(Line2D([], [], color=BLACK, marker="D", linestyle="", label="accuracy"))
    legend(figure, handles, "energy of")
    return figure


def energy_to_accuracy(results: Results) -> Figure:
    """Draw accuracy over the energy spent so far, a line per method.

    Raises NothingToDraw where no run tells its accuracy.
    """
    runs = _with_accuracy(results)
    goal = max(0.0, max(max(accuracies(result)) for result in runs.values()) - 0.02)
    costs = {label: reached_j(result, goal) for label, result in runs.items()}
    reached = {label: joules for label, joules in costs.items() if joules is not None}
    best = min(reached, key=lambda label: reached[label])
    title = f"{short(best)} reaches {percent(goal, 1)} first, after {si(reached[best], 'J')}"
    figure = canvas(title, _note(results, "A mark per epoch, its evaluation included; energy from "
                                 "the start of the run."))  # fmt: skip
    axes = figure.subplots()
    totals = [ENERGY.of(result["total"]) for result in runs.values()]
    factor, prefix = scale(max(totals, default=1.0))
    handles: list[Artist] = []
    for index, (label, result) in enumerate(runs.items()):
        paint, mark = MACHINES[index % len(MACHINES)], _MARKS[index % len(_MARKS)]
        spent = accumulate(ENERGY.of(row) / factor for row in result["epochs"])
        pairs = list(zip(spent, accuracies(result), strict=False))
        axes.plot(
            [x for x, _ in pairs], [100 * y for _, y in pairs],
            color=paint, marker=mark, markersize=4, linewidth=1.2,
        )  # fmt: skip
        handles.append(Line2D([], [], color=paint, marker=mark, label=short(label)))
    axes.axhline(100 * goal, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlabel(f"energy spent ({prefix}J)")
    axes.set_ylabel("test accuracy (%)")
    axes.set_xlim(left=0)
    axes.grid(visible=True)
    legend(figure, handles, "method")
    return figure


def _with_accuracy(results: Results) -> dict[str, ResultDocument]:
    runs = {label: result for label, result in results.items() if accuracies(result)}
    if not runs:
        raise NothingToDraw("no run notes its accuracy: record the training with its evaluations")
    return runs


def accuracy_front(results: Results) -> Figure:
    """Draw accuracy at the end against the energy of all epochs, and the methods that no other one
    beats in both. Raises NothingToDraw where no run tells its accuracy.
    """
    runs = _with_accuracy(results)
    points = {label: (_spent_j(run), accuracies(run)[-1]) for label, run in runs.items()}
    front = _undominated(points)
    figure = canvas(_front_title(front, len(points)), _note(
        results, "Energy of all epochs that note an accuracy, evaluation included; accuracy on the "
        "test set after the last of them. Line: no method has less energy and more accuracy."
    ))  # fmt: skip
    axes = figure.subplots()
    factor, prefix = scale(max(joules for joules, _ in points.values()))
    corners = [(points[label][0] / factor, 100 * points[label][1]) for label in front]
    axes.step(*zip(*corners, strict=True), where="post", color=INK, linewidth=1)
    handles: list[Artist] = []
    for index, (label, (joules, accuracy)) in enumerate(points.items()):
        look: dict[str, Any] = {
            "color": MACHINES[index % len(MACHINES)],
            "marker": _MARKS[index % len(_MARKS)],
        }
        axes.plot([joules / factor], [100 * accuracy], linestyle="", markersize=7, **look)
        handles.append(Line2D([], [], linestyle="", label=short(label), **look))
    axes.set_xlabel(f"energy of the training ({prefix}J)")
    axes.set_ylabel("test accuracy (%)")
    axes.set_xlim(left=0)
    axes.grid(visible=True)
    legend(figure, handles, "method")
    return figure


def _spent_j(result: ResultDocument) -> float:
    """Return the energy of the epochs that note an accuracy, in J."""
    noted = zip(result["epochs"], accuracies(result), strict=False)
    return sum(ENERGY.of(row) for row, _ in noted)


def _undominated(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the labels with the most accuracy of all that take no more energy, by energy."""
    front: list[str] = []
    for label in sorted(points, key=lambda each: (points[each][0], -points[each][1])):
        if not front or points[label][1] > points[front[-1]][1]:
            front.append(label)
    return front


def _front_title(front: list[str], count: int) -> str:
    if count == 1:
        return f"{short(front[0])} is the only method that notes its accuracy"
    if len(front) == 1:
        return f"{short(front[0])} takes the least energy and is the most accurate"
    return f"{len(front)} of {count} methods are beaten by none: {', '.join(map(short, front))}"


def bits_over_epochs(results: Results) -> Figure:
    """Draw the bits of weights by layer and epoch, of the method that changes them most.

    Raises NothingToDraw where no method changes any.
    """
    tables = {label: bit_table(result) for label, result in results.items()}
    label = max(
        tables, key=lambda name: len({bits for row in tables[name].values() for bits in row})
    )
    table = tables[label]
    if not table:
        raise NothingToDraw("no method changes the bits of a layer")
    figure = canvas(_bits_title(label, table), _note(
        {label: results[label]}, "Mean over the steps of an epoch; evaluation counts as training."
    ), 1.6 + 0.16 * max(8, len(table)))  # fmt: skip
    axes = figure.subplots()
    rows = list(table.values())
    image = axes.imshow(rows, aspect="auto", cmap="cividis", interpolation="nearest")
    axes.set_yticks(range(len(table)), [short(name, 28) for name in table], fontsize=7)
    axes.set_xlabel("epoch")
    axes.set_ylabel("layer")
    figure.colorbar(image, ax=axes, label="bits of weights", pad=0.02)
    only(axes)
    return figure


def memory_of_methods(results: Results) -> Figure:
    """Draw what a training step of each method holds, by kind, at its own maxima."""
    memory = {label: result["memory"] for label, result in results.items()}
    least = min(memory, key=lambda label: memory[label]["peak_bytes"])
    figure = canvas(
        f"{short(least)} holds least: {si(memory[least]['peak_bytes'], 'B')} at its peak",
        _note(results, "Bars: each kind at its own maximum. Line: the most that is held at one "
              "time."),
    )  # fmt: skip
    axes = figure.subplots()
    most = max(sum(_bytes(each, name) for name in _OF_STEP) for each in memory.values())
    factor, prefix = scale(most)
    _stack(axes, memory, factor)
    axes.set_xticks(range(len(memory)), [short(label, 14) for label in memory])
    axes.set_ylabel(f"memory of a training step ({prefix}B)")
    peak = Line2D([], [], color=BLACK, linewidth=1.5, label="peak")
    legend(figure, [*swatches(MEMORY, reversed(_OF_STEP)), peak], "held")
    return figure


def _stack(axes: Axes, memory: Mapping[str, MemoryDocument], factor: float) -> None:
    bottom = [0.0] * len(memory)
    for name in _OF_STEP:
        heights = [_bytes(each, name) / factor for each in memory.values()]
        axes.bar(range(len(memory)), heights, 0.7, bottom, color=MEMORY[name])
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    for x, each in enumerate(memory.values()):
        peak = each["peak_bytes"] / factor
        axes.plot([x - 0.4, x + 0.4], [peak, peak], color=BLACK, linewidth=1.5)
        text = si(each["peak_bytes"], "B")
        axes.annotate(text, (x, bottom[x]), (0, 2), textcoords="offset points", ha="center")


def _bytes(memory: MemoryDocument, kind: str) -> int:
    return cast(Mapping[str, int], memory).get(kind, 0)


def _bits_title(label: str, table: Mapping[str, Iterable[float]]) -> str:
    widths = [bits for row in table.values() for bits in row]
    return f"{short(label)} trains in {min(widths):.0f} to {max(widths):.0f} bits"


def _epoch_j(result: ResultDocument) -> float:
    return ENERGY.of(result["total"]) / max(1, result["epochs_simulated"])


def _component(result: ResultDocument, name: str) -> float:
    energy = ENERGY_BY_COMPONENT.of(result["total"]).get(name, 0.0)
    return energy / max(1, result["epochs_simulated"])


def _note(results: Results, text: str) -> str:
    machines = " and ".join(dict.fromkeys(result["hardware"] for result in results.values()))
    return f"On {machines}. {text}"
