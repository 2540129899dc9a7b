"""The verb that replays a training run on a SoC."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.arguments import (
    FidelityOption,
    HardwareArg,
    JsonOption,
    MaxTilesOption,
    SamplesOption,
    SetOption,
    TraceArg,
    one_of,
)
from simulator.cli.terminal import print_table, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.replay import Replay
    from simulator.results.result import Result
    from simulator.results.samples import Samples
    from simulator.uncertainty.replays import Subject


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
    samples: SamplesOption = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="of the samples")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay a training run on a SoC: latency, bandwidth and energy of every phase.

    Constants that are not known exactly have ranges. Samples over all of them give every number
    an interval and say what decides it; `trainsoc show SOC` lists the ranges.

    Example: trainsoc run edge-16x16 lenet_digits --baseline cpu-only -o out

    Example: trainsoc run my_soc.yaml run.trace --set accelerator.rows=32 --json

    Example: trainsoc run edge-16x16-mp resnet20_digits --method int8

    Example: trainsoc run edge-16x16 mlp_digits --samples 32 --json
    """
    from simulator.machine.soc import FIDELITIES
    from simulator.views.report import ROWS

    one_of("--by", by, tuple(ROWS))
    one_of("--fidelity", fidelity, FIDELITIES)
    document = run_and_report(
        hardware, trace, out, overrides or [], baseline, by,
        ops=ops, quiet=as_json, fidelity=fidelity, method=method, max_tiles=max_tiles,
        samples=samples, seed=seed,
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
    samples: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Replay a trace, keep the result in `out` if given, print its tables unless `quiet`.

    So many `samples` are drawn, or as many as are usual. Returns the result's document, with the
    verdict where there is a baseline.
    """
    from simulator.hardware.load import load_hardware
    from simulator.machine.soc import MOST_TILES
    from simulator.replay import Replay, as_trace
    from simulator.results.uncertainty import sureness
    from simulator.trace.passes.file import load_method
    from simulator.trace.passes.overlay import scheduled
    from simulator.uncertainty.api import check_count
    from simulator.uncertainty.replays import Subject
    from simulator.views.report import run_report
    from simulator.views.verdict import summary, verdict

    check_count(samples)
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
    subjects = [Subject(replay.hardware, steps, fidelity, most) for replay in replays]
    drawn = _sampled(subjects, results, samples, seed)
    if out:
        _keep(out, replays, results, drawn, ops=ops)
    documents = [result.as_dict(ops=ops or by in ("op", "stage")) for result in results]
    document, against = documents[0], documents[1] if other else None
    if not quiet:
        print_table(run_report(document, by))
        if against:
            print_table(verdict(document, against))
        if drawn:
            print(sureness(document))
    return document | ({"verdict": summary(document, against)} if against else {})


def _sampled(
    subjects: "Sequence[Subject]", results: "Sequence[Result]", samples: int | None, seed: int
) -> "list[Samples]":
    """Return samples of the runs, and let their results say how sure they are."""
    from simulator.uncertainty.account import accounts
    from simulator.uncertainty.api import usual_count
    from simulator.uncertainty.sampling import draw

    count = usual_count(subjects) if samples is None else samples
    if not count:
        return []
    drawn = draw(subjects, count, seed, progress)
    for result, told in zip(results, accounts(drawn), strict=True):
        result.uncertainty = told
    return drawn


def _keep(
    out: Path,
    replays: "Sequence[Replay]",
    results: "Sequence[Result]",
    drawn: "Sequence[Samples]",
    *,
    ops: bool,
) -> None:
    """Write the run into folder `out`, and that of the baseline into one within."""
    from simulator.replay import discard_run, save_run
    from simulator.results.samples import write_samples

    folders = (out, out / "baseline")
    for replay, result, folder in zip(replays, results, folders, strict=False):
        save_run(replay, result, folder, ops=ops)
    for each, folder in zip(drawn, folders, strict=False):
        write_samples(folder, each)
    for folder in folders[len(replays) :]:
        discard_run(folder)
