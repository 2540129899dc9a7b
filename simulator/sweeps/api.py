"""A sweep in one call, as from a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.hardware import Hardware
from simulator.sweeps.answers import objectives_of
from simulator.sweeps.axis import Axis, read_axes
from simulator.sweeps.executors import workers_for
from simulator.sweeps.learning import Trainer
from simulator.sweeps.networks import NETWORKS, Models
from simulator.sweeps.request import DEFAULT_HARDWARE, read_request
from simulator.sweeps.search import answered
from simulator.sweeps.sources import Source
from simulator.sweeps.study import study, study_of
from simulator.sweeps.watch import Display, Silent
from simulator.uncertainty.counts import check_count

if TYPE_CHECKING:
    import polars

AxisSettings = Mapping[str, Any] | Sequence[Axis]
"""Axes by setting, in any form that a file takes."""


def sweep(
    space: AxisSettings | str | Path,
    trace: Source | Mapping[str, Source] | None = None,
    out: str | Path | None = None,
    *,
    hardware: Hardware | str | Path | None = None,
    constraints: Sequence[str] = (),
    methods: Sequence[str] = (),
    baselines: Mapping[str, Hardware | str | Path] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    search: int | None = None,
    minimize: str | None = None,
    seed: int | None = None,
    samples: int | None = None,
    heat_epochs: int | None = None,
    models: Models | None = None,
    accuracy: str | Path | None = None,
    trainer: Trainer | None = None,
    full: bool = False,
    quiet: bool = False,
) -> "polars.DataFrame":
    """Replay `trace` on every point of `space` over `hardware` and return the table of points.

    `space` maps settings to their values, {"accelerator.rows": [8, 16]}, or is the path of a
    sweep.yaml that says all; `hardware` ("edge-16x16") and `trace`, one or several by name, stand
    in for those of a file. The folder `out` stores every finished point: the same call goes on
    from them. `workers` are processes, all cores by default, or those of a dask scheduler at
    `cluster`. With `search` so many points are replayed, those likely to have the least of
    `minimize` ("latency,energy"), instead of all. So many `samples` over the ranges of all
    constants give points the columns `latency_p05_s` to `energy_p95_j`. Over `heat_epochs` each
    point heats up, and gets the columns `peak_temperature_degc`, `throttled_s`,
    `sustained_epoch_s` and, on a battery, `charge_per_epoch`. Axes `batch` and
    `model.width` take the name of a model, and `models`, which is
    `workloads.models.capture_model`; `accuracy` is a CSV file of the accuracies of networks, or
    "train", which `trainer` then does. An infeasible point is a row with its reason. Raises
    InputError before anything runs for what is wrong in the space.
    """
    networks = None if out is None else Path(out) / NETWORKS
    if isinstance(space, str | Path):
        request = read_request(Path(space))
        if accuracy is not None:
            request = request.model_copy(update={"accuracy": str(accuracy)})
        plan = study_of(
            request, models, hardware=hardware, traces=trace, networks=networks, trainer=trainer
        )
    elif trace is None:
        raise InputError('sweep() needs a trace: sweep({"accelerator.rows": [8, 16]}, "run.trace")')
    else:
        plan = study(
            DEFAULT_HARDWARE if hardware is None else hardware,
            read_axes(space) if isinstance(space, Mapping) else space,
            trace,
            methods=methods,
            conditions=constraints,
            baselines=baselines,
            models=models,
            networks=networks,
            accuracy=accuracy,
            trainer=trainer,
        )
    check_count(samples)
    options = {
        "search": search, "minimize": minimize, "seed": seed, "samples": samples,
        "heat_epochs": heat_epochs,
    }  # fmt: skip
    changes = {name: value for name, value in options.items() if value is not None}
    plan = replace(plan, request=plan.request.model_copy(update=changes))
    goals = objectives_of(plan.request.minimize, plan.measures)
    watch = Silent() if quiet else Display(goals[0])
    with workers_for(plan, workers, cluster) as crew:
        return answered(plan, crew, Path(out) if out is not None else None, watch, full=full)
