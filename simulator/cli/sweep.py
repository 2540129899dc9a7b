"""The verb that replays a training run on many SoCs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.arguments import JsonOption, WorkersOption
from simulator.cli.terminal import print_table
from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.sweeps.request import SweepRequest
    from simulator.sweeps.study import Models
    from simulator.trace.trace import Trace


def sweep(
    hardware: Annotated[
        str | None,
        typer.Argument(help="a YAML file or a name in hwconfigs; or a SWEEP.yaml, without TRACE"),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Argument(help="a trace file, the name of a bundled trace, or with batch a model's"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="folder that keeps every finished point")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUES", help="an axis: key=8,16 or key=key=8..64:x2 or ..:+8"
        ),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="points to run, e.g. 'rows * cols <= 1024'"),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="a training method, by name or file; several compare")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="a SoC to compare with, as it is, without axes")
    ] = None,
    workers: WorkersOption = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="a dask scheduler instead of processes")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="keep the whole result of every point, results/*.json")
    ] = False,
    search: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="replay N points, as good as can be found, not all"),
    ] = None,
    minimize: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="what a search makes least, and the front shows",
            show_default="latency,energy",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, help="of search and samples: the same, the same", show_default="0"
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=100_000,
            metavar="N",
            help="runs of each point over the ranges of all constants, for intervals",
            show_default="0",
        ),
    ] = None,
    best: Annotated[
        str | None, typer.Option(metavar="NAME", help="tell the point with the least of it")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="that the best meets, e.g. 'latency < 20 ms'"),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="write the table as CSV")] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a training run on every point of a design space; finished points are never lost.

    The same command goes on where it was stopped; so does `trainsoc sweep -o DIR`. Axes are
    settings, and trace, method, batch. Conditions may shorten names and use units.

    Example: trainsoc sweep edge-16x16 lenet_digits --set accelerator.rows=8,16,32 -o sweep

    Example: trainsoc sweep edge-16x16 resnet20_digits
    --set accelerator.rows=accelerator.cols=8..64:x2 --set accelerator.scratchpad=64KiB..1MiB:x2
    --require "area <= 2 mm2" --baseline cpu-only -o sweep

    Example: trainsoc sweep sweep.yaml -o sweep --best energy --where "latency < 2 s"

    Example: trainsoc sweep edge-16x16 resnet18 --set batch=8,16,32 -o batches

    Example: trainsoc sweep huge.yaml -o found --search 200 --minimize latency,energy,area

    Example: trainsoc sweep edge-16x16 mlp_digits --set accelerator.rows=8,16 --samples 32 -o sure
    --best energy

    Example: trainsoc plot sweep
    """
    from simulator.sweeps.answers import best as best_of
    from simulator.sweeps.answers import best_in_samples, measure, objectives_of
    from simulator.sweeps.executors import workers_for
    from simulator.sweeps.folder import TABLE, write_csv
    from simulator.sweeps.report import best_sentence, effects_sentence, sweep_report
    from simulator.sweeps.request import listed
    from simulator.sweeps.search import answered
    from simulator.sweeps.study import study_of
    from simulator.sweeps.watch import Display
    from simulator.uncertainty.api import check_count

    if out is None:
        raise InputError("sweep needs -o DIR: the folder that keeps every finished point")
    request = _request(hardware, trace, out, settings or [])
    more = {
        "constraints": [*listed(request.constraints), *(require or [])],
        "method": method or request.method,
        "baselines": request.baselines or list(baseline or []),
        "search": search or request.search,
        "minimize": minimize or request.minimize,
        "seed": request.seed if seed is None else seed,
        "samples": request.samples if samples is None else samples,
    }
    request = request.model_copy(update=more)
    check_count(request.samples)
    goals = objectives_of(request.minimize)
    study = study_of(request, _models())
    with workers_for(study.training, workers, cluster) as crew:
        table = answered(study, crew, out, Display(goals[0]), full=full)
    if csv:
        write_csv(table, csv)
    row = best_of(table, best, where or []) if best else None
    stays = best_in_samples(table, best, where or []) if best else None
    if as_json:
        print(json.dumps(_document(table, row, stays, out / TABLE), indent=1))
        return
    print_table(sweep_report(table, goals))
    if best and row:
        print(best_sentence(table, row, measure(table, best), stays))
    if effects := effects_sentence(table):
        print(effects)
    print(f"{table.height} points in {out / TABLE}; `trainsoc plot {out}` draws them")


def _request(
    hardware: str | None, trace: str | None, out: Path, settings: list[str]
) -> "SweepRequest":
    """Return the sweep that is meant: of a command line, of a file, or of the folder itself."""
    from simulator.sweeps.folder import request_in
    from simulator.sweeps.request import read_request, request_of

    if hardware is None:
        return request_of(None, None, settings, request_in(out))
    if trace is None:
        path = Path(hardware)
        if path.suffix not in (".yaml", ".yml"):
            raise InputError(f"sweep {hardware}: name a trace too, or a SWEEP.yaml alone")
        return request_of(None, None, settings, read_request(path))
    return request_of(hardware, trace, settings)


def _models() -> "Models":
    """Return how to capture a model, which needs torch only if one is asked for."""

    def capture(name: str, batch: int | None) -> "Trace":
        try:
            from workloads.models import capture_model
        except ModuleNotFoundError as error:
            told = f"capture of {name} needs {error.name}: pip install 'trainsoc[capture]'"
            raise InputError(told) from None
        return capture_model(name, batch)

    return capture


def _document(table: Any, row: Any, stays: float | None, path: Path) -> dict[str, Any]:
    from simulator.sweeps.sampled import SAMPLES

    feasible = int(table["feasible"].sum())
    return {
        "table": str(path),
        "points": table.height,
        "feasible": feasible,
        "front": table.filter(table["pareto"]).drop(SAMPLES, strict=False).to_dicts(),
        "best": row,
        **({} if stays is None else {"best_in_samples": stays}),
    }
