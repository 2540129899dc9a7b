"""The verb that replays a training run on a SoC."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from simulator.cli.arguments import (
    FidelityOption,
    HardwareArg,
    JsonOption,
    MaxTilesOption,
    SetOption,
    TraceArg,
    one_of,
)
from simulator.cli.terminal import print_table, progress


def run(
    hardware: HardwareArg,
    trace: TraceArg,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the result")] = None,
    overrides: SetOption = None,
    baseline: Annotated[
        str | None, typer.Option(help="SoC to compare with; takes --set too, but accelerator.*")
    ] = None,
    by: Annotated[str, typer.Option(help="rows of the table: phase, layer, op or stage")] = "phase",
    fidelity: FidelityOption = "flow",
    max_tiles: MaxTilesOption = None,
    method: Annotated[
        Path | None,
        typer.Option(help="a training method, bits, density, frozen layers: YAML file or name"),
    ] = None,
    ops: Annotated[bool, typer.Option("--ops", help="one row per piece of work in JSON")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay a training run on a SoC: latency, bandwidth and energy of every phase.

    Example: trainsoc run edge-16x16 lenet_digits --baseline cpu-only -o out

    Example: trainsoc run my_soc.yaml run.trace --set accelerator.rows=32 --json

    Example: trainsoc run edge-16x16-mp resnet20_digits --method int8
    """
    from simulator.machine.soc import FIDELITIES
    from simulator.results.report import ROWS

    one_of("--by", by, tuple(ROWS))
    one_of("--fidelity", fidelity, FIDELITIES)
    document = run_and_report(
        hardware, trace, out, overrides or [], baseline, by,
        ops=ops, quiet=as_json, fidelity=fidelity, method=method, max_tiles=max_tiles,
    )  # fmt: skip
    if as_json:
        print(json.dumps(document, indent=1))


def run_and_report(
    hardware: str,
    trace: str,
    out: Path | None,
    overrides: list[str],
    baseline: str | None,
    by: str,
    *,
    ops: bool,
    quiet: bool,
    fidelity: str = "flow",
    method: Path | None = None,
    max_tiles: int | None = None,
) -> dict[str, Any]:
    """Replay a trace, keep the result in `out` if given, print its tables unless `quiet`.

    Returns the result's document, with the verdict where there is a baseline.
    """
    from simulator.hardware.load import load_hardware
    from simulator.machine.soc import MOST_TILES
    from simulator.replay import Replay, as_trace, discard_run, save_run
    from simulator.results.report import run_report, summary, verdict
    from simulator.trace.method.file import load_method
    from simulator.trace.method.overlay import scheduled

    soc = load_hardware(hardware, overrides)
    shared = [text for text in overrides if not text.startswith(("accelerator", "name", "desc"))]
    other = load_hardware(baseline, shared) if baseline else None
    steps = as_trace(trace)
    if method:
        steps = scheduled(steps, load_method(method))
    most = max_tiles or MOST_TILES
    replays = [Replay(soc, steps, overrides, fidelity, most)]
    replays += [Replay(other, steps, shared, fidelity, most)] if other else []
    results = [replay.run(progress=progress) for replay in replays]
    if out:
        for replay, result, folder in zip(replays, results, (out, out / "baseline"), strict=False):
            save_run(replay, result, folder, ops=ops)
        if other is None:
            discard_run(out / "baseline")
    documents = [result.as_dict(ops=ops or by in ("op", "stage")) for result in results]
    document, against = documents[0], documents[1] if other else None
    if not quiet:
        print_table(run_report(document, by))
        if against:
            print_table(verdict(document, against))
    return document | ({"verdict": summary(document, against)} if against else {})
