"""What a step holds in memory, in plain numbers: op by op, and at its peak."""

from simulator.si import si
from simulator.trace.memory import Occupancy, occupancy
from simulator.trace.op import Op, OpKind
from simulator.trace.trace import Step, StorageKind, Trace
from simulator.views.trace_documents import LiveStorage, MemoryOverTime, Peak

# As a footprint groups them: a buffer is a parameter that no optimizer changes.
GROUPS = {
    "parameters": (StorageKind.PARAMETER, StorageKind.BUFFER),
    "optimizer_state": (StorageKind.OPTIMIZER_STATE,),
    "gradients": (StorageKind.GRADIENT,),
    "activations": (StorageKind.ACTIVATION,),
    "inputs": (StorageKind.INPUT,),
    "cache": (StorageKind.CACHE,),
}
_LARGEST = 10


def _groups(footprint: Occupancy) -> dict[str, tuple[StorageKind, ...]]:
    """Return the groups, that of caches only where there is one."""
    cached = any(footprint.by_kind[StorageKind.CACHE])
    return {name: kinds for name, kinds in GROUPS.items() if cached or name != "cache"}


def memory_over_time(trace: Trace, index: int) -> MemoryOverTime:
    """Return what distinct step `index` holds while each op runs, and the ops' phases."""
    step = trace.steps[index]
    footprint = occupancy(step)
    return {
        "trace": trace.name,
        "step": index,
        "kind": step.kind.value,
        "phases": [op.phase.value for op in step.ops],
        "held": {
            group: [
                sum(at) for at in zip(*(footprint.by_kind[kind] for kind in kinds), strict=True)
            ]
            for group, kinds in _groups(footprint).items()
        },
        "peak": peak(step, footprint),
    }


def peak(step: Step, footprint: Occupancy) -> Peak:
    """Return the peak and what lives then: bytes by kind, the largest layers and storages."""
    moment = footprint.peak_op
    alive = footprint.storages_at(moment)
    owners = _owners(step)
    layers: dict[str, int] = {}
    for storage in alive:
        layer = owners[storage].layer if storage in owners else ""
        layers[layer] = layers.get(layer, 0) + footprint.sizes[storage]
    largest = sorted(layers.items(), key=lambda item: -item[1])[:_LARGEST]
    op = step.ops[moment] if step.ops else None
    return {
        "bytes": footprint.peak_bytes,
        "op": moment if op else None,
        "op_name": op.base_name if op else None,
        "phase": op.phase.value if op else None,
        "layer": op.layer if op else None,
        "by_kind": {
            group: sum(footprint.by_kind[kind][moment] for kind in kinds)
            for group, kinds in _groups(footprint).items()
        },
        "layers": [{"layer": layer, "bytes": size} for layer, size in largest],
        "storages": [_storage(step, footprint, owners, index) for index in alive[:_LARGEST]],
    }


def peak_sentence(peak: Peak) -> str:
    """Return where in the step memory peaks, in a sentence."""
    if peak["op"] is None:
        return f"Memory: {si(peak['bytes'], 'B')}, in a step without ops."
    where = f" of {peak['layer']}" if peak["layer"] else ""
    return (
        f"Memory: {si(peak['bytes'], 'B')} at its peak, during op {peak['op']}, "
        f"{peak['op_name']}{where} ({peak['phase']})."
    )


def _owners(step: Step) -> dict[int, Op]:
    """Return the op that first touches each storage: of what the step makes, the op that makes it.

    A view makes nothing, and counts only where no other op touches the storage.
    """
    views: dict[int, Op] = {}
    owners: dict[int, Op] = {}
    for op in step.ops:
        touching = views if op.kind is OpKind.VIEW else owners
        for tensor in (*op.inputs, *op.outputs):
            touching.setdefault(tensor.storage, op)
    return views | owners


def _storage(step: Step, footprint: Occupancy, owners: dict[int, Op], index: int) -> LiveStorage:
    entry, owner = step.storages[index], owners.get(index)
    first, last = footprint.live[index]
    return {
        "bytes": footprint.sizes[index],
        "kind": entry.kind.value,
        "name": entry.name,
        "layer": owner.layer if owner else "",
        "op_name": owner.base_name if owner else "",
        "first_op": first,
        "last_op": last,
    }
