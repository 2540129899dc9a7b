"""The verb that replays a training run on many SoCs."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import HardwareArg, SetOption, TraceArg, WorkersOption
from simulator.cli.terminal import print_table, progress


def sweep(
    hardware: HardwareArg,
    trace: TraceArg,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the table of points")],
    overrides: SetOption = None,
    workers: WorkersOption = None,
) -> None:
    """Replay a training run on every combination of settings.

    Example: trainsoc sweep edge-16x16 lenet_digits --set accelerator.rows=8,16,32 -o sweep
    """
    from simulator.sweeps.report import sweep_report
    from simulator.sweeps.run import sweep as replay_points
    from simulator.sweeps.space import parse_space

    space = parse_space(overrides or [])
    table = replay_points(hardware, trace, space, out, workers=workers, progress=progress)
    print_table(sweep_report(table, list(space)))
    print(f"{table.height} points in {out / 'points.parquet'}")
