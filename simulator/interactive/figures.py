"""The figures of folders: of runs, sweeps and scenarios."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.views.plots import Drawing


def plot(
    *directories: str | Path,
    formats: Sequence[str] = ("png",),
    only: Sequence[str] = (),
    say: Callable[[str], None] = lambda _sentence: None,
) -> list[Path]:
    """Draw the figures of the runs, sweeps and scenarios in these folders, baselines included.

    They are in these formats ("png", "svg", "pdf"), all of them or `only` some. Returns the files,
    in `figures` of each folder; `say` hears why a figure is left out. Raises InputError where a
    folder holds none of them.
    """
    from simulator.views.plots import Drawing  # noqa: PLC0415 - matplotlib takes 0.4 s

    paths: list[Path] = []
    for directory in map(Path, directories):
        drawing = Drawing(directory / "figures", tuple(formats), tuple(only), say)
        paths += _figures_of(directory, drawing)
    return paths


def _figures_of(directory: Path, drawing: "Drawing") -> list[Path]:
    from simulator.scenario.record import is_scenario  # noqa: PLC0415 - few commands draw
    from simulator.sweeps.folder import TABLE  # noqa: PLC0415 - likewise, and so below

    if (directory / TABLE).is_file():
        return _of_sweep(directory, drawing)
    of_kind = _of_scenario if is_scenario(directory) else _of_run
    return of_kind(directory, drawing)


def _of_sweep(directory: Path, drawing: "Drawing") -> list[Path]:
    from simulator.sweeps.answers import objectives_of  # noqa: PLC0415
    from simulator.sweeps.folder import SWEEP, read_table  # noqa: PLC0415
    from simulator.sweeps.report import drawable  # noqa: PLC0415
    from simulator.sweeps.request import as_list, read_request  # noqa: PLC0415
    from simulator.views.plots import draw_sweep  # noqa: PLC0415

    table = read_table(directory)
    request = read_request(directory / SWEEP)
    objectives = objectives_of(request.minimize, table.columns)
    space = drawable(table, objectives, as_list(request.constraints))
    return draw_sweep(space, drawing, search=request.search is not None)


def _of_scenario(directory: Path, drawing: "Drawing") -> list[Path]:
    from simulator.scenario.record import read_play, read_scenario  # noqa: PLC0415
    from simulator.views.plots import draw_scenario  # noqa: PLC0415

    return draw_scenario(read_play(directory), read_scenario(directory), drawing)


def _of_run(directory: Path, drawing: "Drawing") -> list[Path]:
    from simulator.results.result import read_result  # noqa: PLC0415
    from simulator.results.step import read_step  # noqa: PLC0415
    from simulator.views.plots import draw_run  # noqa: PLC0415

    folders = [directory, *(d for d in (directory / "baseline",) if d.is_dir())]
    results = [read_result(folder) for folder in folders]
    names = [result["hardware"] for result in results]
    if len(set(names)) < len(names):
        names = [names[0], f"{names[1]} (baseline)"]
    steps = {name: read_step(folder) for name, folder in zip(names, folders, strict=True)}
    return draw_run(dict(zip(names, results, strict=True)), steps, drawing)
