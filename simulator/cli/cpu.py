"""The verbs for a real CPU: describe it, and compare predicted with measured times."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.arguments import (
    HardwareArg,
    JsonOption,
    SamplesOption,
    SetOption,
    check_order,
)
from simulator.cli.meter import meter
from simulator.cli.terminal import print_table, progress
from simulator.errors import InputError, shown

if TYPE_CHECKING:
    from simulator.comparison import Comparison

_MOST_THREADS = 1024
_LEAST_LIMIT_S = 20


def calibrate(
    out: Annotated[Path, typer.Option("-o", "--out", help="the YAML to write")],
    threads: Annotated[
        str,
        typer.Option(help="of PyTorch, such as 2 or 1,2,4; always measures one too; default all"),
    ] = "",
    limit: Annotated[str, typer.Option(help="time limit")] = "120 s",
    force: Annotated[
        bool, typer.Option("--force", help="measure although other programs interfere")
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="torch.compile, too: a minute more, needs g++")
    ] = False,
) -> None:
    """Describe this machine's CPU from microbenchmarks, in two minutes; run nothing else meanwhile.

    Example: trainsoc calibrate -o host.yaml --threads 1,2
    """
    _need_torch()
    from simulator.trace.storage import check_writable, rescue
    from workloads.calibrate import calibrate as describe_cpu

    counts, limit_s = _counts(threads), _limit_s(limit)
    check_writable(out)
    with meter("calibrate") as report:
        text = describe_cpu(counts, report, limit_s=limit_s, force=force, compiled=compiled)
    rescue(text.encode(), out, "measured")
    print(out)


def _counts(text: str) -> list[int]:
    """Return numbers of threads from text such as "1,2"; raises InputError below 1 or
    above 1024.
    """
    words = [word.strip() for word in text.split(",") if text]
    if not all(word.isdecimal() and 1 <= int(word) <= _MOST_THREADS for word in words):
        raise InputError(
            f"--threads {shown(text)}: write numbers from 1 to {_MOST_THREADS} such as 2 or 1,2,4"
        )
    return [int(word) for word in words]


def _limit_s(text: str) -> float:
    """Return the seconds of a duration such as "120 s"; raises InputError for too few."""
    from simulator.units import DURATION, PS_PER_S

    try:
        limit_s = DURATION.parse(text) / PS_PER_S
    except ValueError as error:
        raise InputError(f"--limit {error}") from None
    if limit_s < _LEAST_LIMIT_S:
        raise InputError(f"--limit {text} is too short: allow {_LEAST_LIMIT_S} s or more")
    return limit_s


def compare(
    hardware: HardwareArg,
    trace: Annotated[str, typer.Argument(help="a trace that was captured with --time")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for a figure")] = None,
    overrides: SetOption = None,
    samples: SamplesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the predicted time of a training step with the measured one, by op kind.

    If the machine has ranges, predictions get intervals, by default from 64 samples.

    Example: trainsoc compare host.yaml timed.trace -o compared
    """
    from simulator.hardware.load import load_hardware
    from simulator.replay import as_trace
    from simulator.uncertainty.compared import compare_with_intervals
    from simulator.uncertainty.counts import USUAL, check_count
    from simulator.views.comparison import comparison_report

    check_order("compare", hardware, trace)
    check_count(samples)
    count = USUAL if samples is None else samples
    soc = load_hardware(hardware, overrides or [])
    document = compare_with_intervals(soc, as_trace(trace), count, progress=progress)
    if out:
        _save_comparison(document, out)
    if as_json:
        print(json.dumps(document, indent=1))
        return
    print_table(comparison_report(document))


def _save_comparison(document: "Comparison", out: Path) -> None:
    from simulator.files.writing import write_text
    from simulator.views.plots import draw_comparison

    write_text(out / "compare.json", json.dumps(document, indent=1) + "\n")
    draw_comparison(document, out / "compare.png")


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise InputError("calibrate needs torch: pip install 'trainsoc[capture]'")
