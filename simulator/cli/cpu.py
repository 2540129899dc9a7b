"""The verbs that meet a real CPU: describe it, and set predicted times beside its measured ones."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from simulator.cli.arguments import HardwareArg, JsonOption, SetOption
from simulator.cli.terminal import print_table, progress
from simulator.errors import InputError


def calibrate(
    out: Annotated[Path, typer.Option("-o", "--out", help="the YAML to write")],
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="that PyTorch uses; default as many as it would"),
    ] = None,
) -> None:
    """Describe this machine's CPU from microbenchmarks; about a minute, let nothing else run.

    Example: trainsoc calibrate -o host.yaml --threads 1
    """
    _need_torch()
    from simulator.trace.storage import check_writable, rescue
    from workloads.calibrate import calibrate as measured

    check_writable(out)
    rescue(measured(threads, progress).encode(), out, "measured")
    print(out)


def compare(
    hardware: HardwareArg,
    trace: Annotated[str, typer.Argument(help="a trace that was captured with --time")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for a figure")] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the predicted time of a training step beside the measured one, op kind by op kind.

    Example: trainsoc compare host.yaml timed.trace -o compared
    """
    from simulator.comparison import compare as compared
    from simulator.hardware.load import load_hardware
    from simulator.replay import as_trace
    from simulator.results.comparison import comparison_report

    document = compared(load_hardware(hardware, overrides or []), as_trace(trace))
    if out:
        _keep_comparison(document, out)
    if as_json:
        print(json.dumps(document, indent=1))
        return
    print_table(comparison_report(document))


def _keep_comparison(document: dict[str, Any], out: Path) -> None:
    from simulator.files import write_text
    from simulator.results.plots import draw_comparison

    write_text(out / "compare.json", json.dumps(document, indent=1) + "\n")
    draw_comparison(document, out / "compare.png")


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise InputError("calibrate needs torch: pip install 'trainsoc[capture]'")
