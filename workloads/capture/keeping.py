"""Saves what a block changes in a program that goes on after it, and restores it bit for bit."""

import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from workloads.capture.tape import address_of


class Writes:
    """The contents of real tensors from before an op wrote to them."""

    def __init__(self) -> None:
        """Start with none."""
        self._contents: dict[int, tuple[StorageWeakRef, torch.UntypedStorage]] = {}
        self._room = 64

    def keep(self, tensor: torch.Tensor) -> None:
        """Save the contents of a tensor that is about to be written, the first time."""
        address = address_of(tensor)
        if not address or tensor.is_meta:
            return
        entry = self._contents.get(address)
        if entry is None or entry[0].expired():  # type: ignore[no-untyped-call]
            if len(self._contents) >= self._room:
                self._forget_the_dead()
            storage = tensor.untyped_storage()
            self._contents[address] = StorageWeakRef(storage), storage.clone()  # type: ignore[no-untyped-call]

    def restore(self) -> None:
        """Restore the contents of all storages that still exist."""
        for reference, contents in self._contents.values():
            storage = torch.UntypedStorage._new_with_weak_ptr(reference.cdata)
            if storage is not None:
                storage.copy_(contents)

    def _forget_the_dead(self) -> None:
        for address, (storage, _) in list(self._contents.items()):
            if storage.expired():  # type: ignore[no-untyped-call]
                del self._contents[address]
        self._room = max(64, 2 * len(self._contents))


class Attributes:
    """The tensors among a module's attributes; the module is not kept alive."""

    def __init__(self, module: torch.nn.Module) -> None:
        """Save the present ones."""
        self._module = weakref.ref(module)
        self._parameters = dict(module._parameters)
        self._buffers = dict(module._buffers)
        self._plain = _tensors(module)

    def are_of(self, module: torch.nn.Module) -> bool:
        """Return whether they belong to this module, not to a dead one with its id."""
        return self._module() is module

    def restore(self) -> None:
        """Restore them, and remove those added since."""
        module = self._module()
        if module is None:
            return
        _refill(module._parameters, self._parameters)
        _refill(module._buffers, self._buffers)
        for name in _tensors(module):
            del vars(module)[name]
        vars(module).update(self._plain)


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(module).items() if isinstance(value, torch.Tensor)}


class OptimizerState:
    """Settings and state of an optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        """Save the present ones."""
        self._optimizer = optimizer
        self._state = {key: _copied(value) for key, value in optimizer.state.items()}
        self._groups = [_copied(group) for group in optimizer.param_groups]

    def restore(self) -> None:
        """Restore them."""
        _refill(self._optimizer.state, self._state)
        groups = self._optimizer.param_groups
        del groups[len(self._groups) :]
        for group, saved in zip(groups, self._groups, strict=True):
            _refill(group, saved)


def random_numbers() -> Callable[[], None]:
    """Return a function that resets the random number generators to their present state."""
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy = sys.modules.get("numpy")
    arrays = numpy.random.get_state() if numpy else None

    def restore() -> None:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(arrays)

    return restore


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def _refill(target: Any, saved: dict[Any, Any]) -> None:
    target.clear()
    target.update(saved)
