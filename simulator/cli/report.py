"""The verb that makes one page of runs and sweeps."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def report(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="folders of runs or sweeps; the first run is ours"),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="HTML file to write", show_default="DIR/report.html"),
    ] = None,
) -> None:
    """Make one page of runs and sweeps: what it costs, what limits it, how far to trust it.

    The page is one HTML file that opens in any browser, asks nothing of a network, and prints. The
    first run is the one in question; its baseline and all other runs stand beside it.

    Example: trainsoc report out

    Example: trainsoc report out other-run sweep -o report.html
    """
    from simulator.sweeps.folder import SWEEP
    from simulator.sweeps.page import space_sections
    from simulator.views.page import page_document, read_runs, simulated_changes, write_page

    sweeps = [each for each in directories if (each / SWEEP).is_file()]
    folders = [each for each in directories if each not in sweeps]
    first = folders[0] if folders else None
    runs = [
        run for folder in folders for run in read_runs(folder, None if folder == first else first)
    ]
    spaces = [space for each in sweeps for space in space_sections(each)]
    changes = simulated_changes(first) if first else []
    path = out or directories[0] / "report.html"
    command = shlex.join(["trainsoc", "report", *map(str, directories)])
    write_page(page_document(runs, spaces, changes, command), path)
    print(path)
