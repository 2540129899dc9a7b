"""The verbs that read the folders of runs: compare them, draw them, export a timeline."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import JsonOption, near, one_of
from simulator.cli.terminal import print_table, progress


def diff(
    left: Annotated[Path, typer.Argument(help="folder of a run")],
    right: Annotated[Path, typer.Argument(help="folder of another run")],
    as_json: JsonOption = False,
) -> None:
    """Compare two runs side by side; ratios are right over left.

    Runs with equal seeds and numbers of samples get intervals: constants of both had the same
    values in each sample.

    Example: trainsoc diff out-16 out-32
    """
    from simulator.results.result import read_result
    from simulator.results.samples import compared
    from simulator.views.verdict import side_by_side, summary

    ours, theirs = read_result(left), read_result(right)
    uncertainty = compared(left, right)
    if as_json:
        more = {"uncertainty": uncertainty} if uncertainty else {}
        print(json.dumps(summary(ours, theirs) | more, indent=1))
        return
    print_table(side_by_side(ours, theirs, uncertainty))
    if not uncertainty and "uncertainty" in ours and "uncertainty" in theirs:
        print("Ratios have no interval: the runs differ in their number of samples or their seed.")


def plot(
    directories: Annotated[list[Path], typer.Argument(help="folders of runs, sweeps, scenarios")],
    methods: Annotated[
        Path | None,
        typer.Option(help="compare the runs as training methods, figures into this folder"),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="png, svg, pdf, or several of them")
    ] = "png",
    only: Annotated[
        str, typer.Option(metavar="NAMES", help="some figures alone, such as roofline,front")
    ] = "",
) -> None:
    """Draw the figures of a run, a sweep or a scenario into its folder.

    Example: trainsoc plot out

    Example: trainsoc plot sweep

    Example: trainsoc plot fp32 qat rct --methods figures

    Example: trainsoc plot out --format svg,pdf --only roofline,energy_per_phase
    """
    from simulator.views.plots import FIGURES, FORMATS

    kinds, names = _names(formats), _names(only)
    for kind in kinds:
        one_of("--format", kind, FORMATS)
    for name in names:
        near("--only", name, FIGURES)
    if methods:
        paths = _draw_methods(directories, methods, kinds, names)
    else:
        paths = draw(directories, kinds, names)
    for path in paths:
        print(path)


def _names(text: str) -> tuple[str, ...]:
    """Return the names in "one,two"."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def timeline(
    directory: Annotated[Path, typer.Argument(help="folder of a run or a scenario")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="file to write")] = None,
) -> None:
    """Write one step, or a scenario, as a Chrome trace, which ui.perfetto.dev opens.

    Example: trainsoc timeline out
    """
    path = out or directory / "timeline.json"
    save_timeline(directory, path)
    print(path)


def draw(
    directories: list[Path], formats: tuple[str, ...] = ("png",), only: tuple[str, ...] = ()
) -> list[Path]:
    """Draw the figures of the runs, sweeps and scenarios in these folders, with baselines, in
    these formats, or `only` some of them; return the files.
    """
    from simulator.results.result import read_result
    from simulator.results.step import read_step
    from simulator.scenario.record import is_scenario, read_play, read_scenario
    from simulator.sweeps.answers import objectives_of
    from simulator.sweeps.folder import SWEEP, TABLE, read_table
    from simulator.sweeps.report import drawable
    from simulator.sweeps.request import read_request
    from simulator.views.plots import Drawing, draw_run, draw_scenario, draw_sweep

    figures: list[Path] = []
    for directory in progress(directories, len(directories), "drawing"):
        drawing = Drawing(directory / "figures", formats, only)
        if (directory / TABLE).is_file():
            table = read_table(directory)
            request = read_request(directory / SWEEP)
            space = drawable(table, objectives_of(request.minimize, table.columns))
            search = request.search is not None
            figures += draw_sweep(space, drawing, search=search)
            continue
        if is_scenario(directory):
            play, result = read_play(directory), read_scenario(directory)
            figures += draw_scenario(play, result, drawing)
            continue
        folders = [directory, *(d for d in (directory / "baseline",) if d.is_dir())]
        results = [read_result(folder) for folder in folders]
        names = [result["hardware"] for result in results]
        if len(set(names)) < len(names):
            names = [names[0], f"{names[1]} (baseline)"]
        steps = {name: read_step(folder) for name, folder in zip(names, folders, strict=True)}
        documents = dict(zip(names, results, strict=True))
        figures += draw_run(documents, steps, drawing)
    return figures


def _draw_methods(
    directories: list[Path], out: Path, formats: tuple[str, ...], only: tuple[str, ...]
) -> list[Path]:
    """Draw the runs in these folders side by side, by their training methods."""
    from simulator.results.result import read_result
    from simulator.views.plots import Drawing, draw_methods

    results = [read_result(directory) for directory in directories]
    names = [result["method"] for result in results]
    if len(set(names)) < len(names):
        names = [directory.name for directory in directories]
    return draw_methods(dict(zip(names, results, strict=True)), Drawing(out, formats, only))


def save_timeline(directory: Path, path: Path) -> None:
    """Write the step of the run in `directory`, or its scenario, to `path`, as a Chrome trace."""
    from simulator.results.step import read_step
    from simulator.scenario.record import is_scenario, read_play
    from simulator.views.scenario_timeline import write_scenario_timeline
    from simulator.views.timeline import write_timeline

    if is_scenario(directory):
        write_scenario_timeline(read_play(directory), path)
    else:
        write_timeline(read_step(directory), path)
