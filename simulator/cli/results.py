"""The verbs that read the folders of runs: compare them, draw them, export a timeline."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.arguments import FormatOption, JsonOption, WideOption, check_format, one_of
from simulator.cli.terminal import print_table, progress, table_width
from simulator.errors import InputError
from simulator.views.figure_names import FIGURES, names_by_kind

if TYPE_CHECKING:
    from simulator.hardware import Hardware
    from simulator.results.documents import IntervalRow
    from simulator.views.verdict import Summary


def diff(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR DIR ...", help="of runs")],
    wide: WideOption = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs, and say in which settings their machines differ; ratios are over the first.

    Two runs are compared phase by phase. If they have equal seeds and numbers of samples, ratios
    get intervals: constants of both had the same values in each sample.

    Example: trainsoc diff out-16 out-32

    Example: trainsoc diff out-8 out-16 out-32 --format md
    """
    from simulator.results.result import read_result
    from simulator.results.samples import compared
    from simulator.views.differences import differences, labels
    from simulator.views.joules import check_boundaries, joules_of
    from simulator.views.sheet import FORMATS
    from simulator.views.verdict import one_below_another, side_by_side, summary

    check_format(form, as_json=as_json)
    if len(directories) < 2:
        raise InputError("diff compares runs: name two folders or more")
    names, runs = labels(directories), [read_result(directory) for directory in directories]
    first, *others = runs
    for each in others:
        check_boundaries(first, each)
    uncertainty = compared(*directories) if len(runs) == 2 else {}
    if as_json:
        summaries = [summary(first, each) for each in others]
        print(json.dumps(_comparison(summaries, uncertainty), indent=1))
        return
    if len(runs) == 2:
        sheet = side_by_side(first, others[0], names, uncertainty)
    else:
        sheet = one_below_another(dict(zip(names, runs, strict=True)))
    if form:
        print(FORMATS[form](sheet), end="")
        return
    for line in differences(names, runs, [_machine(each) for each in directories]):
        print(line)
    width = table_width(wide=wide)
    print_table(sheet.fitted(width), width)
    print(joules_of(first))
    if len(runs) == 2 and not uncertainty and all("uncertainty" in run for run in runs):
        print("Ratios have no interval: the runs differ in their number of samples or their seed.")


def _comparison(
    summaries: "list[Summary]", uncertainty: "dict[str, IntervalRow]"
) -> dict[str, object]:
    """Return the JSON object: the summary of two runs, or one for each run but the first."""
    if len(summaries) > 1:
        return {"comparisons": summaries}
    return {**summaries[0], **({"uncertainty": uncertainty} if uncertainty else {})}


def _machine(directory: Path) -> "Hardware | None":
    """Return the machine of a run; None for a folder of an earlier version."""
    from simulator.hardware.load import load_hardware
    from simulator.results.result import MACHINE

    path = directory / MACHINE
    return load_hardware(path) if path.is_file() else None


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
        str, typer.Option(metavar="NAMES", help=f"some figures alone: {names_by_kind()}")
    ] = "",
) -> None:
    """Draw the figures of a run, a sweep or a scenario into its folder.

    Example: trainsoc plot out

    Example: trainsoc plot sweep

    Example: trainsoc plot fp32 qat rct --methods figures

    Example: trainsoc plot out --format svg,pdf --only roofline,energy_per_phase
    """
    from simulator.views.plots import FORMATS

    kinds, names = _names(formats), _names(only)
    for kind in kinds:
        one_of("--format", kind, FORMATS)
    for name in names:
        one_of("--only", name, FIGURES)
    if methods:
        paths = _draw_methods(directories, methods, kinds, names)
    else:
        paths = draw(directories, kinds, names)
    if names and not paths:
        where = ", ".join(map(str, directories))
        raise InputError(f"--only {only}: {where} has nothing to show in it; leave out --only")
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
    """Draw the figures of the folders in these formats, with a progress bar; return the files."""
    from simulator.interactive.figures import plot as figures_of

    folders = progress(directories, len(directories), "drawing")
    return figures_of(*folders, formats=formats, only=only, say=_aside)


def _aside(sentence: str) -> None:
    """Say something beside the answer, which is on stdout."""
    print(sentence, file=sys.stderr)


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
    return draw_methods(dict(zip(names, results, strict=True)), Drawing(out, formats, only, _aside))


def save_timeline(directory: Path, path: Path) -> None:
    """Write the step of a run and of its baseline, or a scenario, to `path` as a Chrome trace."""
    from simulator.results.step import read_step
    from simulator.scenario.record import is_scenario, read_play
    from simulator.views.scenario_timeline import write_scenario_timeline
    from simulator.views.timeline import write_timeline

    if is_scenario(directory):
        write_scenario_timeline(read_play(directory), path)
        return
    other = directory / "baseline"
    write_timeline(read_step(directory), path, read_step(other) if other.is_dir() else None)
