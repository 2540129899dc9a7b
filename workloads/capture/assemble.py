"""Turns the tape of a finished step into a Step: what only the whole step can tell is settled."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch

from simulator.trace.op import Op, OpKind, Phase, Role, Tensor
from simulator.trace.trace import Step, StepKind, Storage, StorageKind
from workloads.capture.calls import tensors_in
from workloads.capture.names import Names, state_tensors
from workloads.capture.tape import Draft, Tape

Owned = dict[int, tuple[StorageKind, str]]
Optimizers = Iterable[torch.optim.Optimizer]


def assemble(tape: Tape, kind: StepKind, names: Names, optimizers: Optimizers) -> Step:
    """Return the step on the tape; storages are numbered by first use, so equal steps are equal."""
    optimizers = list(optimizers)
    _find_weight_gradients(tape)
    _find_optimizer_layers(tape, _layers(tape, names, optimizers))
    if kind is StepKind.EVAL:
        _make_evaluation(tape.drafts)
    numbers = _numbers(tape.drafts)
    storages = _storages(tape, numbers, _owned(tape, names, optimizers))
    return Step(kind, tuple(_ops(tape.drafts, numbers, storages)), storages)


# Phases


def _find_weight_gradients(tape: Tape) -> None:
    """Backward work whose results are only gradients of parameters is wgrad.

    Seen from the end: a result is one if it is kept as a gradient, or if all that reads it only
    accumulates or casts it into one.
    """
    only_gradients: dict[int, bool] = {}
    for draft in reversed(tape.drafts):
        written = {tensor.storage for tensor in draft.outputs}
        if draft.phase is Phase.DGRAD and written:
            _settle(draft, all(s in tape.gradients or only_gradients.get(s) for s in written))
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
        if draft.phase in (Phase.FORWARD, Phase.LOSS, Phase.OTHER):
            draft.phase = Phase.EVAL


# Layers of what the optimizer does


def _layers(tape: Tape, names: Names, optimizers: Optimizers) -> dict[int, str]:
    layers = {s: names.layer_of(name) for s, name in tape.gradients.items()}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            layer = names.layer_of(names.of_parameter(parameter))
            values = state.values() if isinstance(state, dict) else ()
            found = (tape.find(tensor) for value in values for tensor in tensors_in(value))
            layers.update((index, layer) for index in found if index is not None)
    for name, parameter in names.parameters():
        if (index := tape.find(parameter)) is not None:
            layers[index] = names.layer_of(name)
    return layers


def _find_optimizer_layers(tape: Tape, layers: dict[int, str]) -> None:
    """Give an op the layer of the parameters it touches, if that is one; temporaries inherit it."""
    for draft in tape.drafts:
        if draft.phase not in (Phase.OPTIMIZER, Phase.ZERO_GRAD):
            continue
        found = {layers[storage] for storage in draft.touched if storage in layers}
        if len(found) == 1:
            draft.layer = found.pop()
            for tensor in draft.outputs:
                layers.setdefault(tensor.storage, draft.layer)


# Storages


def _numbers(drafts: list[Draft]) -> dict[int, int]:
    numbers: dict[int, int] = {}
    for draft in drafts:
        for tensor in (*draft.inputs, *draft.outputs):
            numbers.setdefault(tensor.storage, len(numbers))
    return numbers


def _owned(tape: Tape, names: Names, optimizers: Optimizers) -> Owned:
    owned: Owned = {}
    for kind, name, tensor in _persistent(names, optimizers):
        index = tape.find(tensor)
        if index is not None:
            owned.setdefault(index, (kind, name))
    for index in tape.gradients:
        owned.setdefault(index, (StorageKind.GRADIENT, ""))
    return owned


def _persistent(
    names: Names, optimizers: Optimizers
) -> Iterator[tuple[StorageKind, str, torch.Tensor]]:
    for name, tensor in names.parameters():
        yield StorageKind.PARAMETER, name, tensor
    for name, tensor in names.buffers():
        yield StorageKind.BUFFER, name, tensor
    unnamed = 0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if not names.of_parameter(parameter):
                    yield StorageKind.PARAMETER, f"parameter_{unnamed}", parameter
                    unnamed += 1
        for name, tensor in state_tensors(optimizer, names):
            yield StorageKind.OPTIMIZER_STATE, name, tensor


def _storages(tape: Tape, numbers: dict[int, int], owned: Owned) -> tuple[Storage, ...]:
    inputs = _read_before_written(tape.drafts)
    return tuple(_storage(index, tape, owned, inputs) for index in numbers)


def _storage(index: int, tape: Tape, owned: Owned, inputs: set[int]) -> Storage:
    kind = StorageKind.INPUT if index in inputs else StorageKind.ACTIVATION
    kind, name = owned.get(index, (kind, ""))
    return Storage(tape.sizes[index], kind, name)


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
    # Which images a step happened to draw from the data set makes it no other step.
    drawn = storages[index].kind is StorageKind.INPUT
    return replace(tensor, storage=index, offset=0 if drawn else tensor.offset)
