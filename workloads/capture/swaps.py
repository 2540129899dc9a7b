"""Swaps the tensors of networks and optimizers for fakes, or for copies, and back.

The contents of two tensor objects are swapped, so every reference to a parameter (an optimizer, a
list, a tied layer) sees the change, and the real contents stay intact beside it, with their
gradient.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import (
    register_module_forward_pre_hook,
    register_module_parameter_registration_hook,
)
from torch.nn.parameter import is_lazy
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import _disable_current_modes

from workloads.capture.budget import Budget
from workloads.capture.calls import tensors_in
from workloads.capture.keeping import Attributes, OptimizerState, Writes, random_numbers
from workloads.capture.ops import OpSchema
from workloads.capture.tape import address_of

_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def hollow(tensor: torch.Tensor, mode: FakeTensorMode) -> FakeTensor:
    """Return a fake with the tensor's shape, strides and type; views of one storage share one.

    A tensor on the meta device becomes one on the CPU.
    """
    alias = tensor.detach()
    if isinstance(alias, FakeTensor):
        return alias
    if alias.is_meta:
        return FakeTensor(mode, alias, torch.device("cpu"))
    fake: FakeTensor = mode.from_tensor(alias)
    return fake


def exchange(first: torch.Tensor, second: torch.Tensor) -> None:
    """Swap the contents of two tensor objects, even if a graph refers to them."""
    first.__class__, second.__class__ = second.__class__, first.__class__
    first.__dict__, second.__dict__ = second.__dict__, first.__dict__
    torch._C._swap_tensor_impl(first, second)


class Swaps:
    """Makes networks and optimizers fake once `budget` is exceeded.

    With `keep` everything is restored at the end, so networks that run for real do so on copies.
    """

    def __init__(self, mode: FakeTensorMode, budget: Budget, *, keep: bool) -> None:
        """Start with nothing swapped."""
        self._mode = mode
        self._budget = budget
        self._keep = keep
        self._writes = Writes()
        self._roots: WeakValueDictionary[int, torch.nn.Module] = WeakValueDictionary()
        self._pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._copies: dict[int, torch.UntypedStorage] = {}
        self._ran: WeakValueDictionary[int, torch.Tensor] = WeakValueDictionary()
        self._modules: dict[int, Attributes] = {}
        self._optimizers: dict[int, OptimizerState] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Hook parameter registration, network calls and optimizer steps."""
        if self._keep:
            self._stack.callback(random_numbers())
        for handle in self._hooks():
            self._stack.callback(handle.remove)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore everything that was kept."""
        if self._keep:
            self._put_back()
        self._stack.close()

    def network(self, root: torch.nn.Module) -> None:
        """Swap the parameters of a network, and its tensors on the meta device."""
        parameters = list(root.parameters())
        self._budget.meet(parameters)
        if not any(is_lazy(parameter) for parameter in parameters):
            self._roots[id(root)] = root
        for module in root.modules():
            attributes = self._modules.get(id(module))
            if self._keep and (attributes is None or not attributes.are_of(module)):
                self._modules[id(module)] = Attributes(module)
            for parameter in module._parameters.values():
                self._swap(parameter)
            for tensor in (*module._buffers.values(), *vars(module).values()):
                if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                    self._swap(tensor)

    def optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Swap what an optimizer updates, and its state; its counters stay real."""
        self._budget.meet(p for group in optimizer.param_groups for p in group["params"])
        if id(optimizer) in self._optimizers:
            return
        self._optimizers[id(optimizer)] = OptimizerState(optimizer)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self._swap(parameter)
        for state in optimizer.state.values():
            for tensor in tensors_in(state):
                if tensor.dim():
                    self._swap(tensor)

    def about_to_write(self, op: OpSchema, args: Any, kwargs: Any) -> None:
        """Save the contents of real tensors that an op will write to, if they are
        restored later.
        """
        if self._keep and op.written:
            for tensor in op.writes(args, kwargs):
                self._writes.keep(tensor)

    def _swap(self, tensor: torch.Tensor | None) -> None:
        if tensor is None or isinstance(tensor, FakeTensor) or is_lazy(tensor):
            return
        if not isinstance(tensor, torch.nn.Parameter) and not tensor.is_leaf:
            return
        if self._ran.get(id(tensor)) is tensor:
            return  # a graph may hold it; its results are fake anyway, see `FakeRegistry`
        if self._budget.exceeded:
            fake = torch.nn.Parameter(hollow(tensor, self._mode), tensor.requires_grad)
            fake._is_param = isinstance(tensor, torch.nn.Parameter)
            self._replace(tensor, fake)
            return
        self._ran[id(tensor)] = tensor
        if self._keep:
            copy = self._copy(tensor).as_subclass(type(tensor))
            self._replace(tensor, copy.requires_grad_(tensor.requires_grad))

    def _replace(self, tensor: torch.Tensor, other: torch.Tensor) -> None:
        hooks = {name: getattr(tensor, name) for name in _HOOKS}
        exchange(tensor, other)
        for name, own in vars(other).items():  # such as attributes that the program set
            vars(tensor).setdefault(name, own)
        for name, own in hooks.items():
            if own:
                setattr(tensor, name, own)
        if tensor.is_leaf and other.grad is not None:
            fake = isinstance(tensor, FakeTensor)
            tensor.grad = hollow(other.grad, self._mode) if fake else self._copy(other.grad)
        if self._keep:
            self._pairs.append((tensor, other))

    def _copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a real copy; views of one storage stay views of one."""
        storage = tensor.untyped_storage()
        address = address_of(tensor)
        if address not in self._copies:
            self._copies[address] = storage.clone()  # type: ignore[no-untyped-call]
        copy = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        form = tensor.storage_offset(), tensor.shape, tensor.stride()
        return copy.set_(self._copies[address], *form)

    def _hooks(self) -> Iterator[Any]:
        # Outside the active modes: this work is no part of the run.
        def registered(module: Any, name: str, parameter: Any) -> None:  # noqa: ARG001
            if parameter is not None and not isinstance(parameter, FakeTensor):
                with _disable_current_modes():
                    self._budget.meet([parameter])
                    if self._budget.exceeded:
                        self._swap(parameter)

        def called(module: torch.nn.Module, inputs: Any) -> None:
            if not self._budget.exceeded:
                self._budget.call(module, inputs)
            if self._roots.get(id(module)) is not module:
                with _disable_current_modes():
                    self.network(module)

        def stepping(optimizer: torch.optim.Optimizer, *rest: Any) -> None:  # noqa: ARG001
            self._budget.update()
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
        self._writes.restore()
