"""The verb that says why a run takes its time, and what would change that."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import JsonOption
from simulator.cli.terminal import print_table, table_width
from simulator.errors import escaped


def explain(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder of a run")],
    as_json: JsonOption = False,
) -> None:
    """Say what a training step's time goes to, and what would change it, simulated and ranked.

    Example: trainsoc explain out
    """
    from simulator.counterfactuals import explain as explanation_of
    from simulator.views.explanation import explanation_report, setting_lines

    explanation = explanation_of(directory)
    if as_json:
        print(json.dumps(explanation.as_dict(), indent=1))
        return
    print_table(explanation_report(explanation), table_width(wide=False))
    print("\nTo try a change, give `trainsoc run` its options:")
    for line in setting_lines(explanation):
        print(escaped(line))
