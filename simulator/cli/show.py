"""The verb that describes a trace or a SoC."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.arguments import JsonOption, PartOption, SetOption, StepOption
from simulator.cli.terminal import print_table
from simulator.errors import InputError, nearest, shown

if TYPE_CHECKING:
    from simulator.hardware import Hardware
    from simulator.trace.trace import Trace


def show(
    what: Annotated[
        str | None, typer.Argument(metavar="TRACE|HARDWARE", help="file or name")
    ] = None,
    overrides: SetOption = None,
    step: StepOption = None,
    part: PartOption = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="folder for the figures of a trace")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="the JSON schema of a SoC's YAML, for editors")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Describe a trace or a SoC.

    A SoC: its uncertain constants with ranges and reasons, then all other settings and the area.

    A trace: its distinct steps and when they ran; for one of them, what each phase and layer
    computes and moves, and the memory that it holds. -o draws trace.png and memory.png. Of a part
    also its weights, and the bytes that cross the cut around it.

    Example: trainsoc show edge-16x16 --set accelerator.rows=32

    Example: trainsoc show lenet_digits --json

    Example: trainsoc show lenet_digits --step 3 -o figures

    Example: trainsoc show lenet_digits --part "conv1..conv2"

    Example: trainsoc show --schema
    """
    if schema:
        show_schema()
        return
    if what is None:
        raise InputError("show: name a trace or a SoC, such as trainsoc show edge-16x16")
    from simulator.hardware.load import load_hardware
    from simulator.hardware.shipped import hardware_names

    if what not in hardware_names() and Path(what).suffix not in (".yaml", ".yml"):
        check_name(what)
        if overrides:
            raise InputError(f"--set {overrides[0]}: {what} is a trace; only hardware has settings")
        show_trace(what, step, out, part, as_json=as_json)
        return
    for option, value in (("--step", step), ("-o", out), ("--part", part)):
        if value is not None:
            raise InputError(f"{option} {value}: {what} is hardware; {option} is for a trace")
    show_hardware(load_hardware(what, overrides or []), as_json=as_json)


def show_schema() -> None:
    """Print the JSON schema of the YAML file of a SoC."""
    from simulator.hardware.schema import description_schema

    print(json.dumps(description_schema(), indent=1))


def check_name(what: str) -> None:
    """Raise InputError for a name that is neither a file nor that of a SoC or a trace."""
    from simulator.hardware.shipped import hardware_names
    from simulator.trace.storage import bundled_names

    names = (*bundled_names(), *hardware_names())
    if "/" not in what and "." not in what and what not in names and not Path(what).exists():
        raise InputError(f"no trace or hardware {shown(what)}: {nearest(what, names)}")


def show_hardware(hardware: "Hardware", *, as_json: bool = False) -> None:
    """Print a SoC as the YAML that describes it, or as one JSON object."""
    from simulator.energy.area import areas
    from simulator.energy.fpga import resources
    from simulator.results.constants import constants_document
    from simulator.views.hardware_yaml import hardware_yaml

    if not as_json:
        print(hardware_yaml(hardware), end="")
        return
    area = {part.component: part.mm2 for part in areas(hardware)}
    demand = resources(hardware)
    more = {"area_mm2": area, "constants": constants_document(hardware)}
    more |= {"fpga": demand._asdict()} if demand else {}
    print(json.dumps(hardware.plain() | more, indent=1))


def show_trace(
    source: "str | Trace",
    step: int | None = None,
    out: Path | None = None,
    part: str | None = None,
    *,
    as_json: bool = False,
    noted: bool = False,
) -> None:
    """Print a trace, as tables or one JSON object, and draw it into `out` if given.

    `step` is the distinct step to show, by default the typical one, `part` the part, by default
    all; `noted` leaves out the notes on the origin, if they were printed before. Raises InputError
    without such a trace, part or step.
    """
    from simulator.replay import as_trace
    from simulator.trace.parts import TracePart
    from simulator.trace.parts import part as cut_out
    from simulator.views.memory_view import memory_over_time
    from simulator.views.part_view import part_document
    from simulator.views.trace_summary import trace_summary
    from simulator.views.trace_view import trace_table

    whole = as_trace(source)
    spec = None if part is None else TracePart.parse(part)
    trace = cut_out(whole, spec) if spec else whole
    document = trace_summary(trace, step)
    if spec:
        document["part"] = part_document(whole, spec, document["step"])
    figures: list[Path] = []
    if out:
        from simulator.views.plots import draw_trace

        figures = draw_trace(document, memory_over_time(trace, document["step"]), out)
    if as_json:
        print(json.dumps(document, indent=1))
        return
    print_table(trace_table(document | ({"notes": []} if noted else {})))
    for path in figures:
        print(path)
