"""Drafts of ops, and how the drafts of a whole step become a Step."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, StepKind, Storage, StorageKind

Owned = Mapping[int, tuple[StorageKind, str]]
StorageSizes = Sequence[int] | Mapping[int, int]


@dataclass(slots=True, eq=False)
class Draft:
    """An op as recorded; phase and role may change until the whole step is known.

    `touched` are the storages of all tensor arguments and results, even of those that the op
    neither reads nor writes; `weights` counts the operands of a forward GEMM that derive from
    parameters; `measured_ns` is its duration.
    """

    name: str
    kind: OpKind
    phase: Phase
    layer: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    gemms: tuple[Gemm, ...]
    forward: "Draft | None"
    random: bool
    touched: frozenset[int]
    accumulates: bool = False
    weights: int = 0
    measured_ns: int = 0


def build_step(kind: StepKind, drafts: list[Draft], sizes: StorageSizes, owned: Owned) -> Step:
    """Return the step of these drafts; `sizes` has the bytes of each storage, `owned` kind and name
    of those that are more than activations or inputs.

    Storages are numbered by first use, so that equal steps are equal.
    """
    if kind is StepKind.EVAL:
        _make_evaluation(drafts)
    numbers = _numbers(drafts)
    inputs = _read_before_written(drafts)
    storages = tuple(_storage(index, sizes, owned, inputs) for index in numbers)
    return Step(kind, tuple(_ops(drafts, numbers, storages)), storages)


# Phases


def find_weight_gradients(drafts: Sequence[Draft], gradients: Container[int]) -> None:
    """Mark backward work that only computes gradients of parameters as wgrad.

    Going backwards, a result only serves them if it is kept as a gradient, or if all its readers
    accumulate it, or cast it, into one.
    """
    only_gradients: dict[int, bool] = {}
    for draft in reversed(drafts):
        written = {tensor.storage for tensor in draft.outputs}
        if draft.phase is Phase.DGRAD and written:
            _settle(draft, all(s in gradients or only_gradients.get(s) for s in written))
        if draft.kind is OpKind.VIEW:
            continue
        carries = draft.accumulates or (draft.phase is Phase.WGRAD and draft.kind is OpKind.COPY)
        for tensor in draft.inputs:
            earlier = only_gradients.get(tensor.storage, True)
            only_gradients[tensor.storage] = earlier and carries


def _settle(draft: Draft, only_gradients: bool) -> None:
    if only_gradients:
        draft.phase = Phase.WGRAD
        draft.gemms = tuple(replace(gemm, role=Role.WGRAD) for gemm in draft.gemms)


def _make_evaluation(drafts: list[Draft]) -> None:
    for draft in drafts:
        if FACTS[draft.phase].becomes_eval:
            draft.phase = Phase.EVAL


# Parameters and their layers


def derives(draft: Draft, derived: Container[int], constants: Container[int]) -> bool:
    """Return whether an op computes a value from parameters, and perhaps `constants`, alone.

    Such a value (a cast, a fake quantisation) still counts as a parameter.
    """
    if draft.kind is OpKind.VIEW or draft.random:
        return False
    read = [tensor.storage for tensor in draft.inputs]
    constant = all(storage in derived or storage in constants for storage in read)
    return constant and any(storage in derived for storage in read)


def find_optimizer_layers(drafts: Sequence[Draft], layers: dict[int, str]) -> None:
    """Give an op the layer of the parameters that it touches, if it is one; temporaries
    inherit it.
    """
    for draft in drafts:
        if not FACTS[draft.phase].updates:
            continue
        owners = {layers[storage] for storage in draft.touched if storage in layers}
        if len(owners) == 1:
            draft.layer = owners.pop()
            for tensor in draft.outputs:
                layers.setdefault(tensor.storage, draft.layer)


# Storages


def _numbers(drafts: list[Draft]) -> dict[int, int]:
    numbers: dict[int, int] = {}
    for draft in drafts:
        for tensor in (*draft.inputs, *draft.outputs):
            numbers.setdefault(tensor.storage, len(numbers))
    return numbers


def _storage(index: int, sizes: StorageSizes, owned: Owned, inputs: set[int]) -> Storage:
    kind = StorageKind.INPUT if index in inputs else StorageKind.ACTIVATION
    kind, name = owned.get(index, (kind, ""))
    return Storage(sizes[index], kind, name)


def _read_before_written(drafts: list[Draft]) -> set[int]:
    written: set[int] = set()
    inputs: set[int] = set()
    for draft in drafts:
        if draft.kind is not OpKind.VIEW:
            inputs |= {tensor.storage for tensor in draft.inputs} - written
            written |= {tensor.storage for tensor in draft.outputs}
    return inputs


# Ops


def _ops(
    drafts: list[Draft], numbers: dict[int, int], storages: tuple[Storage, ...]
) -> Iterator[Op]:
    positions = {id(draft): index for index, draft in enumerate(drafts)}
    for draft in drafts:
        yield Op(
            draft.name,
            draft.kind,
            draft.phase,
            draft.layer,
            tuple(_renumber(tensor, numbers, storages) for tensor in draft.inputs),
            tuple(_renumber(tensor, numbers, storages) for tensor in draft.outputs),
            draft.gemms,
            positions.get(id(draft.forward), -1),
            draft.random,
        )


def _renumber(tensor: Tensor, numbers: dict[int, int], storages: tuple[Storage, ...]) -> Tensor:
    index = numbers[tensor.storage]
    # Steps that only differ in the images drawn from the data set are equal.
    is_input = storages[index].kind is StorageKind.INPUT
    offset = 0 if is_input else tensor.offset
    return Tensor(index, tensor.dtype, tensor.shape, tensor.strides, offset)
