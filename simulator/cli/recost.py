"""The verb that applies other prices to a finished run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import (
    BoundaryOption,
    JsonOption,
    WideOption,
    boundary_option,
    one_of,
)
from simulator.cli.terminal import print_table, table_width


def recost(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder of a run")],
    energy: Annotated[
        Path | None, typer.Option("--energy", metavar="TABLE", help="YAML of prices")
    ] = None,
    boundary: BoundaryOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the result")] = None,
    by: Annotated[str, typer.Option(help="rows of the table: phase, layer, op or stage")] = "phase",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Apply other prices, or another boundary, to a finished run, without simulating it again.

    TABLE is YAML such as energy.yaml in a run's folder, which lists all names. A table with only
    `dynamic: {array_macs_issued: 0.2 pJ}` or `static: {cpu: 30 mW}` changes only that price. The
    run itself is not changed.

    Example: trainsoc recost out --energy my_prices.yaml -o out-recosted

    Example: trainsoc recost out --boundary board
    """
    from simulator.energy.price_file import EnergyTable, read_table
    from simulator.results.recost import recost as at_other_prices
    from simulator.results.recost import save_recosted
    from simulator.results.result import read_result
    from simulator.views.report import ROWS, run_report

    one_of("--by", by, tuple(ROWS))
    ops = "ops" in read_result(directory)
    table = read_table(energy) if energy else EnergyTable()
    result = at_other_prices(directory, table, boundary_option(boundary))
    if out:
        save_recosted(directory, result, out, ops=ops)
    document = result.as_dict(ops=ops or by in ("op", "stage"))
    if as_json:
        print(json.dumps(document, indent=1))
        return
    width = table_width(wide=wide)
    print_table(run_report(document, by, width, out), width)
