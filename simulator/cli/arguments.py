"""Arguments and options that several verbs share."""

from collections.abc import Sequence
from typing import Annotated

import typer

from simulator.errors import InputError, shown

HardwareArg = Annotated[str, typer.Argument(help="a YAML file or a name in hwconfigs")]
TraceArg = Annotated[str, typer.Argument(help="a trace file or the name of a bundled trace")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. accelerator.rows=32"),
]
FidelityOption = Annotated[
    str, typer.Option(help="of the accelerator: flow, or tile (simulates every tile; slower)")
]
MaxTilesOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=2**63 - 1, help="with --fidelity tile, tiles in one step", show_default="1000000"
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=100_000,
        metavar="N",
        help="runs over the ranges of all constants, for intervals; 0 for none",
        show_default="64 with a baseline, if they take seconds",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="processes; default all cores")
]
StepOption = Annotated[
    int | None,
    typer.Option("--step", help="a distinct step by its number; default the typical one"),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        metavar="LAYERS", help="of the trace: conv1..layer2, layer3.., ..<fc, phase=..., ops=9..42"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object, nothing else")]


def one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InputError unless `value`, given for `option`, is one of `choices`."""
    if value not in choices:
        raise InputError(f"{option} {shown(value)}: unknown; use {' or '.join(choices)}")


def near(option: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError unless `value`, given for `option`, is one of many `choices`."""
    from simulator.hardware.settings import likely

    if value not in choices:
        raise InputError(f"{option} {shown(value)}: unknown; {likely(value, choices)}")
