"""Turns the tape of a finished step into a Step: whose storages are which, by the modules."""

from collections.abc import Iterable, Iterator

import torch

from simulator.trace.drafts import Owned, build_step, find_optimizer_layers, find_weight_gradients
from simulator.trace.trace import Step, StepKind, StorageKind
from workloads.capture.calls import tensors_in
from workloads.capture.names import Names, state_tensors
from workloads.capture.tape import Tape

Optimizers = Iterable[torch.optim.Optimizer]


def assemble(tape: Tape, kind: StepKind, names: Names, optimizers: Optimizers) -> Step:
    """Return the step on the tape; storages are numbered by first use, so equal steps are equal."""
    optimizers = list(optimizers)
    find_weight_gradients(tape.drafts, tape.gradients)
    find_optimizer_layers(tape.drafts, _layers(tape, names, optimizers))
    return build_step(kind, tape.drafts, tape.sizes, _owned(tape, names, optimizers))


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


def _owned(tape: Tape, names: Names, optimizers: Optimizers) -> Owned:
    owned: dict[int, tuple[StorageKind, str]] = {}
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
