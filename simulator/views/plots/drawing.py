"""Where figures go, and in which formats."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from simulator.views.plots.canvas import save, styled

FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class Drawing:
    """A folder for figures, each in all `formats`; `only` those of some names, where it has any."""

    directory: Path
    formats: tuple[str, ...] = FORMATS[:1]
    only: tuple[str, ...] = ()

    def put(self, name: str, draw: Callable[[], Figure | None], ending: str = "") -> list[Path]:
        """Draw a figure unless others alone are wanted; return its files, none of None.

        `ending` makes the name of a file another one. Raises InputError when the folder cannot be
        written.
        """
        if self.only and name not in self.only:
            return []
        with styled():
            figure = draw()
            if figure is None:
                return []
            paths = [self.directory / f"{name}{ending}.{each}" for each in self.formats]
            for path in paths:
                save(figure, path)
            return paths


def into(directory: Path | Drawing) -> Drawing:
    """Return a folder as a drawing of all figures, as PNG."""
    return directory if isinstance(directory, Drawing) else Drawing(directory)
