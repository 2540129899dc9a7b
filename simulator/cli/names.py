"""The verb that lists what comes with trainsoc by name."""

import json
import textwrap
from typing import Annotated

import typer

from simulator.cli.arguments import JsonOption
from simulator.cli.terminal import table_width
from simulator.errors import InputError, nearest, shown

KINDS = "hardware", "traces", "methods", "memories", "cores", "units", "metrics"


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help=", ".join(KINDS), show_default="all of them"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what commands take by name: SoCs, traces, methods, memories, cores, units, metrics.

    Example: trainsoc list

    Example: trainsoc list hardware
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"list {shown(kind)}: unknown; {nearest(kind, KINDS)}")
    names = {each: _names(each) for each in ([kind] if kind else KINDS)}
    if as_json:
        print(json.dumps(names, indent=1))
        return
    width = table_width(wide=False)
    for each, rows in names.items():
        if not kind:
            print(f"{each}:")
        longest = max(map(len, rows), default=0)
        for name, what in rows.items():
            start = f"{'' if kind else '  '}{name:{longest}}  "
            lines = textwrap.wrap(what, max(width - len(start), 20)) or [""]
            for text in (start + lines[0], *(" " * len(start) + line for line in lines[1:])):
                print(text.rstrip())


def _names(kind: str) -> dict[str, str]:
    """Return the names of a kind, each with what it is ("" where the name says all)."""
    from simulator.hardware.load import load_hardware
    from simulator.hardware.shipped import core_classes, dram_presets, hardware_names
    from simulator.hardware.unit import kinds
    from simulator.results.metrics import METRICS
    from simulator.trace.passes.file import method_names
    from simulator.trace.storage import bundled_names

    if kind == "hardware":
        return {name: load_hardware(name).description for name in hardware_names()}
    if kind == "metrics":
        return {each.key: each.label for each in METRICS}
    names = {
        "traces": bundled_names,
        "methods": method_names,
        "memories": dram_presets,
        "cores": core_classes,
        "units": kinds,
    }
    return dict.fromkeys(names[kind](), "")
