"""What all figures share: size, type, colours, how a number is scaled, how a file is written."""

import io
import re
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.files.writing import write_bytes
from simulator.results.documents import ResultDocument
from simulator.results.step_documents import StepDocument
from simulator.trace.colours import Colour
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.phases import FACTS
from simulator.units import ceil_div

Results = Mapping[str, ResultDocument]
StepsByLabel = Mapping[str, StepDocument]
"""Documents of machines or methods, by their labels in a figure."""

WIDTH, HEIGHT, DPI = 7.5, 4.2, 150

# What says when or by what a file was made, by format.
_UNDATED: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

# The palette of Okabe and Ito, which people with any colour vision tell apart
# (https://jfly.uni-koeln.de/color/, 2008), two dark ones for what generates, and greys for what
# matters least.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#000000"
BROWN, PINK = "#8C564B", "#882255"
GREY, SILVER, PAPER, INK = "#8C8C8C", "#BFBFBF", "#E8E8E8", "#4D4D4D"

PALETTE: dict[Colour, str] = {
    "blue": BLUE, "orange": ORANGE, "green": GREEN, "vermillion": VERMILLION, "sky": SKY,
    "purple": PURPLE, "yellow": YELLOW, "black": BLACK, "brown": BROWN, "pink": PINK,
    "grey": GREY, "silver": SILVER,
}  # fmt: skip
PHASES = {phase.value: PALETTE[facts.colour] for phase, facts in FACTS.items()}
KINDS = {kind.value: PALETTE[facts.colour] for kind, facts in KIND_FACTS.items() if facts.colour}
COMPONENTS = {
    "array": VERMILLION,
    "scratchpad": ORANGE,
    "cpu": BLUE,
    "interconnect": PURPLE,
    "dram": GREEN,
    "vector": SKY,
    "controller": YELLOW,
    "serial": BROWN,
    "board": GREY,
    "regulators": SILVER,
}
MEMORY = {
    "parameters": BLUE, "optimizer_state": GREEN, "gradients": VERMILLION, "activations": ORANGE,
    "inputs": SKY, "cache": PURPLE, "copies": YELLOW,
}  # fmt: skip
"""What memory holds, wherever a figure shows it."""
UNITS = {"cpu": BLUE, "accelerator": VERMILLION}
MACHINES = (BLUE, SILVER, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW)

_NAMES = {phase.value: facts.label for phase, facts in FACTS.items()} | {
    "cpu": "CPU", "dram": "DRAM", "optimizer_state": "optimizer state",
}  # fmt: skip


class Chart(Figure):
    """A figure that a notebook shows as the value of a cell, whatever its backend."""

    def _repr_png_(self) -> bytes:
        return _image(self, "png")


def styled() -> AbstractContextManager[None]:
    """Return the settings of this product's figures, which end with the context."""
    return matplotlib.rc_context(
        {
            "font.family": "DejaVu Sans",
            "font.size": 8.5,
            "text.usetex": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.axisbelow": True,
            "axes.titlesize": 8.5,
            "axes.titlelocation": "left",
            "xtick.color": INK,
            "ytick.color": INK,
            "grid.color": "#DDDDDD",
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "legend.fontsize": 8,
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "trainsoc",
            "pdf.fonttype": 42,
        }
    )


def canvas(title: str, note: str, height: float = HEIGHT) -> Figure:
    """Return an empty figure whose `title` is its finding, with a `note` in small type below."""
    figure = Chart(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_wrapped(title, 82), x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    figure.supxlabel(
        textwrap.fill(note, 124, break_on_hyphens=False),
        x=0.012,
        ha="left",
        fontsize=7.5,
        color=INK,
    )
    return figure


def _wrapped(text: str, width: int) -> str:
    """Return `text` in lines of about the same length, none much longer than `width`."""
    text = re.sub(r"(\d) ", "\\1\N{NO-BREAK SPACE}", text)  # a number stays with its unit
    lines = ceil_div(len(text), width)
    longest = width if lines == 1 else min(width, len(text) // lines + 10)
    return textwrap.fill(text, longest, break_on_hyphens=False)


def coloured(table: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return `table` with a colour of its own for each further name, by alphabet; grey when the
    palette is used up.
    """
    spare = [colour for colour in (SKY, YELLOW, PURPLE, ORANGE, GREEN, BLACK)
             if colour not in table.values()]  # fmt: skip
    further = sorted(set(names) - set(table))
    return dict(table) | dict(zip(further, spare, strict=False))


def colour(table: Mapping[str, str], name: str) -> str:
    """Return the colour of `name`, grey where the table has none."""
    return table.get(name, GREY)


def in_order(table: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return the distinct `names` in the order of `table`, those it does not know last."""
    order = list(table)
    return sorted(dict.fromkeys(names), key=lambda n: order.index(n) if n in table else len(order))


def spoken(name: str) -> str:
    """Return the name of a unit, component or phase as it is written in a figure."""
    return _NAMES.get(name, name)


def short(label: str, width: int = 24) -> str:
    """Return `label`, its end cut off where it is longer than `width`."""
    return label if len(label) <= width else f"{label[: width - 1]}…"


def legend(figure: Figure, handles: list[Artist], title: str | None = None) -> None:
    """Put a legend, if there is anything to tell, right of all axes, where it hides nothing."""
    if handles:
        figure.legend(handles=handles, title=title, loc="outside right center", alignment="left")


def swatches(table: Mapping[str, str], names: Iterable[str]) -> list[Artist]:
    """Return one patch per name, in its colour in `table` or in one that `coloured` gives it."""
    names = list(names)
    colours = coloured(table, names)
    return [Patch(color=colour(colours, name), label=spoken(name)) for name in names]


def only(axes: Axes, *spines: str) -> None:
    """Keep only these `spines` of `axes`."""
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)


def save(figure: Figure, path: Path) -> None:
    """Write `figure` in the format of the path's ending. Raises InputError when the place is not
    writable. Equal figures give equal files.
    """
    write_bytes(path, _image(figure, path.suffix.removeprefix(".")))


def _image(figure: Figure, kind: str) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format=kind, dpi=DPI, metadata=_UNDATED[kind])
    return image.getvalue()
