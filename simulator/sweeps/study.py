"""What a sweep is asked: which designs, and how they train; from a file, or from Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.errors import InputError
from simulator.hardware import Hardware, load_hardware
from simulator.replay import Recording, as_trace
from simulator.sweeps.axis import Axis, parse_axes, read_axes
from simulator.sweeps.job import AS_TRACED, Job, Training, address_of
from simulator.sweeps.space import Point, Space
from simulator.trace.method.file import load_method
from simulator.trace.trace import Trace
from simulator.yaml_file import read_yaml

DEFAULT_HARDWARE = "edge-16x16"
Source = Trace | Recording | str | Path
Models = Callable[[str, int | None], Trace]
"""How to capture a model by its name and batch size; raises InputError for an unknown name."""

_BATCHED = {"trace", "batch"}
_HOW = {
    "trace": "a name or a file, or a list of them",
    "method": "a name or a file, or a list of them",
    "batch": "a list of whole numbers",
    "constraints": "a condition such as rows * cols <= 1024, or a list of them",
    "baselines": "{name: cpu-only}, or {name: {hardware: cpu-only, set: {cpu.cores: 2}}}",
}
_EXAMPLE = "hardware, trace and axes, such as {accelerator.rows: [8, 16]}"


class _Baseline(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    hardware: str
    set: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Request(BaseModel):
    """A sweep as it stands in a file.

    `trace` and `method` take one name or file, or several; `batch` sizes make `trace` the name of
    a model; `baselines` are SoCs by name, each a name or file, or one with settings. With `search`
    so many points are replayed instead of all: those that `minimize` what it names.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    hardware: str = DEFAULT_HARDWARE
    trace: str | list[str] | None = None
    method: str | list[str] | None = None
    batch: list[int] | None = None
    axes: dict[str, Any] = Field(default_factory=dict)
    constraints: str | list[str] = Field(default_factory=list)
    baselines: dict[str, str | _Baseline] | list[str] = Field(default_factory=dict)
    search: int | None = Field(default=None, ge=1)
    minimize: str = "latency,energy"
    seed: int = 0
    trainsoc: str | None = None
    store: int | None = None


@dataclass(frozen=True)
class Study:
    """A design space and the training that its points replay.

    `trace` and `method` are those of points that do not say which; `asked` is the same as it
    stands in a file.
    """

    space: Space
    training: Training
    trace: str
    method: str
    asked: Request

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

    def job(self, point: Point, columns: Mapping[str, Any], *, full: bool = False) -> Job:
        """Return the job of a point; raises InputError where its settings do not fit together."""
        hardware = self.space.resolve(point)
        trace = point.labels.get("trace", self.trace)
        method = point.labels.get("method", self.method)
        training = self.training
        address = address_of(hardware, training.trace(trace, method), training.code)
        settings = tuple(f"{key}={value}" for key, value in point.settings.items())
        told = {**columns, "trace": trace, "method": method, "baseline": point.baseline}
        return Job(address, hardware, trace, method, settings, told, full)

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
    told = dict(traces) if isinstance(traces, Mapping) else {_name_of(traces): traces}
    if not told and not _choices(axes, "trace"):
        raise InputError("a sweep needs a trace: name a file, or one such as lenet_digits")
    asked = Request(
        hardware=hardware.name if isinstance(hardware, Hardware) else str(hardware),
        trace=[str(each) if isinstance(each, str | Path) else name for name, each in told.items()],
        method=list(methods) or None,
        batch=list(batches) or None,
        axes={axis.name: _plain(axis) for axis in axes},
        constraints=list(conditions),
        baselines={
            name: each.name if isinstance(each, Hardware) else str(each)
            for name, each in (baselines or {}).items()
        },
    )
    axes, told = _with_own_sources(tuple(axes), told)
    axes = _with_axis(axes, "method", methods)
    sizes = list(batches) or _choices(axes, "batch")
    if sizes:
        axes, loaded = _by_batch(axes, told, sizes, models)
    else:
        axes = _with_axis(axes, "trace", list(told) if len(told) > 1 else [])
        loaded = {name: _load(source, models) for name, source in told.items()}
    names = _choices(axes, "method") or list(methods) or [AS_TRACED]
    schedules = {name: load_method(name) for name in names if name != AS_TRACED}
    others = {name: load_hardware(each) for name, each in (baselines or {}).items()}
    space = Space(load_hardware(hardware), str(hardware), axes, tuple(conditions), others)
    _ = space.values  # a wrong value is told before anything runs
    return Study(space, Training(loaded, schedules), next(iter(loaded)), names[0], asked)


def read_request(path: Path) -> Request:
    """Return the sweep that a YAML file asks for; raises InputError naming file, key and fix."""
    raw = read_yaml(path, _EXAMPLE)
    try:
        return Request.model_validate(raw)
    except ValidationError as error:
        told = dict.fromkeys(_sentence(path, each) for each in error.errors())
        raise InputError("; ".join(told)) from None


def study_of(request: Request, models: Models | None = None) -> Study:
    """Return the study that `request` asks for; raises InputError as `study` does."""
    sources = _listed(request.trace)
    traces: dict[str, Source] = {_named(source, sources): source for source in sources}
    found = study(
        request.hardware,
        read_axes(request.axes),
        traces,
        methods=_listed(request.method),
        batches=request.batch or (),
        conditions=_listed(request.constraints),
        baselines=_baselines(request.baselines),
        models=models,
    )
    return replace(found, asked=request)


def request_of(
    hardware: str | None, trace: str | None, settings: Sequence[str], request: Request | None = None
) -> Request:
    """Return `request` with what a command line says instead, or beside: `settings` are axes."""
    base = request or Request()
    axes = base.axes | {axis.name: _plain(axis) for axis in parse_axes(settings)}
    told = {"hardware": hardware, "trace": trace, "axes": axes}
    return base.model_copy(update={key: value for key, value in told.items() if value is not None})


def _plain(axis: Axis) -> list[Any]:
    """Return the choices of an axis as they stand in a file."""
    rows = [[int(text) if text.isdecimal() else text for text in choice] for choice in axis.choices]
    return [row[0] for row in rows] if axis.is_equal else [*rows]


def _baselines(told: Mapping[str, str | _Baseline] | list[str]) -> dict[str, Hardware]:
    entries = told if isinstance(told, Mapping) else {name: name for name in told}
    found = {}
    for name, entry in entries.items():
        if isinstance(entry, str):
            found[name] = load_hardware(entry)
        else:
            found[name] = load_hardware(entry.hardware, entry.set)
    return found


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
    if not all(str(size).isdecimal() and int(size) for size in sizes):
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


def _listed(told: str | Sequence[str] | None) -> list[str]:
    return [told] if isinstance(told, str) else list(told or ())


def _sentence(path: Path, error: Any) -> str:
    key = str(error["loc"][0])
    where = ".".join(str(item) for item in error["loc"])
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        return f"{path}: {where}: unknown key; known: {', '.join(Request.model_fields)}"
    if key in _HOW:
        return f"{path}: {key}: write {_HOW[key]}"
    return f"{path}: {where}: {error['msg'][:1].lower()}{error['msg'][1:]}; write {_EXAMPLE}"
