"""The verb that describes a trace or a SoC."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from simulator.cli.arguments import JsonOption, SetOption
from simulator.cli.terminal import print_table


def show(
    what: Annotated[str, typer.Argument(metavar="TRACE|HARDWARE", help="file or name")],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a trace or a SoC.

    Example: trainsoc show edge-16x16 --set accelerator.rows=32

    Example: trainsoc show lenet_digits --json
    """
    from simulator.hardware.load import hardware_names, load_hardware

    if what in hardware_names() or Path(what).suffix in (".yaml", ".yml"):
        view = load_hardware(what, overrides or []).plain()
        print(json.dumps(view, indent=1) if as_json else _as_lines(view))
        return
    show_trace(what, as_json=as_json)


def show_trace(source: str, *, as_json: bool) -> None:
    """Print what is in a trace, as a table or one JSON object; raises InputError without one."""
    from simulator.replay import as_trace
    from simulator.results.trace_view import trace_summary, trace_table

    trace = as_trace(source)
    if as_json:
        print(json.dumps(trace_summary(trace), indent=1))
        return
    print_table(trace_table(trace))


def _as_lines(view: dict[str, Any], prefix: str = "") -> str:
    lines = []
    for key, value in view.items():
        if isinstance(value, dict):
            lines.append(_as_lines(value, f"{prefix}{key}."))
        else:
            lines.append(f"{prefix}{key} = {value}")
    return "\n".join(lines)
