"""The memory footprint of a step, by liveness of its storages: op by op, and at its peak."""

from collections.abc import Collection, Hashable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate

from simulator.memo import Memo
from simulator.trace.op import OpKind
from simulator.trace.trace import PERSISTENT, Step, Storage, StorageKind


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of parameters (with buffers), gradients, optimizer state and activations (with inputs).

    Gradients and activations are at their own maxima; `peak_bytes` is the largest sum at one time.
    `cache` are the keys and values that attention keeps from token to token.
    """

    parameters: int
    gradients: int
    optimizer_state: int
    activations: int
    peak_bytes: int
    cache: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the figures by name, that of a cache only where there is one."""
        return {name: size for name, size in asdict(self).items() if size or name != "cache"}


@dataclass(frozen=True)
class Occupancy:
    """The memory that is live while each op of a step runs; a step without ops has one moment.

    `by_kind` has the live bytes of each kind of storage, op by op; `sizes` the bytes of each
    storage that count; `live` the first and last op during which a storage is live.
    """

    by_kind: dict[StorageKind, tuple[int, ...]]
    sizes: tuple[int, ...]
    live: dict[int, tuple[int, int]]

    @cached_property
    def total(self) -> tuple[int, ...]:
        """Live bytes, op by op."""
        return tuple(map(sum, zip(*self.by_kind.values(), strict=True)))

    @property
    def peak_bytes(self) -> int:
        """The largest sum of live bytes."""
        return max(self.total)

    @property
    def peak_op(self) -> int:
        """Index of the first op at the peak, 0 for a step without ops."""
        return self.total.index(self.peak_bytes)

    def storages_at(self, op: int) -> list[int]:
        """Return the storages that are live while op number `op` runs, largest first."""
        alive = [index for index, (first, last) in self.live.items() if first <= op <= last]
        return sorted(alive, key=lambda index: (-self.sizes[index], index))


def occupancy(step: Step) -> Occupancy:
    """Return the live memory of `step`, op by op.

    Parameters, buffers, optimizer state and caches live throughout; a gradient from its first touch
    to the end; anything else from its first touch to its last. Of an input only the part that the
    step touches counts: the storage may hold the whole data set. So it is with a cache, which has
    room for tokens to come.
    """
    moments = max(1, len(step.ops))
    live, sizes = _lifetimes(step, moments - 1), _sizes(step)
    changes = {kind: [0] * (moments + 1) for kind in StorageKind}
    for index, (first, last) in live.items():
        series = changes[step.storages[index].kind]
        series[first] += sizes[index]
        series[last + 1] -= sizes[index]
    by_kind = {kind: tuple(accumulate(series[:-1])) for kind, series in changes.items()}
    return Occupancy(by_kind, sizes, live)


_FOOTPRINTS: Memo[Footprint] = Memo("memory footprints", 4096)


def footprint(step: Step) -> Footprint:
    """Return the peak memory of `step`, by liveness as in `occupancy`; computed once per step."""
    return _FOOTPRINTS.get(step.digest, lambda: _footprint(step))


_WITH_COPIES: Memo[dict[str, int]] = Memo("memory with copies", 4096)


def with_copies(step: Step, copies: tuple[int, ...]) -> dict[str, int]:
    """Return the figures of `footprint` for a machine that holds `copies` besides, in bytes op by
    op: their maximum, and the peak with them.
    """
    return _WITH_COPIES.get((step.digest, copies), lambda: _with_copies(step, copies))


def _with_copies(step: Step, copies: tuple[int, ...]) -> dict[str, int]:
    own = footprint(step).as_dict()
    if not any(copies):
        return own | {"copies": 0}
    peak = max(map(sum, zip(occupancy(step).total, copies, strict=True)))
    return own | {"copies": max(copies), "peak_bytes": peak}


def _footprint(step: Step) -> Footprint:
    live = occupancy(step)
    most = {kind: max(series) for kind, series in live.by_kind.items()}
    activations, inputs = live.by_kind[StorageKind.ACTIVATION], live.by_kind[StorageKind.INPUT]
    return Footprint(
        most[StorageKind.PARAMETER] + most[StorageKind.BUFFER],
        most[StorageKind.GRADIENT],
        most[StorageKind.OPTIMIZER_STATE],
        max(map(sum, zip(activations, inputs, strict=True))),
        live.peak_bytes,
        most[StorageKind.CACHE],
    )


def _lifetimes(step: Step, end: int) -> dict[int, tuple[int, int]]:
    """Return, by storage, the first and last op during which it is live, at most `end`."""
    live: dict[int, tuple[int, int]] = {}
    for index, op in enumerate(step.ops):
        for tensor in (*op.inputs, *op.outputs):
            first, _ = live.get(tensor.storage, (index, index))
            live[tensor.storage] = (first, index)
    for storage, entry in enumerate(step.storages):
        if entry.kind is StorageKind.CACHE and not entry.name and storage in live:
            live[storage] = _cache_life(step, storage, live[storage], end)
        elif entry.kind in PERSISTENT:
            live[storage] = (0, end)
        elif entry.kind is StorageKind.GRADIENT and storage in live:
            live[storage] = (live[storage][0], end)
    return live


def _cache_life(step: Step, storage: int, used: tuple[int, int], end: int) -> tuple[int, int]:
    """Return when a cache is live: a longer one that the step makes from then on, one that it only
    reads until then, as the longer one replaces it.
    """
    written = [
        (index, tensor.bytes)
        for index, op in enumerate(step.ops)
        for tensor in (() if op.kind is OpKind.VIEW else op.outputs)
        if tensor.storage == storage
    ]
    first, last = used
    is_made = written[:1] == [(first, step.storages[storage].bytes)]
    return first if is_made else 0, end if written else last


def _sizes(step: Step) -> tuple[int, ...]:
    """Return the bytes of each storage that count: of inputs those of the windows used, of a cache
    those of the largest one, which has all tokens so far.
    """
    windows: dict[int, dict[Hashable, int]] = {}
    for op in step.ops:
        if op.kind is not OpKind.VIEW:
            for tensor in (*op.inputs, *op.outputs):
                windows.setdefault(tensor.storage, {})[tensor.region] = tensor.bytes
    return tuple(
        _size(storage, windows.get(index, {}).values())
        for index, storage in enumerate(step.storages)
    )


def _size(storage: Storage, windows: Collection[int]) -> int:
    if storage.kind is StorageKind.INPUT:
        return min(sum(windows), storage.bytes)
    return max(windows, default=0) if storage.kind is StorageKind.CACHE else storage.bytes
