"""Where in its network the work of a step belongs: backward work and updates at the forward op that
they come from.

A place is the index of a forward op in its step, so that a cut between two places is a cut through
the network, whatever modules it uses twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.memo import Memo
from simulator.trace.op import Op, Phase
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, StorageKind

_OWNED = frozenset({StorageKind.PARAMETER, StorageKind.OPTIMIZER_STATE, StorageKind.GRADIENT})


@dataclass(frozen=True, slots=True)
class NetworkPlaces:
    """The places of a step's ops, and of each tensor that an update writes or reads.

    `ops` has a place for each op, `layers` the layer of each place: its own, or that of the op
    before it where it belongs to none ("" before the first layer and outside of the network).
    `updates` has, for each op that updates, the places of its inputs and outputs.
    """

    ops: tuple[int, ...]
    layers: tuple[str, ...]
    updates: dict[int, tuple[tuple[int, ...], tuple[int, ...]]]

    def of(self, name: str) -> list[int]:
        """Return the places of a layer and of those within it, in order."""
        return [place for place, layer in enumerate(self.layers) if in_layer(layer, name)]

    def has(self, name: str) -> bool:
        """Return whether there is such a layer."""
        return bool(self.of(name))


_PLACES: Memo[NetworkPlaces] = Memo("places of work", 64)


def places(step: Step) -> NetworkPlaces:
    """Return the places of a step's work; computed once per step."""
    return _PLACES.get(step.digest, lambda: _Finder(step).find())


def in_layer(layer: str, name: str) -> bool:
    """Return whether `layer` is the module `name` or one within it."""
    return layer == name or layer.startswith(f"{name}.")


@dataclass(slots=True)
class _Finder:
    step: Step
    _ops: list[int] = field(default_factory=list)
    _firsts: dict[str, int] = field(default_factory=dict)
    _owners: dict[int, int] = field(default_factory=dict)

    def find(self) -> NetworkPlaces:
        ops = self.step.ops
        for index, op in enumerate(ops):
            if _runs_network(op) and op.layer:
                self._firsts.setdefault(op.layer, index)
        for index, op in enumerate(ops):
            self._ops.append(self._place(index, op))
            self._own(index, op)
        self._own_states()
        updates = {i: self._tensors(i, op) for i, op in enumerate(ops) if FACTS[op.phase].updates}
        for index, (read, written) in updates.items():
            self._ops[index] = next(iter((*written, *read)), index)
        return NetworkPlaces(tuple(self._ops), tuple(_layers(ops)), updates)

    def _place(self, index: int, op: Op) -> int:
        """Return the place of an op that is no update; of one that is, a first guess."""
        facts = FACTS[op.phase]
        if op.forward >= 0:
            return self._ops[op.forward]
        if not facts.backward and not facts.updates and op.phase is not Phase.RECOMPUTE:
            return index
        before = self.step.ops[index - 1] if index else op
        if op.layer in ("", before.layer) and index and not facts.updates:
            return self._ops[index - 1]
        return self._first(op.layer, index)

    def _first(self, layer: str, index: int) -> int:
        """Return the first place of a layer, or of one within it."""
        within = (place for name, place in self._firsts.items() if in_layer(name, layer))
        return self._firsts.get(layer, min(within, default=index))

    def _own(self, index: int, op: Op) -> None:
        """Note the places of parameters, which ops read, and of gradients, which ops write."""
        if _runs_network(op):
            tensors, kind = op.inputs, StorageKind.PARAMETER
        elif FACTS[op.phase].backward:
            tensors, kind = op.outputs, StorageKind.GRADIENT
        else:
            return
        for tensor in tensors:
            if self.step.storages[tensor.storage].kind is kind:
                self._owners.setdefault(tensor.storage, self._ops[index])

    def _own_states(self) -> None:
        """Note the places of optimizer state: that of its parameter, by name."""
        named = {self.step.storages[s].name: place for s, place in self._owners.items()}
        for index, storage in enumerate(self.step.storages):
            owner = storage.name.rpartition(".")[0]
            if storage.kind is StorageKind.OPTIMIZER_STATE and owner in named:
                self._owners.setdefault(index, named[owner])

    def _tensors(self, index: int, op: Op) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the places of the inputs and outputs of an update.

        What nobody owns, such as a count of steps, is where its neighbour is. In an op on lists of
        tensors, those at one position belong together.
        """
        owned = [self._owners[t.storage] for t in op.inputs if t.storage in self._owners]
        place = owned[0] if owned else self._ops[index]
        read = []
        for tensor in op.inputs:
            place = self._owners.get(tensor.storage, place)
            read.append(place)
        for number, tensor in enumerate(op.outputs):
            self._owners.setdefault(tensor.storage, read[number % len(read)] if read else place)
        written = [self._owners[tensor.storage] for tensor in op.outputs]
        if written and len(read) % len(written) == 0:
            read = written * (len(read) // len(written))
        return tuple(read), tuple(written)


def _runs_network(op: Op) -> bool:
    return FACTS[op.phase].runs_network


def _layers(ops: tuple[Op, ...]) -> Iterator[str]:
    layer = ""
    for op in ops:
        layer = op.layer or layer if _runs_network(op) else ""
        yield layer
