"""Arguments and options that several verbs share."""

from typing import TYPE_CHECKING, Annotated

import typer

from simulator.errors import InputError, nearest, shown

if TYPE_CHECKING:
    from simulator.energy.boundary import Boundary


def _hardware(start: str) -> list[str]:
    """Return the SoCs whose names begin so, for completion in a shell."""
    from simulator.hardware.shipped import hardware_names

    return [name for name in hardware_names() if name.startswith(start)]


def _traces(start: str) -> list[str]:
    from simulator.trace.storage import bundled_names

    return [name for name in bundled_names() if name.startswith(start)]


HardwareArg = Annotated[
    str, typer.Argument(help="a YAML file or a name in hwconfigs", autocompletion=_hardware)
]
TraceArg = Annotated[
    str,
    typer.Argument(help="a trace file or the name of a bundled trace", autocompletion=_traces),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. accelerator.rows=32"),
]
BoundaryOption = Annotated[
    str | None,
    typer.Option(
        help="whose joules: array, chip, chip+dram, or board, as a meter at the wall reads it",
        show_default="chip+dram, or as the run had it",
    ),
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
WideOption = Annotated[bool, typer.Option("--wide", help="all columns, at any terminal width")]
FormatOption = Annotated[
    str | None, typer.Option("--format", metavar="csv|md|latex", help="print the table alone, so")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object, nothing else")]


def one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InputError unless `value`, given for `option`, is one of `choices`."""
    if value not in choices:
        raise InputError(f"{option} {shown(value)}: unknown; {nearest(value, choices, 'use {}')}")


def boundary_option(value: str | None) -> "Boundary | None":
    """Return the boundary that an option names, if it is given. Raises InputError for another."""
    from simulator.energy.boundary import Boundary

    if value is None:
        return None
    one_of("--boundary", value, tuple(Boundary))
    return Boundary(value)


def check_format(form: str | None, *, as_json: bool) -> None:
    """Raise InputError unless `form` is one that tables are written in, and the only one asked."""
    from simulator.views.sheet import FORMATS

    if form is None:
        return
    one_of("--format", form, tuple(FORMATS))
    if as_json:
        raise InputError(f"--format {form}: --json prints JSON: leave one of them out")


def check_order(verb: str, hardware: str, trace: str) -> None:
    """Raise InputError if a trace stands in the place of the SoC, and the SoC in its place."""
    from simulator.hardware.shipped import hardware_names
    from simulator.trace.storage import bundled_names

    is_trace = hardware in bundled_names() or hardware.endswith(".trace")
    if is_trace and (trace in hardware_names() or trace.endswith((".yaml", ".yml"))):
        raise InputError(
            f"{verb} {hardware} {trace}: the SoC goes first: trainsoc {verb} {trace} {hardware}"
        )
