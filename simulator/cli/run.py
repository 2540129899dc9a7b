"""The verb that replays a training run on a SoC."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.arguments import (
    BoundaryOption,
    FidelityOption,
    FormatOption,
    HardwareArg,
    JsonOption,
    MaxTilesOption,
    PartOption,
    SamplesOption,
    SetOption,
    TraceArg,
    WideOption,
    boundary_option,
    check_format,
    check_order,
    one_of,
)
from simulator.cli.options import with_options
from simulator.cli.terminal import print_table, progress, table_width

if TYPE_CHECKING:
    from simulator.hardware import Hardware
    from simulator.replay import Replay
    from simulator.results.documents import ResultDocument
    from simulator.results.result import Result
    from simulator.results.samples import Samples
    from simulator.trace.trace import Trace


@dataclass(frozen=True)
class RunOptions:
    """The arguments and options of `trainsoc run`."""

    hardware: HardwareArg
    trace: TraceArg
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the result")] = None
    overrides: SetOption = None
    baseline: Annotated[
        str | None,
        typer.Option(
            help="SoC to compare with; --set applies to it too, except accelerator.* and units.*"
        ),
    ] = None
    by: Annotated[str, typer.Option(help="rows of the table: phase, layer, op or stage")] = "phase"
    boundary: BoundaryOption = None
    fidelity: FidelityOption = "flow"
    max_tiles: MaxTilesOption = None
    method: Annotated[
        Path | None,
        typer.Option(help="a training method, bits, density, frozen layers: YAML file or name"),
    ] = None
    part: PartOption = None
    ops: Annotated[bool, typer.Option("--ops", help="add one row per op and unit to JSON")] = False
    samples: SamplesOption = None
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="of the samples")] = 0
    heat_epochs: Annotated[
        int | None,
        typer.Option(min=1, help="epochs over which a SoC with thermal heats up, else the trace's"),
    ] = None
    wide: WideOption = False
    form: FormatOption = None
    as_json: JsonOption = False


@with_options
def run(options: RunOptions) -> None:
    """Replay a training run on a SoC: latency, bandwidth and energy of every phase.

    Uncertain constants have ranges. Samples over all of them give each number an interval and
    show which constants decide it; `trainsoc show SOC` lists the ranges.

    Example: trainsoc run edge-16x16 lenet_digits --baseline cpu-only -o out

    Example: trainsoc run my_soc.yaml run.trace --set accelerator.rows=32 --json

    Example: trainsoc run edge-16x16-mp resnet20_digits --method int8

    Example: trainsoc run edge-16x16 lenet_digits --part "conv1..conv2"

    Example: trainsoc run edge-16x16 mlp_digits --samples 32 --json
    """
    document = run_and_report(options)
    if options.as_json:
        print(json.dumps(document, indent=1))


def run_and_report(options: RunOptions) -> dict[str, object]:
    """Replay a trace, write the result to `out` if given, print its tables unless as JSON.

    Returns the result's document, with the verdict if there is a baseline.
    """
    from simulator.energy.boundary import USUAL
    from simulator.heap_store import recall_heaps
    from simulator.machine.soc import FIDELITIES
    from simulator.machine.step import MOST_TILES
    from simulator.mapping_store import kept_mappings
    from simulator.replay import Replay
    from simulator.uncertainty.counts import check_count
    from simulator.views.report import ROWS, cost_sheet
    from simulator.views.sheet import FORMATS

    check_order("run", options.hardware, options.trace)
    one_of("--by", options.by, tuple(ROWS))
    check_format(options.form, as_json=options.as_json)
    one_of("--fidelity", options.fidelity, FIDELITIES)
    check_count(options.samples)
    machines, trace = _machines(options), _trace(options)
    if options.heat_epochs is not None:
        from simulator.endurance import cooling

        cooling(machines[0][0])
    most = options.max_tiles or MOST_TILES
    boundary = boundary_option(options.boundary) or USUAL
    replays = [Replay(soc, trace, own, options.fidelity, most, boundary) for soc, own in machines]
    results = []
    for replay in replays:
        recall_heaps(replay.trace)
        with kept_mappings(replay.hardware):
            results.append(replay.run(progress=progress))
    for (soc, _), result in zip(machines, results, strict=True):
        if soc.runtime.governor or soc.thermal:
            from simulator.endurance import add_sections

            add_sections(result, soc, trace, options.heat_epochs, options.fidelity, most)
    samples = _sample([soc for soc, _ in machines], trace, results, options)
    if options.out:
        _save(options.out, replays, results, samples, ops=options.ops)
    ops = options.ops or options.by in ("op", "stage")
    documents = [result.as_dict(ops=ops) for result in results]
    if options.form:
        print(FORMATS[options.form](cost_sheet(documents[0], options.by)), end="")
    elif not options.as_json:
        _print_sections(documents, options)
        _print(documents, options, sampled=bool(samples))
        _print_why(results[0], options)
    own: dict[str, object] = {**documents[0]}
    if len(documents) == 1:
        return own
    from simulator.views.verdict import summary

    return own | {"verdict": summary(*documents)}


def _print_sections(documents: "list[ResultDocument]", options: RunOptions) -> None:
    for document in documents:
        if "dvfs" in document:
            from simulator.views.heat import dvfs_lines

            print_table(dvfs_lines(document["dvfs"]), table_width(wide=options.wide))
        if "heat" in document:
            from simulator.views.heat import heat_lines

            print_table(heat_lines(document["heat"]), table_width(wide=options.wide))


def _machines(options: RunOptions) -> "list[tuple[Hardware, list[str]]]":
    """Return the SoC with its overrides and, if there is a baseline, that with its own."""
    from simulator.hardware.load import load_hardware

    overrides = options.overrides or []
    machines = [(load_hardware(options.hardware, overrides), overrides)]
    if options.baseline:
        from simulator.interactive.run import shared_settings

        shared = shared_settings(overrides)
        machines.append((load_hardware(options.baseline, shared), shared))
    return machines


def _trace(options: RunOptions) -> "Trace":
    """Return the trace to replay, or the part of it, under the training method if there is one."""
    from simulator.replay import as_trace

    trace = as_trace(options.trace)
    if options.part is not None:
        from simulator.trace.parts import part

        trace = part(trace, options.part)
    if not options.method:
        return trace
    from simulator.trace.passes.file import load_method
    from simulator.trace.passes.overlay import scheduled

    return scheduled(trace, load_method(options.method))


def _sample(
    machines: "Sequence[Hardware]", trace: "Trace", results: "Sequence[Result]", options: RunOptions
) -> "list[Samples]":
    """Return samples of the runs, by default the usual number; add their account to the results."""
    from simulator.energy.boundary import USUAL
    from simulator.machine.step import MOST_TILES
    from simulator.uncertainty.counts import usual_count
    from simulator.uncertainty.replays import Subject

    most = options.max_tiles or MOST_TILES
    boundary = boundary_option(options.boundary) or USUAL
    subjects = [Subject(soc, trace, options.fidelity, most, boundary) for soc in machines]
    count = usual_count(subjects) if options.samples is None else options.samples
    if not count:
        return []
    from simulator.uncertainty.account import accounts
    from simulator.uncertainty.sampling import draw

    samples = draw(subjects, count, options.seed, progress)
    for result, uncertainty in zip(results, accounts(samples), strict=True):
        result.uncertainty = uncertainty
    return samples


def _save(
    out: Path,
    replays: "Sequence[Replay]",
    results: "Sequence[Result]",
    samples: "Sequence[Samples]",
    *,
    ops: bool,
) -> None:
    """Write the run into folder `out`, and the baseline's into a folder in it."""
    from simulator.results.samples import write_samples
    from simulator.run_folder import discard_run, save_run

    folders = (out, out / "baseline")
    for replay, result, folder in zip(replays, results, folders, strict=False):
        save_run(replay, result, folder, ops=ops)
    for each, folder in zip(samples, folders, strict=False):
        write_samples(folder, each)
    for folder in folders[len(replays) :]:
        discard_run(folder)


def _print(documents: "list[ResultDocument]", options: RunOptions, *, sampled: bool) -> None:
    """Print the tables of a run and, with a baseline's document, the verdict."""
    from simulator.results.uncertainty import sureness
    from simulator.views.report import run_report

    width = table_width(wide=options.wide)
    print_table(run_report(documents[0], options.by, width, options.out), width)
    if len(documents) > 1:
        from simulator.views.verdict import verdict

        print_table(verdict(documents[0], documents[1], width), width)
    if sampled:
        print(sureness(documents[0]))


def _print_why(result: "Result", options: RunOptions) -> None:
    """Print what the time of a step goes to and, for a short one, what helps against it."""
    from rich.text import Text

    from simulator.counterfactuals import answered, is_soon_explained
    from simulator.views.explanation import answer_line, cause_line

    if result.source is None:
        return
    hardware, trace = result.source
    explanation = answered(hardware, trace, 1 if is_soon_explained(trace) else 0)
    first = "" if options.out else "run with -o DIR, then "
    more = f"{first}`trainsoc explain {options.out or 'DIR'}` simulates each change"
    for line in (cause_line(explanation.causes), answer_line(explanation, more)):
        print_table(Text(line), table_width(wide=options.wide))
