"""Where figures go, and in which formats."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from simulator.errors import InputError
from simulator.views.plots.canvas import save, styled

FORMATS = ("png", "svg", "pdf")


class NothingToDraw(InputError):
    """The documents lack what a figure shows; the message says what, and what would give it."""


def _unsaid(_sentence: str) -> None:
    """Say nothing of a figure that is left out."""


@dataclass(frozen=True)
class Drawing:
    """A folder for figures, each in all `formats`; `only` those of some names, where it has any.

    `say` hears of each figure that is left out, and why.
    """

    directory: Path
    formats: tuple[str, ...] = FORMATS[:1]
    only: tuple[str, ...] = ()
    say: Callable[[str], None] = _unsaid

    def put(self, name: str, draw: Callable[[], Figure | None], ending: str = "") -> list[Path]:
        """Draw a figure unless others alone are wanted; return its files, none where it has
        nothing to show.

        `ending` makes the name of a file another one. Raises InputError when the folder cannot be
        written.
        """
        if self.only and name not in self.only:
            return []
        with styled():
            try:
                figure = draw()
            except NothingToDraw as reason:
                self.say(f"no {name}{ending}: {reason}")
                return []
            if figure is None:
                return []
            paths = [self.directory / f"{name}{ending}.{each}" for each in self.formats]
            for path in paths:
                save(figure, path)
            return paths


def into(directory: Path | Drawing) -> Drawing:
    """Return a folder as a drawing of all figures, as PNG."""
    return directory if isinstance(directory, Drawing) else Drawing(directory)
