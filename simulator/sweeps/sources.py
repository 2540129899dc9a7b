"""The traces of a sweep by name, and the axes that several of them are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simulator.errors import InputError
from simulator.replay import Recording, as_trace
from simulator.sweeps.axis import Axis
from simulator.sweeps.networks import Models
from simulator.trace.trace import Trace

Source = Trace | Recording | str | Path

_BATCHED = {"trace", "batch"}


def with_own_sources(
    axes: tuple[Axis, ...], traces: dict[str, Source]
) -> tuple[tuple[Axis, ...], dict[str, Source]]:
    """Return the traces that an axis of traces names, where there is one, by shorter names."""
    sources = choices_of(axes, "trace")
    if not sources:
        return axes, traces
    names = {source: named_source(source, sources) for source in sources}
    renamed = tuple(_renamed(axis, names) if "trace" in axis.keys else axis for axis in axes)
    return renamed, {names[source]: traces.get(source, source) for source in sources}


def _renamed(axis: Axis, names: Mapping[str, str]) -> Axis:
    at = axis.keys.index("trace")
    choices = ((*c[:at], names[c[at]], *c[at + 1 :]) for c in axis.choices)
    return replace(axis, choices=tuple(choices))


def with_axis(axes: tuple[Axis, ...], key: str, values: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes with one more of `values`, where there are several and none is of `key`."""
    if len(values) < 2 or choices_of(axes, key):
        return axes
    return (Axis((key,), tuple((value,) for value in values)), *axes)


def by_batch(
    axes: tuple[Axis, ...],
    traces: Mapping[str, Source],
    sizes: Sequence[int | str],
    models: Models | None,
) -> tuple[tuple[Axis, ...], dict[str, Trace]]:
    """Return axes and traces of models at these batch sizes."""
    check_batches(sizes)
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


def check_batches(sizes: Sequence[int | str]) -> None:
    """Raise InputError for a size of batches that is none."""
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,5}", str(size)) for size in sizes):
        raise InputError(f"axis batch: {', '.join(map(str, sizes))}: write whole numbers from 1 on")


def loaded_trace(source: Source, models: Models | None) -> Trace:
    """Return the trace that a source is, or that a model of its name is captured as."""
    try:
        return as_trace(source)
    except InputError as error:
        if models is None or not isinstance(source, str) or Path(source).suffix:
            raise
        try:
            return models(source, None)
        except InputError:
            raise error from None


def choices_of(axes: Sequence[Axis], key: str) -> list[str]:
    """Return the values of `key` in the axis that has it, each once; none without such an axis."""
    axis = next((axis for axis in axes if key in axis.keys), None)
    if axis is None:
        return []
    return list(dict.fromkeys(choice[axis.keys.index(key)] for choice in axis.choices))


def name_of(source: Source) -> str:
    """Return the name of a trace in a table."""
    return (
        named_source(str(source), []) if isinstance(source, str | Path) else as_trace(source).name
    )


def named_source(source: str, others: Sequence[str]) -> str:
    """Return a file's name without folder and ending, where that tells it apart."""
    stem = Path(source).stem if source.endswith(".trace") else source
    stems = [Path(other).stem for other in others]
    return stem if stems.count(Path(source).stem) < 2 else source
