"""Turns the tape of a finished step into a Step; the modules say whose the storages are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import torch

from simulator.trace.drafts import (
    Draft,
    build_step,
    find_optimizer_layers,
    find_weight_gradients,
)
from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import Step, StepKind, StorageKind
from workloads.capture.analysis import Analysis
from workloads.capture.names import ModuleNames, state_tensors
from workloads.capture.spots import Spot
from workloads.capture.tape import Tape


@dataclass(frozen=True, slots=True)
class Ownership:
    """What the storages of a tape are, while the modules that own them live.

    `kinds` has kind and name of storages that outlive a step, `layers` the layer of parameters and
    optimizer state by storage, `layer_of` the layer of a parameter by its name.
    """

    kinds: dict[int, tuple[StorageKind, str]]
    layers: dict[int, str]
    layer_of: dict[str, str]

    def storages(self, kind: StorageKind) -> Set[int]:
        """Return the storages of a kind."""
        return {index for index, (owned, _) in self.kinds.items() if owned is kind}


class AssembledStep(NamedTuple):
    """A step, its unmodelled products by name, and the tape's numbers of its storages in order."""

    step: Step
    unmodelled: Counter[str]
    storages: tuple[int, ...]


def survey(
    tape: Tape, names: ModuleNames, optimizers: Iterable[torch.optim.Optimizer]
) -> Ownership:
    """Return the owners of the storages on the tape, as of now."""
    kinds: dict[int, tuple[StorageKind, str]] = {}
    layers: dict[int, str] = {}
    layer_of = {name: names.layer_of(name) for name, _ in names.parameters()}
    owners = list(optimizers)
    for kind, name, owner, tensor in _persistent(names, owners):
        index = tape.find(tensor)
        if index is not None:
            kinds.setdefault(index, (kind, name))
            if owner is not None:
                layers[index] = layer_of.get(owner, "")
    for number, leaf in enumerate(sorted(tape.updated - kinds.keys())):
        kinds[leaf] = StorageKind.PARAMETER, f"leaf_{number}"
    return Ownership(kinds, layers, layer_of)


def assemble(tape: Tape, kind: StepKind, spots: Sequence[Spot], owned: Ownership) -> AssembledStep:
    """Return the step on the tape.

    Storages are numbered by first use, so that equal steps are equal.
    """
    weights = owned.storages(StorageKind.PARAMETER)
    analysis = Analysis(tape, spots, weights, owned.storages(StorageKind.BUFFER), owned.layer_of)
    analysis.run()
    drafts, gradients = analysis.drafts, analysis.gradients
    find_weight_gradients(drafts, gradients)
    _find_forward(drafts)
    if tape.updated:
        _find_update(drafts, weights, gradients.keys())
    layers = {s: owned.layer_of.get(name, "") for s, name in gradients.items()} | owned.layers
    find_optimizer_layers(drafts, layers)
    kinds = dict.fromkeys(gradients, (StorageKind.GRADIENT, "")) | owned.kinds
    step = build_step(kind, drafts, tape.sizes, kinds)
    return AssembledStep(step, analysis.unmodelled, _in_order(drafts, step))


def _in_order(drafts: Sequence[Draft], step: Step) -> tuple[int, ...]:
    numbers: dict[int, int] = {}
    for draft, op in zip(drafts, step.ops, strict=True):
        for before, after in zip(draft.inputs + draft.outputs, op.inputs + op.outputs, strict=True):
            numbers[after.storage] = before.storage
    return tuple(numbers[number] for number in range(len(step.storages)))


def _find_forward(drafts: Sequence[Draft]) -> None:
    """Mark ops as forward if a later network reads their result: it is no loss."""
    needed: set[int] = set()
    for draft in reversed(drafts):
        written = {tensor.storage for tensor in draft.outputs}
        if draft.phase is Phase.LOSS and draft.kind is not OpKind.VIEW and written & needed:
            draft.phase = Phase.FORWARD
        if draft.phase is Phase.FORWARD and draft.kind is not OpKind.VIEW:
            needed |= {tensor.storage for tensor in draft.inputs}


def _find_update(drafts: Sequence[Draft], weights: Set[int], gradients: Set[int]) -> None:
    """Mark work outside optimizers that ends in a write to a parameter as the update."""
    needed = set(weights)
    for draft in reversed(drafts):
        written = {tensor.storage for tensor in draft.outputs}
        if draft.phase is Phase.OTHER and draft.kind is not OpKind.VIEW and written & needed:
            draft.phase = Phase.OPTIMIZER
            needed |= {tensor.storage for tensor in draft.inputs} - gradients


def _persistent(
    names: ModuleNames, optimizers: list[torch.optim.Optimizer]
) -> Iterator[tuple[StorageKind, str, str | None, torch.Tensor]]:
    """Yield kind, name, parameter that it belongs to (or None) and tensor of what
    outlives a step.
    """
    for name, tensor in names.parameters():
        yield StorageKind.PARAMETER, name, name, tensor
    for name, tensor in names.buffers():
        yield StorageKind.BUFFER, name, None, tensor
    unnamed = 0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if not names.of_parameter(parameter):
                    yield StorageKind.PARAMETER, f"parameter_{unnamed}", None, parameter
                    unnamed += 1
        for name, owner, tensor in state_tensors(optimizer, names):
            yield StorageKind.OPTIMIZER_STATE, name, owner, tensor
