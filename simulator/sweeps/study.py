"""A sweep before it runs: which designs, and how they train; from a file, or from Python."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from simulator.endurance import cooling
from simulator.energy.fpga import check_fits
from simulator.errors import InputError
from simulator.hardware import Hardware, load_hardware
from simulator.results.metrics import (
    CHARGE,
    ERROR,
    OF_GOVERNOR,
    OF_HEAT,
    RESOURCES,
    minimisable,
)
from simulator.sweeps.accuracy import read_accuracies
from simulator.sweeps.arrangement import is_memory, largest_memories_first
from simulator.sweeps.axis import Axis, read_axes
from simulator.sweeps.grid import Point
from simulator.sweeps.job import AS_TRACED, Done, Job, Training, address_of
from simulator.sweeps.learning import TRAIN, Learning, Trainer, of_trained, one_of_each_first
from simulator.sweeps.networks import (
    Models,
    Networks,
    has_parameters,
    network_name,
    with_networks_first,
)
from simulator.sweeps.point_row import replay
from simulator.sweeps.request import SweepRequest, as_list, baselines_of, plain_axis
from simulator.sweeps.sources import (
    Source,
    by_batch,
    check_batches,
    choices_of,
    loaded_trace,
    name_of,
    named_source,
    with_axis,
    with_own_sources,
)
from simulator.sweeps.space import DesignSpace
from simulator.trace.passes.file import load_method
from simulator.trace.trace import Trace
from simulator.views.design_space import PointRow


@dataclass(frozen=True)
class Study:
    """A design space and the training that its points replay.

    `trace` and `method` are those of points that do not say which, `trace` a model where axes say
    which network of it; `request` is the same as it stands in a file. With `learning`, the
    networks of points are trained.
    """

    space: DesignSpace
    training: Training
    trace: str
    method: str
    request: SweepRequest
    learning: Learning | None = None

    def __post_init__(self) -> None:
        """Raise InputError where points shall heat up and the SoC does not say how it cools."""
        if self.request.heat_epochs is not None:
            cooling(self.space.hardware)

    def baselines(self) -> Iterator[Point]:
        """Yield the baselines, each with every training."""
        for name in self.space.baselines:
            for trace in self.training.traces:
                for method in self._methods:
                    yield Point({}, {"trace": trace, "method": method}, name)

    def points(self) -> Iterator[Point]:
        """Yield the baselines, then the points of the space in order."""
        yield from self.baselines()
        for number in self.space.allowed():
            yield self.space.point(number)

    @property
    def knobs(self) -> tuple[str, ...]:
        """The columns that tell points apart."""
        return self.space.knobs

    @property
    def measures(self) -> Sequence[str]:
        """The columns that a search can minimise: nothing of an FPGA, a governor, a battery or heat
        where there is none.
        """
        hardware = self.space.hardware
        governs = hardware.runtime.governor or "runtime.governor" in self.knobs
        has = {
            RESOURCES: hardware.technology.fpga,
            OF_GOVERNOR: governs,
            OF_HEAT: self.request.heat_epochs,
            (CHARGE,): hardware.battery,
        }
        lacking = {each.key for columns, here in has.items() if not here for each in columns}
        keys = [key for key in minimisable() if key not in lacking]
        return [*keys, ERROR.key] if self.space.accuracies or self.learning else keys

    @property
    def resolved(self) -> Mapping[str, Any]:
        """The SoC that is swept, in plain numbers."""
        return self.space.hardware.plain()

    def run(self, job: Job) -> Done:
        """Return what a point costs, and how accurate its network is where that is trained.

        One that cannot run, or misses a condition on accuracy, has its reason instead.
        """
        done = replay(job, self)
        if self.learning is None or not done.feasible:
            return done
        return self.learning.judged(done, self.network(job.point), job)

    @property
    def prunes(self) -> bool:
        """Whether the training of a network may stop early: a search has a floor on accuracy.

        Without one a network that errs more may be the best of those that take less.
        """
        searches = self.request.search is not None
        return searches and self.learning is not None and bool(self.learning.conditions)

    def network(self, point: Point) -> str:
        """Return the name of the trace, or network, that a point runs."""
        return self._labels_of(point)[0]

    def arranged(self, jobs: Iterable[Job]) -> Iterable[Job]:
        """Return the jobs in the order in which they take least: each network is trained once, and
        the largest memories come first.
        """
        if self.learning:
            return one_of_each_first(self.trace, jobs)
        return largest_memories_first(jobs) if any(map(is_memory, self.knobs)) else jobs

    def job(self, point: Point, columns: PointRow, *, full: bool = False, address: str = "") -> Job:
        """Return the job of a point, whose `address` may be known.

        Raises InputError where its settings do not fit together, and Infeasible where its arrays
        do not fit their FPGA.
        """
        check_fits(self.space.resolve(point))
        return Job(address or self.address(point), point, self.row_of(point, columns), full)

    def address(self, point: Point) -> str:
        """Return the address of a point; raises InputError where it can have none."""
        digest, code = self.space.digest(point), self.training.code
        learns = (TRAIN, *self.learning.conditions, *self._pruning) if self.learning else ()
        heats = ("heat", self.request.heat_epochs) if self.request.heat_epochs else ()
        ways = (*self._sampled(point), *learns, *heats)
        return address_of(digest, self.trace_of(point), code, ways)

    @cached_property
    def _pruning(self) -> Sequence[Any]:
        """Return what decides which networks are pruned, beside the points: the whole search."""
        if not self.prunes:
            return ()
        request, axes = self.request, [(axis.keys, axis.choices) for axis in self.space.axes]
        return (
            request.seed, request.minimize, axes, self.space.conditions,
            self.space.hardware.digest,
        )  # fmt: skip

    def row_of(self, point: Point, columns: PointRow) -> PointRow:
        """Return what tells a point apart in the table, its knobs being `columns`."""
        trace, method = self._labels_of(point)
        if isinstance(self.training.traces, Networks):
            trace = self.trace  # its axes say which network, and all share a front
        hardware = self.space.hardware
        if point.baseline:
            hardware = self.space.baselines[point.baseline]
        names = {"hardware": hardware.name, "trace": trace, "method": method}
        accuracy = self.space.accuracy_of(point)
        return {**columns, **names, "baseline": point.baseline, **accuracy}

    def _sampled(self, point: Point) -> Sequence[Any]:
        """Return how a point is sampled, and the ranges in which it is."""
        count, seed = self.request.samples, self.request.seed
        if not count:
            return ()
        constants = self.space.resolve(point).constants
        return count, seed, [astuple(each) for each in constants if each.is_uncertain]

    def trace_of(self, point: Point) -> Trace:
        """Return the run that a point replays, under its method."""
        return self.training.trace(*self._labels_of(point))

    def _labels_of(self, point: Point) -> tuple[str, str]:
        """Return the names of a point's trace and method."""
        method = point.labels.get("method", self.method)
        if isinstance(self.training.traces, Networks):
            return network_name(self.trace, point.labels), method
        return point.labels.get("trace", self.trace), method

    @property
    def _methods(self) -> list[str]:
        axes = [axis for axis in self.space.axes if "method" in axis.keys]
        if not axes:
            return [self.method]
        axis = axes[0]
        return [choice[axis.keys.index("method")] for choice in axis.choices]


def study(
    hardware: Hardware | str | Path,
    axes: Sequence[Axis],
    traces: Mapping[str, Source] | Source,
    *,
    methods: Sequence[str] = (),
    batches: Sequence[int] = (),
    conditions: Sequence[str] = (),
    baselines: Mapping[str, Hardware | str | Path] | None = None,
    models: Models | None = None,
    networks: Path | None = None,
    accuracy: str | Path | None = None,
    trainer: Trainer | None = None,
) -> Study:
    """Return the study of `axes` over `hardware` with these traces and methods.

    Several of them, or of `batches`, become axes of their own. `networks` is the folder of those
    that axes span, `accuracy` the file of a table of accuracies, or "train": `trainer`
    does. Raises InputError for what cannot
    be read, and for an axis value that no hardware takes.
    """
    sources = dict(traces) if isinstance(traces, Mapping) else {name_of(traces): traces}
    if not sources and not choices_of(axes, "trace"):
        raise InputError("a sweep needs a trace: name a file, or one such as lenet_digits")
    request = SweepRequest(
        hardware=hardware.name if isinstance(hardware, Hardware) else str(hardware),
        trace=[
            str(each) if isinstance(each, str | Path) else name for name, each in sources.items()
        ],
        method=list(methods) or None,
        batch=list(batches) or None,
        accuracy=None if accuracy is None else str(accuracy),
        axes={axis.name: plain_axis(axis) for axis in axes},
        constraints=list(conditions),
        baselines={
            name: each.name if isinstance(each, Hardware) else str(each)
            for name, each in (baselines or {}).items()
        },
    )
    axes, sources = with_own_sources(tuple(axes), sources)
    axes = with_axis(axes, "method", methods)
    sizes = list(batches) or choices_of(axes, "batch")
    loaded: Mapping[str, Trace]
    if parameters := [axis for axis in axes if has_parameters(axis)]:
        check_batches(sizes)
        axes = with_networks_first(axes, list(sources), sizes)
        loaded = Networks(_capture(models, parameters[0]), networks)
    elif sizes:
        axes, loaded = by_batch(axes, sources, sizes, models)
    else:
        axes = with_axis(axes, "trace", list(sources) if len(sources) > 1 else [])
        loaded = {name: loaded_trace(source, models) for name, source in sources.items()}
    names = choices_of(axes, "method") or list(methods) or [AS_TRACED]
    schedules = {name: load_method(name) for name in names if name != AS_TRACED}
    if baselines and isinstance(loaded, Networks):
        raise InputError(
            f"baseline {next(iter(baselines))}: it would run one network, and these axes span many:"
            " leave it out, or sweep without model axes"
        )
    others = {name: load_hardware(each) for name, each in (baselines or {}).items()}
    learning = _learning(trainer, loaded) if accuracy == TRAIN else None
    knobs = [key for axis in axes for key in axis.keys]
    accuracies = read_accuracies(Path(accuracy), knobs) if accuracy and not learning else None
    space = DesignSpace(
        load_hardware(hardware), str(hardware), axes, tuple(conditions), others, accuracies
    )
    _ = space.values  # a wrong value is refused before anything runs
    whole = Study(
        space, Training(loaded, schedules), next(iter(sources)), names[0], request, learning
    )
    if learning:
        whole = _judging(whole, learning)
    if isinstance(loaded, Networks):
        whole.trace_of(space.point(0))  # as is a parameter that the model lacks
    return whole


def study_of(
    request: SweepRequest,
    models: Models | None = None,
    *,
    hardware: Hardware | str | Path | None = None,
    traces: Mapping[str, Source] | Source | None = None,
    networks: Path | None = None,
    trainer: Trainer | None = None,
) -> Study:
    """Return the study that `request` asks for; raises InputError as `study` does.

    `hardware` and `traces` stand in for those that it names; for `networks` and `trainer` see
    `study`.
    """
    sources = as_list(request.trace)
    whole = study(
        request.hardware if hardware is None else hardware,
        read_axes(request.axes),
        {named_source(source, sources): source for source in sources} if traces is None else traces,
        methods=as_list(request.method),
        batches=request.batch or (),
        conditions=as_list(request.constraints),
        baselines=baselines_of(request.baselines),
        models=models,
        networks=networks,
        accuracy=request.accuracy,
        trainer=trainer,
    )
    own = {"hardware": whole.request.hardware, "trace": whole.request.trace}
    return replace(whole, request=request.model_copy(update=own))


def _judging(whole: Study, learning: Learning) -> Study:
    """Return a study that leaves the conditions on accuracy to training."""
    space = whole.space
    columns = (*space.knobs, *whole.measures)
    trained = of_trained(space.conditions, columns, space.fixed.keys())
    rest = tuple(text for text in space.conditions if text not in trained)
    return replace(
        whole,
        space=replace(space, conditions=rest),
        learning=replace(learning, conditions=trained, fixed=space.fixed),
    )


def _learning(trainer: Trainer | None, networks: Mapping[str, Trace]) -> Learning:
    if trainer is None or not isinstance(networks, Networks):
        raise InputError(
            "accuracy train: it trains networks that axes span: sweep cnn_digits with `trainsoc "
            "sweep --set model.width=24,32`, or give a table"
        )
    return Learning(trainer, networks.folder)


def _capture(models: Models | None, axis: Axis) -> Models:
    if models is None:
        raise InputError(
            f"axis {axis.name}: its networks must be captured: sweep with `trainsoc sweep`, or "
            "with models=workloads.models.capture_model"
        )
    return models
