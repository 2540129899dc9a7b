"""The verb that plays a scenario of several programs, devices and links."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import JsonOption, WideOption
from simulator.cli.terminal import print_table, table_width


def scenario(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="a YAML file, or the name of a shipped scenario")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the result")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. links.wifi.rate='6 Mb/s'"),
    ] = None,
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Play several programs on several devices with links: throughput, latency, energy.

    Devices are SoCs or constant rates, programs are traces or parts of them that arrive, wait,
    compete and pass results on. `trainsoc plot` and `trainsoc timeline` draw the folder;
    `trainsoc sweep FILE --set links.wifi.rate=...` varies anything in the file.

    Example: trainsoc scenario split-inference -o split

    Example: trainsoc scenario camera.yaml --set programs.camera.arrive='60 fps' --json
    """
    from simulator.interactive.scenario import play
    from simulator.views.scenario_report import scenario_report

    result = play(source, overrides or [])
    if out:
        result.save(out)
    document = result.as_dict()
    if as_json:
        print(json.dumps(document, indent=1))
        return
    width = table_width(wide=wide)
    print_table(scenario_report(document, width), width)
    if out:
        print(f"{out}: `trainsoc plot {out}` draws it, `trainsoc timeline {out}` exports it")
