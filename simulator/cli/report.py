"""The verb that makes one page of runs, sweeps and scenarios."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def report(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="of runs, sweeps, scenarios; the first run is ours"),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="HTML file to write", show_default="DIR/report.html"),
    ] = None,
) -> None:
    """Make one page of runs, sweeps and scenarios: costs, limits, how far to trust it.

    The page is one HTML file that opens in any browser, asks nothing of a network, and prints. The
    first run is the one in question; its baseline and all other runs stand beside it.

    Example: trainsoc report out

    Example: trainsoc report out other-run sweep -o report.html
    """
    from simulator.scenario.record import is_scenario
    from simulator.sweeps.folder import SWEEP
    from simulator.sweeps.page import space_sections
    from simulator.views.page import (
        page_document,
        read_runs,
        read_scenario_section,
        simulated_changes,
        write_page,
    )

    sweeps = [each for each in directories if (each / SWEEP).is_file()]
    scenarios = [each for each in directories if is_scenario(each) and each not in sweeps]
    folders = [each for each in directories if each not in sweeps + scenarios]
    first = folders[0] if folders else None
    runs = [
        run for folder in folders for run in read_runs(folder, None if folder == first else first)
    ]
    spaces = [space for each in sweeps for space in space_sections(each)]
    changes = simulated_changes(first) if first else []
    path = out or directories[0] / "report.html"
    command = shlex.join(["trainsoc", "report", *map(str, directories)])
    played = [read_scenario_section(each) for each in scenarios]
    write_page(page_document(runs, spaces, changes, command, played), path)
    print(path)
