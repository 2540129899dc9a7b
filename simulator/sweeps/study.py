"""A sweep before it runs: which designs, and how they train; from a file, or from Python."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.hardware import Hardware, load_hardware
from simulator.replay import Recording, as_trace
from simulator.results.metrics import minimisable
from simulator.sweeps.axis import Axis, read_axes
from simulator.sweeps.grid import Point
from simulator.sweeps.job import AS_TRACED, Done, Job, Training, address_of
from simulator.sweeps.point_row import replay
from simulator.sweeps.request import SweepRequest, as_list, baselines_of, plain_axis
from simulator.sweeps.space import DesignSpace
from simulator.trace.passes.file import load_method
from simulator.trace.trace import Trace
from simulator.views.design_space import PointRow

Source = Trace | Recording | str | Path
Models = Callable[[str, int | None], Trace]
"""How to capture a model by its name and batch size; raises InputError for an unknown name."""

_BATCHED = {"trace", "batch"}


@dataclass(frozen=True)
class Study:
    """A design space and the training that its points replay.

    `trace` and `method` are those of points that do not say which; `request` is the same as it
    stands in a file.
    """

    space: DesignSpace
    training: Training
    trace: str
    method: str
    request: SweepRequest

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
        """The columns that a search can minimise."""
        return minimisable()

    @property
    def resolved(self) -> Mapping[str, Any]:
        """The SoC that is swept, in plain numbers."""
        return self.space.hardware.plain()

    def run(self, job: Job) -> Done:
        """Return what a point costs; one that cannot run has its reason instead."""
        return replay(job, self)

    def job(self, point: Point, columns: PointRow, *, full: bool = False, address: str = "") -> Job:
        """Return the job of a point, whose `address` may be known.

        Raises InputError where its settings do not fit together.
        """
        self.space.resolve(point)
        return Job(address or self.address(point), point, self.row_of(point, columns), full)

    def address(self, point: Point) -> str:
        """Return the address of a point; raises InputError where it can have none."""
        digest, code = self.space.digest(point), self.training.code
        return address_of(digest, self.trace_of(point), code, self._sampled(point))

    def row_of(self, point: Point, columns: PointRow) -> PointRow:
        """Return what tells a point apart in the table, its knobs being `columns`."""
        trace, method = self._labels_of(point)
        hardware = self.space.hardware
        if point.baseline:
            hardware = self.space.baselines[point.baseline]
        names = {"hardware": hardware.name, "trace": trace, "method": method}
        return {**columns, **names, "baseline": point.baseline}

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
        return point.labels.get("trace", self.trace), point.labels.get("method", self.method)

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
) -> Study:
    """Return the study of `axes` over `hardware` with these traces and methods.

    Several of them, or of `batches`, become axes of their own. Raises InputError for what cannot
    be read, and for an axis value that no hardware takes.
    """
    sources = dict(traces) if isinstance(traces, Mapping) else {_name_of(traces): traces}
    if not sources and not _choices(axes, "trace"):
        raise InputError("a sweep needs a trace: name a file, or one such as lenet_digits")
    request = SweepRequest(
        hardware=hardware.name if isinstance(hardware, Hardware) else str(hardware),
        trace=[
            str(each) if isinstance(each, str | Path) else name for name, each in sources.items()
        ],
        method=list(methods) or None,
        batch=list(batches) or None,
        axes={axis.name: plain_axis(axis) for axis in axes},
        constraints=list(conditions),
        baselines={
            name: each.name if isinstance(each, Hardware) else str(each)
            for name, each in (baselines or {}).items()
        },
    )
    axes, sources = _with_own_sources(tuple(axes), sources)
    axes = _with_axis(axes, "method", methods)
    sizes = list(batches) or _choices(axes, "batch")
    if sizes:
        axes, loaded = _by_batch(axes, sources, sizes, models)
    else:
        axes = _with_axis(axes, "trace", list(sources) if len(sources) > 1 else [])
        loaded = {name: _load(source, models) for name, source in sources.items()}
    names = _choices(axes, "method") or list(methods) or [AS_TRACED]
    schedules = {name: load_method(name) for name in names if name != AS_TRACED}
    others = {name: load_hardware(each) for name, each in (baselines or {}).items()}
    space = DesignSpace(load_hardware(hardware), str(hardware), axes, tuple(conditions), others)
    _ = space.values  # a wrong value is refused before anything runs
    return Study(space, Training(loaded, schedules), next(iter(loaded)), names[0], request)


def study_of(
    request: SweepRequest,
    models: Models | None = None,
    *,
    hardware: Hardware | str | Path | None = None,
    traces: Mapping[str, Source] | Source | None = None,
) -> Study:
    """Return the study that `request` asks for; raises InputError as `study` does.

    `hardware` and `traces` stand in for those that it names.
    """
    sources = as_list(request.trace)
    whole = study(
        request.hardware if hardware is None else hardware,
        read_axes(request.axes),
        {_named(source, sources): source for source in sources} if traces is None else traces,
        methods=as_list(request.method),
        batches=request.batch or (),
        conditions=as_list(request.constraints),
        baselines=baselines_of(request.baselines),
        models=models,
    )
    own = {"hardware": whole.request.hardware, "trace": whole.request.trace}
    return replace(whole, request=request.model_copy(update=own))


def _with_own_sources(
    axes: tuple[Axis, ...], traces: dict[str, Source]
) -> tuple[tuple[Axis, ...], dict[str, Source]]:
    """Return the traces that an axis of traces names, where there is one, by shorter names."""
    sources = _choices(axes, "trace")
    if not sources:
        return axes, traces
    names = {source: _named(source, sources) for source in sources}
    renamed = tuple(_renamed(axis, names) if "trace" in axis.keys else axis for axis in axes)
    return renamed, {names[source]: traces.get(source, source) for source in sources}


def _renamed(axis: Axis, names: Mapping[str, str]) -> Axis:
    at = axis.keys.index("trace")
    choices = ((*c[:at], names[c[at]], *c[at + 1 :]) for c in axis.choices)
    return replace(axis, choices=tuple(choices))


def _with_axis(axes: tuple[Axis, ...], key: str, values: Sequence[str]) -> tuple[Axis, ...]:
    if len(values) < 2 or _choices(axes, key):
        return axes
    return (Axis((key,), tuple((value,) for value in values)), *axes)


def _by_batch(
    axes: tuple[Axis, ...],
    traces: Mapping[str, Source],
    sizes: Sequence[int | str],
    models: Models | None,
) -> tuple[tuple[Axis, ...], dict[str, Trace]]:
    """Return axes and traces of models at these batch sizes."""
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,5}", str(size)) for size in sizes):
        raise InputError(f"axis batch: {', '.join(map(str, sizes))}: write whole numbers from 1 on")
    linked = next((axis for axis in axes if _BATCHED & set(axis.keys) and len(axis.keys) > 1), None)
    if linked is not None:
        raise InputError(f"axis {linked.name}: a batch is an axis of its own; so is its trace")
    batches = [int(size) for size in sizes]
    names = [str(source) for source in traces.values()]
    if models is None or not all(isinstance(source, str) for source in traces.values()):
        raise InputError(
            f"axis batch: {', '.join(traces)} was captured with its batch; name a model, such as "
            "resnet18, whose step can be captured with another"
        )
    loaded = {f"{name} b{batch}": models(name, batch) for name in names for batch in batches}
    pairs = tuple((f"{name} b{batch}", str(batch)) for name in names for batch in batches)
    rest = tuple(axis for axis in axes if not _BATCHED & set(axis.keys))
    return (Axis(("trace", "batch"), pairs), *rest), loaded


def _load(source: Source, models: Models | None) -> Trace:
    try:
        return as_trace(source)
    except InputError as error:
        if models is None or not isinstance(source, str) or Path(source).suffix:
            raise
        try:
            return models(source, None)
        except InputError:
            raise error from None


def _choices(axes: Sequence[Axis], key: str) -> list[str]:
    """Return the values of `key` in the axis that has it, each once; none without such an axis."""
    axis = next((axis for axis in axes if key in axis.keys), None)
    if axis is None:
        return []
    return list(dict.fromkeys(choice[axis.keys.index(key)] for choice in axis.choices))


def _name_of(source: Source) -> str:
    return _named(str(source), []) if isinstance(source, str | Path) else as_trace(source).name


def _named(source: str, others: Sequence[str]) -> str:
    """Return a file's name without folder and ending, where that tells it apart."""
    stem = Path(source).stem if source.endswith(".trace") else source
    stems = [Path(other).stem for other in others]
    return stem if stems.count(Path(source).stem) < 2 else source
