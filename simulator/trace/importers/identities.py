"""Storages told apart by the ids of an execution trace, which PyTorch gives out again and again."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from simulator.trace.importers.calls import Bound, Call, extent, tensors_in
from simulator.trace.importers.nodes import Seen
from simulator.trace.importers.signature import Signature
from simulator.trace.op import OpKind, Phase, Tensor
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.trace import StorageKind


class Identities:
    """Numbers values in order of execution: what an op returns without having been given it is
    new, whatever its id; an id first seen as an argument comes from outside.
    """

    def __init__(self) -> None:
        """Start without any storage."""
        self.sizes: dict[int, int] = {}
        self.external: set[int] = set()
        self._current: dict[int, int] = {}
        self._single: dict[int, str] = {}

    def begin_step(self) -> None:
        """Storages outlive steps: nothing changes."""

    def restart(self) -> None:
        """The ids tell parameters: nothing changes."""

    def returned(self, tensor: Tensor) -> bool:
        """Tell whether the last op that returned this id returned such a tensor: one element."""
        return self._single.get(tensor.storage) == tensor.dtype

    def bind(
        self,
        seen: Seen,
        known: Signature,  # noqa: ARG002 - the ids tell all
        inputs: tuple[Any, ...],
    ) -> Bound:
        """Return the op's inputs and results with values in place of ids."""
        node = seen.node
        given = {tensor.storage for value in inputs for tensor in tensors_in(value)}
        arguments = tuple(self._argument(value) for value in inputs)
        for tensor in node.outputs or ():
            if tensor.storage not in given:
                self._current.pop(tensor.storage, None)
            self._single.pop(tensor.storage, None)
            if not tensor.shape:
                self._single[tensor.storage] = tensor.dtype
        results = [self._tensor(tensor, outside=False) for tensor in node.outputs or ()]
        return Bound(arguments, results)

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value, outside=True)
        if isinstance(value, tuple):
            return tuple(self._argument(item) for item in value)
        return value

    def _tensor(self, tensor: Tensor, outside: bool) -> Tensor:
        number = self._current.get(tensor.storage)
        if number is None:
            number = self._current[tensor.storage] = len(self.sizes)
            self.sizes[number] = 0
            if outside:
                self.external.add(number)
        self.sizes[number] = max(self.sizes[number], extent(tensor))
        return replace(tensor, storage=number)


class Owners:
    """What the storages of a run are, by what its phases do with them.

    A storage that the optimizer changes is a parameter if the network reads it, else state of
    the optimizer if it outlives a step.
    """

    def __init__(self, steps: Iterable[list[Call]], external: set[int]) -> None:
        """Look at all calls of the run."""
        self.owned: dict[int, tuple[StorageKind, str]] = {}
        self.weights: set[int] = set()
        self.constants: set[int] = set()
        updated: set[int] = set()
        changed: set[int] = set()
        forward: set[int] = set()
        steps = list(steps)
        for call in (call for step in steps for call in step):
            written = _written(call)
            if call.phase is Phase.OPTIMIZER:
                updated |= written
            elif call.phase is Phase.FORWARD:
                forward |= call.done.touched
                changed |= written
        lasting = external | _lasting(steps)
        self.weights = {s for s in updated & forward if s in lasting and s not in changed}
        constants = changed & external - self.weights
        self.constants = constants - _refilled(steps, self.weights | constants)
        for storage in updated & lasting - self.weights:
            self.owned[storage] = StorageKind.OPTIMIZER_STATE, ""
        for storage in self.constants:
            self.owned[storage] = StorageKind.BUFFER, ""


def _written(call: Call) -> set[int]:
    if call.done.kind is OpKind.VIEW:
        return set()
    return {tensor.storage for tensor in call.done.writes}


def _refilled(steps: list[list[Call]], lasting: set[int]) -> set[int]:
    """Return the storages that the forward pass overwrites with data: a batch in a fixed place.

    What a network changes of its own (running statistics, scales) it reads as well, or computes
    from parameters and from what else lasts.
    """
    derived = set(lasting)
    refilled: set[int] = set()
    for call in (call for step in steps for call in step if call.phase is Phase.FORWARD):
        read = {tensor.storage for tensor in call.done.reads}
        written = _written(call)
        if read and read <= derived:
            derived |= written
        elif KIND_FACTS[call.done.kind].fills:
            refilled |= written - read
    return refilled


def _lasting(steps: list[list[Call]]) -> set[int]:
    """Return the storages that more than one step touches."""
    seen: set[int] = set()
    lasting: set[int] = set()
    for step in steps:
        touched = {storage for call in step for storage in call.done.touched}
        lasting |= touched & seen
        seen |= touched
    return lasting
