"""What has been recorded of the step under way: drafts of its ops and the storages they touch."""

from collections.abc import Set
from dataclasses import dataclass, field
from functools import cache

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from simulator.trace.drafts import Draft
from simulator.trace.op import Phase, Tensor


@dataclass(slots=True, eq=False)
class Tape:
    """The drafts of one step and its storages, numbered as they were first seen.

    A weak reference is held to every storage: while it lives, PyTorch cannot hand the same
    address to another one, so the address is an identity even after the memory was freed.
    """

    drafts: list[Draft] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    gradients: dict[int, str] = field(default_factory=dict)
    derived: set[int] = field(default_factory=set)
    constants: set[int] = field(default_factory=set)
    producer: dict[int, Phase] = field(default_factory=dict)
    owners: dict[int, Draft] = field(default_factory=dict)
    backward: bool = False
    _weights: Set[int] = frozenset()
    _buffers: Set[int] = frozenset()
    _index: dict[int, int] = field(default_factory=dict)
    _alive: list[StorageWeakRef] = field(default_factory=list)

    def storage(self, tensor: torch.Tensor) -> int:
        """Return the number of the tensor's storage, a new one at first sight."""
        storage = tensor.untyped_storage()
        address = storage._cdata
        index = self._index.get(address)
        if index is None:
            index = self._index[address] = len(self.sizes)
            self._alive.append(StorageWeakRef(storage))  # type: ignore[no-untyped-call]
            self.sizes.append(storage.nbytes())
            self._classify(address, index)
        elif not self.sizes[index]:
            self.sizes[index] = storage.nbytes()  # allocated empty, resized by its writer
        return index

    def learn(self, weights: Set[int], buffers: Set[int]) -> None:
        """Take the addresses of parameters and buffers, also for storages seen before."""
        self._weights, self._buffers = weights, buffers
        for address, index in self._index.items():
            self._classify(address, index)

    def _classify(self, address: int, index: int) -> None:
        if address in self._weights:
            self.derived.add(index)
        if address in self._buffers:
            self.constants.add(index)

    def find(self, tensor: torch.Tensor) -> int | None:
        """Return the number of the tensor's storage if the step has touched it."""
        return self._index.get(address_of(tensor))

    def describe(self, tensor: torch.Tensor) -> Tensor:
        """Return what is kept of a tensor; raises for layouts without strides (sparse)."""
        return Tensor(
            self.storage(tensor),
            _name_of(tensor.dtype),
            tuple(tensor.shape),
            tuple(tensor.stride()),
            int(tensor.storage_offset()),
        )

    def mark_gradient(self, tensor: torch.Tensor, parameter: str) -> None:
        """Note that the tensor is the gradient of the parameter of that name."""
        self.gradients.setdefault(self.storage(tensor), parameter)

    def forget_setup(self) -> None:
        """Drop what ran before the first step: building the model, loading the data."""
        kept = (Phase.DATA, Phase.ZERO_GRAD)
        self.drafts = [draft for draft in self.drafts if draft.phase in kept]


@cache
def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def address_of(tensor: torch.Tensor) -> int:
    """Return the identity of the tensor's storage; unique as long as the storage lives."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError, ValueError):  # ValueError: not initialised yet
        return 0
