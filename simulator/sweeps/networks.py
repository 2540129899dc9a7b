"""The networks that a sweep's axes span: each captured once, and shared through a folder."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simulator.code import fingerprint, version_of
from simulator.errors import InputError
from simulator.memo import remember
from simulator.sweeps.axis import MODEL, Axis
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Trace

Models = Callable[[str, int | None], Trace]
"""How to capture a model by its name and batch size; raises InputError for an unknown name."""

NETWORKS = "networks"
"""The folder of networks in that of a sweep."""

_WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"


@dataclass(frozen=True)
class Networks(Mapping[str, Trace]):
    """Traces of networks by the names that `network_name` gives, made when first asked for.

    They stay in `folder`, where workers and later sweeps find them; without one each process
    captures its own. They are no list: a space may have more of them than anyone asks for.
    """

    capture: Models
    folder: Path | None = None

    def __getitem__(self, name: str) -> Trace:
        """Return the trace of a network; raises InputError where a model has none such."""
        return _trace(self.capture, self.folder, name)

    def __iter__(self) -> Iterator[str]:
        """Yield nothing."""
        yield from ()

    def __len__(self) -> int:
        """Return 0."""
        return 0


def network_name(model: str, labels: Mapping[str, str]) -> str:
    """Return the name of the network of a point: "cnn_digits:depth=4,width=24 b16"."""
    parameters = sorted(key for key in labels if key.startswith(MODEL))
    texts = ",".join(f"{key.removeprefix(MODEL)}={labels[key]}" for key in parameters)
    batch = labels.get("batch")
    return f"{model}:{texts} b{batch}" if batch else f"{model}:{texts}"


def has_parameters(axis: Axis) -> bool:
    """Return whether an axis moves a parameter of the network."""
    return any(key.startswith(MODEL) for key in axis.keys)


def with_networks_first(
    axes: tuple[Axis, ...], models: Sequence[str], sizes: Sequence[int | str]
) -> tuple[Axis, ...]:
    """Return the axes, with one of batch `sizes`, so that arrays share each network in turn.

    Raises InputError where `models` are not one.
    """
    own = [axis for axis in axes if has_parameters(axis) or "batch" in axis.keys]
    keys = {key for axis in axes for key in axis.keys}
    if len(models) != 1 or "trace" in keys:
        raise InputError(
            f"axis {own[0].name}: its networks are of one model: name one such as cnn_digits, not "
            f"{', '.join(models)}"
        )
    if sizes and "batch" not in keys:
        own.append(Axis(("batch",), tuple((str(size),) for size in sizes)))
    return (*own, *(axis for axis in axes if axis not in own))


def address_of_network(name: str) -> str:
    """Return a name of a network's content: its own, and the code and torch that capture it."""
    parts = (name, fingerprint(), version_of("torch"), _source_digest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


@remember("digest of what captures", most=1)
def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(_WORKLOADS.rglob("*.py")):
        digest.update(path.relative_to(_WORKLOADS).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@remember("traces of networks", most=512)
def _trace(capture: Models, folder: Path | None, name: str) -> Trace:
    path = None if folder is None else folder / f"{address_of_network(name)}.trace"
    if path is not None and path.exists():
        with suppress(InputError):  # damaged: it is captured again
            return load_trace(path)
    model, _, batch = name.partition(" b")
    trace = capture(model, int(batch) if batch else None)
    if path is not None:
        with suppress(InputError, OSError):  # it costs time only
            path.parent.mkdir(parents=True, exist_ok=True)
            save_trace(trace, path)
    return trace
