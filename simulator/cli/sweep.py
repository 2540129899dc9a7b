"""The verb that replays a training run on many SoCs, or plays many variants of a scenario."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.arguments import JsonOption, WorkersOption, check_order
from simulator.cli.options import with_options
from simulator.cli.terminal import print_sentence, print_table, table_width
from simulator.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.sweeps.exploration import Exploration
    from simulator.sweeps.request import SweepRequest


@dataclass(frozen=True)
class SweepOptions:
    """The arguments and options of `trainsoc sweep`."""

    hardware: Annotated[
        str | None,
        typer.Argument(
            help="a YAML file or a name in hwconfigs; or without TRACE a SWEEP.yaml or a scenario"
        ),
    ] = None
    trace: Annotated[
        str | None,
        typer.Argument(help="a trace file, the name of a bundled trace, or with batch a model's"),
    ] = None
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="folder that keeps every finished point")
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUES", help="an axis: key=8,16 or key=key=8..64:x2 or ..:+8"
        ),
    ] = None
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="points to run, e.g. 'rows * cols <= 1024'"),
    ] = None
    method: Annotated[
        list[str] | None, typer.Option(help="a training method, by name or file; several compare")
    ] = None
    baseline: Annotated[
        list[str] | None, typer.Option(help="a SoC to compare with, as it is, without axes")
    ] = None
    workers: WorkersOption = None
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="a dask scheduler instead of processes")
    ] = None
    full: Annotated[
        bool, typer.Option("--full", help="keep the whole result of every point, results/*.json")
    ] = False
    search: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="search for good points with N replays, not all"),
    ] = None
    minimize: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="objectives of the search and of the front",
            show_default="latency,energy",
        ),
    ] = None
    accuracy: Annotated[
        str | None,
        typer.Option(
            metavar="CSV", help="accuracies by axes: accuracy,width,...; or train: on the digits"
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**32 - 1, help="of search and samples", show_default="0"),
    ] = None
    samples: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=100_000,
            metavar="N",
            help="runs of each point over the ranges of all constants, for intervals",
            show_default="0",
        ),
    ] = None
    heat_epochs: Annotated[
        int | None,
        typer.Option(min=1, max=10**9, help="epochs over which each point heats up"),
    ] = None
    best: Annotated[
        str | None, typer.Option(metavar="NAME", help="print the point that minimizes this")
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="constraint on the best, e.g. 'latency < 20 ms'"),
    ] = None
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="write the table as CSV")] = None
    as_json: JsonOption = False


@with_options
def sweep(options: SweepOptions) -> None:
    """Replay a training run on every point of a design space; finished points are never lost.

    Run the same command, or `trainsoc sweep -o DIR`, to resume a stopped sweep. Axes are settings,
    and trace, method, batch, and parameters of a model (model.width). Conditions may shorten names
    and use units.

    Example: trainsoc sweep edge-16x16 lenet_digits --set accelerator.rows=8,16,32 -o sweep

    Example: trainsoc sweep edge-16x16 resnet20_digits
    --set accelerator.rows=accelerator.cols=8..64:x2 --set accelerator.scratchpad=64KiB..1MiB:x2
    --require "area <= 2 mm2" --baseline cpu-only -o sweep

    Example: trainsoc sweep sweep.yaml -o sweep --best energy --where "latency < 2 s"

    Example: trainsoc sweep edge-16x16 resnet18 --set batch=8,16,32 -o batches

    Example: trainsoc sweep edge-16x16 cnn_digits --set model.depth=2..6:+1
    --set model.width=24..64:+8 --set accelerator.rows=8,16,32 -o networks

    Example: trainsoc sweep huge.yaml -o found --search 200 --minimize latency,energy,area

    Example: trainsoc sweep edge-16x16 mlp_digits --set accelerator.rows=8,16 --samples 32 -o sure
    --best energy

    Example: trainsoc sweep split-inference --set "links.radio.rate=0.1 Mb/s..20 Mb/s:x2" -o rates

    Example: trainsoc sweep raspberry-pi-4-bare lenet_digits --heat-epochs 3000
    --set "thermal.ambient=15 degC,35 degC" -o warm --best peak_temperature

    Example: trainsoc plot sweep
    """
    if options.out is None:
        raise InputError("sweep needs -o DIR: the folder that keeps every finished point")
    request = _refine(_request(options, options.out), options)
    table = _run(request, options, options.out)
    if options.as_json:
        print(json.dumps(_document(table, options, options.out), indent=1))
    else:
        _print(table, request, options, options.out)


def _request(options: SweepOptions, out: Path) -> "SweepRequest":
    """Return the sweep of a command line, of a file, or of the folder itself."""
    from simulator.scenario.load import is_scenario_name
    from simulator.sweeps.folder import request_in
    from simulator.sweeps.request import read_request, request_of, scenario_request

    hardware, settings = options.hardware, options.settings or []
    if hardware is None:
        return request_of(None, None, settings, request_in(out))
    if options.trace is None:
        path = Path(hardware)
        if is_scenario_name(hardware):
            return scenario_request(hardware, settings)
        if path.suffix not in (".yaml", ".yml"):
            raise InputError(f"sweep {hardware}: name a trace too, or a SWEEP.yaml alone")
        return request_of(None, None, settings, read_request(path))
    check_order("sweep", hardware, options.trace)
    return request_of(hardware, options.trace, settings)


def _refine(request: "SweepRequest", options: SweepOptions) -> "SweepRequest":
    """Return the request with what the options add or replace; raises InputError for bad ones."""
    from simulator.sweeps.request import as_list
    from simulator.uncertainty.counts import check_count

    more = {
        "constraints": [*as_list(request.constraints), *(options.require or [])],
        "method": options.method or request.method,
        "baselines": request.baselines or list(options.baseline or []),
        "search": options.search or request.search,
        "minimize": options.minimize or request.minimize,
        "accuracy": options.accuracy or request.accuracy,
        "seed": request.seed if options.seed is None else options.seed,
        "samples": request.samples if options.samples is None else options.samples,
        "heat_epochs": options.heat_epochs or request.heat_epochs,
    }
    request = request.model_copy(update=more)
    check_count(request.samples)
    return request


def _run(request: "SweepRequest", options: SweepOptions, out: Path) -> Any:
    """Run the points that are not in `out` yet; return the table of all."""
    from simulator.interactive.scenario import captured
    from simulator.sweeps.answers import objectives_of
    from simulator.sweeps.executors import workers_for
    from simulator.sweeps.folder import write_csv
    from simulator.sweeps.networks import NETWORKS
    from simulator.sweeps.scenarios import scenario_study
    from simulator.sweeps.search import answered
    from simulator.sweeps.study import study_of
    from simulator.sweeps.watch import Display

    study: Exploration = (
        scenario_study(request, captured)
        if request.scenario
        else study_of(request, captured, networks=(out / NETWORKS).absolute(), trainer=accuracies)
    )
    goals = objectives_of(request.minimize, study.measures)
    with workers_for(study, options.workers, options.cluster) as crew:
        table = answered(study, crew, out, Display(goals[0]), full=options.full)
    if options.csv:
        write_csv(table, options.csv)
    return table


def accuracies(name: str, batch: int | None) -> "Iterator[float]":
    """Yield the test accuracy after each epoch of training a model on the digits."""
    try:
        from workloads.recipes.network_digits import train_network
    except ModuleNotFoundError as error:
        lack = f"training {name} needs {error.name}: pip install 'trainsoc[capture]'"
        raise InputError(lack) from None
    return (report.accuracy for report in train_network(name, batch))


def _best(table: Any, options: SweepOptions) -> tuple[Any, float | None]:
    """Return the best point that meets the conditions, and the share of samples it is best in."""
    from simulator.sweeps.answers import best as best_of
    from simulator.sweeps.answers import best_in_samples

    if not options.best:
        return None, None
    where = options.where or []
    return best_of(table, options.best, where), best_in_samples(table, options.best, where)


def _print(table: Any, request: "SweepRequest", options: SweepOptions, out: Path) -> None:
    """Print the table, the best point, the effects of the axes and where the table is."""
    from simulator.sweeps.answers import measure, objectives_of, shadow_prices
    from simulator.sweeps.folder import TABLE
    from simulator.sweeps.report import (
        best_sentence,
        effects_sentence,
        front_sentence,
        price_sentences,
        sweep_report,
    )
    from simulator.sweeps.request import as_list

    row, stays = _best(table, options)
    goals = objectives_of(request.minimize, table.columns)
    print_table(sweep_report(table, goals, table_width(wide=False)))
    if shape := front_sentence(table, goals):
        print_sentence(shape)
    if options.best and row:
        print_sentence(best_sentence(table, row, measure(table, options.best), stays))
        limits = options.where or [], as_list(request.constraints)
        for sentence in price_sentences(shadow_prices(table, options.best, *limits)):
            print_sentence(sentence)
    if effects := effects_sentence(table):
        print_sentence(effects)
    print(f"{table.height} points in {out / TABLE}; `trainsoc plot {out}` draws them")


def _document(table: Any, options: SweepOptions, out: Path) -> dict[str, Any]:
    """Return the JSON object: counts, the front and the best point."""
    from simulator.sweeps.folder import TABLE
    from simulator.sweeps.sampled import SAMPLES

    row, stays = _best(table, options)
    return {
        "table": str(out / TABLE),
        "points": table.height,
        "feasible": int(table["feasible"].sum()),
        "front": table.filter(table["pareto"]).drop(SAMPLES, strict=False).to_dicts(),
        "best": row,
        **({} if stays is None else {"best_in_samples": stays}),
    }
