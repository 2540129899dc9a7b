"""How much memory a step holds, by liveness: what, and at most how much at one time."""

from dataclasses import asdict, dataclass

from simulator.trace.trace import PERSISTENT, Step, StorageKind


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of parameters (with buffers), gradients, optimizer state and activations (with inputs).

    Gradients and activations are at their own maxima; `peak_bytes` is the largest sum at one time.
    """

    parameters: int
    gradients: int
    optimizer_state: int
    activations: int
    peak_bytes: int

    def as_dict(self) -> dict[str, int]:
        """Return the figures by name."""
        return asdict(self)


def footprint(step: Step) -> Footprint:
    """Return the memory that `step` holds.

    Parameters, buffers and optimizer state live throughout; a gradient from its first touch to
    the end; anything else from its first touch to its last. Of an input only the part that the
    step touches counts: the storage may hold the whole data set.
    """
    live = _lifetimes(step)
    sizes = {kind: _sum(step, kind) for kind in PERSISTENT}
    gradients = _peak(step, live, {StorageKind.GRADIENT})
    transient = {StorageKind.ACTIVATION, StorageKind.INPUT}
    both = _peak(step, live, transient | {StorageKind.GRADIENT})
    return Footprint(
        sizes[StorageKind.PARAMETER] + sizes[StorageKind.BUFFER],
        gradients,
        sizes[StorageKind.OPTIMIZER_STATE],
        _peak(step, live, transient),
        sum(sizes.values()) + both,
    )


def _sum(step: Step, kind: StorageKind) -> int:
    return sum(storage.bytes for storage in step.storages if storage.kind is kind)


def _lifetimes(step: Step) -> dict[int, tuple[int, int]]:
    """Return, by storage, the first and the last op that touches it."""
    live: dict[int, tuple[int, int]] = {}
    for index, op in enumerate(step.ops):
        for tensor in (*op.inputs, *op.outputs):
            first, _ = live.get(tensor.storage, (index, index))
            live[tensor.storage] = (first, index)
    for storage, (first, _) in live.items():
        if step.storages[storage].kind is StorageKind.GRADIENT:
            live[storage] = (first, len(step.ops))
    return live


def _sizes(step: Step) -> list[int]:
    """Return what each storage holds for this step, in bytes."""
    touched = [0] * len(step.storages)
    for op in step.ops:
        for tensor in (*op.inputs, *op.outputs):
            touched[tensor.storage] = max(touched[tensor.storage], tensor.bytes)
    return [
        min(size, storage.bytes) if storage.kind is StorageKind.INPUT else storage.bytes
        for size, storage in zip(touched, step.storages, strict=True)
    ]


def _peak(step: Step, live: dict[int, tuple[int, int]], kinds: set[StorageKind]) -> int:
    sizes = _sizes(step)
    changes = [0] * (len(step.ops) + 2)
    for storage, (first, last) in live.items():
        if step.storages[storage].kind in kinds:
            changes[first] += sizes[storage]
            changes[last + 1] -= sizes[storage]
    peak = held = 0
    for change in changes:
        held += change
        peak = max(peak, held)
    return peak
