"""Makes the tensors of networks and optimizers fake in place, and real again afterwards.

The contents of two tensor objects are exchanged, so whoever holds a parameter (an optimizer, a
list, a tied layer) sees the change, and the real contents stay whole beside it, gradient included.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.module import (
    register_module_forward_pre_hook,
    register_module_parameter_registration_hook,
)
from torch.nn.parameter import is_lazy
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import _disable_current_modes

from workloads.capture.calls import tensors_in
from workloads.capture.tape import address_of

_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def hollow(tensor: torch.Tensor, mode: FakeTensorMode) -> FakeTensor:
    """Return a fake of the tensor's shape, strides and type; views of one storage stay that.

    A tensor on the meta device, which has no contents either, becomes one of the CPU.
    """
    alias = tensor.detach()
    if alias.is_meta:
        return FakeTensor(mode, alias, torch.device("cpu"))
    fake: FakeTensor = mode.from_tensor(alias)
    return fake


def exchange(first: torch.Tensor, second: torch.Tensor) -> None:
    """Exchange the contents of two tensor objects, also of such as a graph still refers to."""
    first.__class__, second.__class__ = second.__class__, first.__class__
    first.__dict__, second.__dict__ = second.__dict__, first.__dict__
    torch._C._swap_tensor_impl(first, second)


class Swaps:
    """What was made fake; with `keep` it is made real again in the end."""

    def __init__(self, mode: FakeTensorMode, *, keep: bool) -> None:
        """Start with nothing."""
        self._mode = mode
        self._keep = keep
        self._pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._modules: dict[int, _Attributes] = {}
        self._optimizers: dict[int, _Optimizer] = {}
        self._writes: dict[int, tuple[StorageWeakRef, torch.UntypedStorage]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Watch for parameters that are made, networks that are called, optimizers that step."""
        if self._keep:
            self._stack.callback(_random_numbers())
        for handle in self._hooks():
            self._stack.callback(handle.remove)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put all back that was kept."""
        if self._keep:
            self._put_back()
        self._stack.close()

    def network(self, root: torch.nn.Module) -> None:
        """Make the parameters of a network fake, and what it has on the meta device."""
        for module in root.modules():
            if self._keep and id(module) not in self._modules:
                self._modules[id(module)] = _Attributes(module)
            for parameter in module._parameters.values():
                self._swap(parameter)
            for tensor in (*module._buffers.values(), *vars(module).values()):
                if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                    self._swap(tensor)

    def optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Make what an optimizer updates fake, and what it keeps; its counters stay real."""
        if id(optimizer) in self._optimizers:
            return
        self._optimizers[id(optimizer)] = _Optimizer(optimizer)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self._swap(parameter)
        for state in optimizer.state.values():
            for tensor in tensors_in(state):
                if tensor.dim():
                    self._swap(tensor)

    def about_to_write(self, tensor: torch.Tensor) -> None:
        """Keep the contents of a real tensor that an op will write to, if that is to be undone."""
        address = address_of(tensor)
        if not self._keep or not address or tensor.is_meta:
            return
        known = self._writes.get(address)
        if known is None or known[0].expired():  # type: ignore[no-untyped-call]
            self._forget_the_dead()
            storage = tensor.untyped_storage()
            self._writes[address] = StorageWeakRef(storage), storage.clone()  # type: ignore[no-untyped-call]

    def _forget_the_dead(self) -> None:
        for address, (storage, _) in list(self._writes.items()):
            if storage.expired():  # type: ignore[no-untyped-call]
                del self._writes[address]

    def _swap(self, tensor: torch.Tensor | None) -> None:
        if tensor is None or isinstance(tensor, FakeTensor) or is_lazy(tensor):
            return
        if not isinstance(tensor, torch.nn.Parameter) and not tensor.is_leaf:
            return
        fake = hollow(tensor, self._mode)
        # Another object, since those that the mode makes are known to it.
        other = torch.nn.Parameter(fake, tensor.requires_grad)
        other._is_param = isinstance(tensor, torch.nn.Parameter)
        hooks = {name: getattr(tensor, name) for name in _HOOKS}
        exchange(tensor, other)
        for name, own in hooks.items():
            if own:
                setattr(tensor, name, own)
        if tensor.is_leaf and other.grad is not None:
            tensor.grad = hollow(other.grad, self._mode)
        if self._keep:
            self._pairs.append((tensor, other))

    def _hooks(self) -> Iterator[Any]:
        # Not under the modes that are active then: what is done here is no part of the run.
        def registered(module: Any, name: str, parameter: Any) -> None:  # noqa: ARG001
            with _disable_current_modes():
                self._swap(parameter)

        def called(module: torch.nn.Module, inputs: Any) -> None:  # noqa: ARG001
            if any(not isinstance(p, FakeTensor) for p in module.parameters()):
                with _disable_current_modes():
                    self.network(module)

        def stepping(optimizer: torch.optim.Optimizer, *rest: Any) -> None:  # noqa: ARG001
            with _disable_current_modes():
                self.optimizer(optimizer)

        yield register_module_parameter_registration_hook(registered)
        yield register_module_forward_pre_hook(called)
        yield register_optimizer_step_pre_hook(stepping)

    def _put_back(self) -> None:
        for pair in reversed(self._pairs):
            exchange(*pair)
        for module in self._modules.values():
            module.restore()
        for optimizer in self._optimizers.values():
            optimizer.restore()
        for reference, contents in self._writes.values():
            storage = torch.UntypedStorage._new_with_weak_ptr(reference.cdata)
            if storage is not None:
                storage.copy_(contents)


class _Attributes:
    """The tensors that a module has as attributes."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._parameters = dict(module._parameters)
        self._buffers = dict(module._buffers)
        self._plain = dict(vars(module))

    def restore(self) -> None:
        _refill(self._module._parameters, self._parameters)
        _refill(self._module._buffers, self._buffers)
        plain = vars(self._module)
        for name in [name for name, value in plain.items() if isinstance(value, FakeTensor)]:
            del plain[name]
            if name in self._plain:
                plain[name] = self._plain[name]


class _Optimizer:
    """An optimizer's settings and state."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._state = {key: _copied(value) for key, value in optimizer.state.items()}
        self._groups = [_copied(group) for group in optimizer.param_groups]

    def restore(self) -> None:
        _refill(self._optimizer.state, self._state)
        groups = self._optimizer.param_groups
        del groups[len(self._groups) :]
        for group, saved in zip(groups, self._groups, strict=True):
            _refill(group, saved)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def _refill(target: Any, saved: dict[Any, Any]) -> None:
    target.clear()
    target.update(saved)


def written(func: Any, args: Any, kwargs: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors that a call writes to, as its schema says."""
    schema = getattr(func, "_schema", None)
    if schema is None or not schema.is_mutable:
        return
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from tensors_in(given)


def _random_numbers() -> Any:
    """Return what puts the random number generators back to where they are now."""
    drawn, plain = torch.get_rng_state(), random.getstate()
    numpy = sys.modules.get("numpy")
    arrays = numpy.random.get_state() if numpy else None

    def restore() -> None:
        torch.set_rng_state(drawn)
        random.setstate(plain)
        if numpy:
            numpy.random.set_state(arrays)

    return restore
