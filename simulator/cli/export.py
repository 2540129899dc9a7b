"""The verb that writes a trace for another tool."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import StepOption, TraceArg, one_of


def export(
    form: Annotated[str, typer.Argument(help="the format to write: chakra")],
    trace: TraceArg,
    out: Annotated[Path, typer.Option("-o", "--out", help="the file to write")],
    step: StepOption = None,
) -> None:
    """Write one step of a trace for another tool: chakra, which ASTRA-sim reads.

    Example: trainsoc export chakra lenet_digits -o lenet.et

    Example: trainsoc export chakra run.trace -o first.et --step 0
    """
    from simulator.replay import as_trace
    from simulator.trace.exporters import EXPORTERS

    one_of("export", form, tuple(EXPORTERS))
    EXPORTERS[form](as_trace(trace), out, step)
    print(out)
