"""The verb that plays a scenario of several programs, devices and links."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.arguments import JsonOption, WideOption
from simulator.cli.terminal import print_table, table_width
from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.trace.trace import Trace


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
    from simulator.scenario.api import play
    from simulator.scenario.record import save_scenario
    from simulator.views.scenario_report import scenario_report

    result = play(source, overrides or [], captured)
    if out:
        save_scenario(result, out)
    document = result.as_dict()
    if as_json:
        print(json.dumps(document, indent=1))
        return
    width = table_width(wide=wide)
    print_table(scenario_report(document, width), width)
    if out:
        print(f"{out}: `trainsoc plot {out}` draws it, `trainsoc timeline {out}` exports it")


def captured(name: str) -> "Trace":
    """Return the trace of a model at batch 1: a training step, or of "resnet18 eval" an evaluation.

    Only calling it needs torch. Raises InputError without.
    """
    try:
        from workloads.models import capture_model
    except ModuleNotFoundError as error:
        lack = f"capture of {name} needs {error.name}: pip install 'trainsoc[capture]'"
        raise InputError(lack) from None
    model, _, mode = name.partition(" ")
    if mode not in ("", "eval"):
        raise InputError(f"trace {name}: write a model's name, or {model} eval")
    return capture_model(model, 1, evaluate=bool(mode))
