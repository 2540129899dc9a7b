"""Qualified names of modules and parameters, and the storages of parameters and buffers."""

import weakref
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.modules.loss import _Loss
from torch.nn.parameter import is_lazy

from simulator.trace.passes.treatment import Method
from workloads.capture.calls import tensors_in
from workloads.capture.treatments import method_of

WRAPPERS = frozenset({"OptimizedModule", "DistributedDataParallel", "DataParallel"})


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """Return the network inside wrappers of torch.compile and data parallelism."""
    while type(model).__name__ in WRAPPERS:
        model = model._modules.get("_orig_mod") or model._modules["module"]  # type: ignore[assignment]
    return model


@dataclass(slots=True, eq=False)
class _Root:
    """A network called from outside: weak reference, prefix, and the ids that it named."""

    network: Any
    prefix: str
    structure: Hashable
    modules: dict[int, str] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)


class ModuleNames:
    """The root modules so far, and the qualified names of everything in them.

    The first root gives plain names; further ones (a second network) prefix their class, so that
    names are unique. A network that replaces a dead one of the same structure, such as the next
    copy of a client, takes over its names. No root is kept alive. With `model`, any other root
    computes a loss.
    """

    def __init__(self, model: torch.nn.Module | None) -> None:
        """Start with the names in `model`, or with none."""
        self._model = model
        self._roots: dict[int, _Root] = {}
        self._free: dict[Hashable, list[str]] = {}
        self._prefixes: set[str] = set()
        self._modules: dict[int, str] = {}
        self._parameters: dict[int, str] = {}
        self.title = ""
        if model is not None:
            self._add(model, "")

    def is_model(self, root: torch.nn.Module) -> bool:
        """Return whether a root module is a network, not a loss."""
        if id(root) in self._modules:
            return True
        if isinstance(root, _Loss):
            return False
        if self._model is not None and not any(m is self._model for m in root.modules()):
            return False
        self._add(root, None)
        return True

    def is_function(self, root: torch.nn.Module) -> bool:
        """Return whether a module has no weights and only computes, such as a softmax made for one
        call.
        """
        if root is self._model or isinstance(root, _Loss):
            return False
        return not any(True for _ in root.parameters()) and not any(True for _ in root.buffers())

    def of_module(self, module: torch.nn.Module, parent: str) -> str:
        """Return the qualified name of a module; its parent's if it belongs to no root."""
        name = self._modules.get(id(module))
        if name is None and not self.is_function(module):
            self.refresh()  # a layer that was added later
            name = self._modules.get(id(module))
        return parent if name is None else name

    def of_parameter(self, parameter: Any) -> str:
        """Return the qualified name of a parameter, "" if it belongs to no root."""
        return self._parameters.get(id(parameter), "")

    def layer_of(self, parameter: str) -> str:
        """Return the layer of a parameter."""
        layer, _, _ = parameter.rpartition(".")
        return layer or self._bare.get(parameter, "")

    def refresh(self) -> None:
        """Read the roots again: modules may be new, parameters may have moved."""
        for root in list(self._roots.values()):
            network = root.network()
            if network is not None:
                self._register(root, network)

    def parameters(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every parameter with its name; a tied one under its first name."""
        for root, network in self._alive():
            for name, parameter in network.named_parameters():
                yield self._parameters.get(id(parameter), root.prefix + name), parameter

    def buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every buffer with its name."""
        for root, network in self._alive():
            for name, buffer in network.named_buffers():
                yield root.prefix + name, buffer

    @property
    def method(self) -> Method:
        """The training method of the networks now."""
        return method_of(self._named_modules)

    def _named_modules(self) -> Iterator[tuple[str, torch.nn.Module]]:
        for _, network in self._alive():
            for module in network.modules():
                if id(module) in self._modules:
                    yield self._modules[id(module)], module

    def _alive(self) -> Iterator[tuple[_Root, torch.nn.Module]]:
        for root in list(self._roots.values()):
            network = root.network()
            if network is not None:
                yield root, network

    @property
    def _bare(self) -> dict[str, str]:
        return {
            name: self._modules.get(id(network), "")
            for _, network in self._alive()
            for name in network._parameters
        }

    def _add(self, network: torch.nn.Module, prefix: str | None) -> None:
        structure = _structure(network)
        if prefix is None:
            prefix = self._prefix(network, structure)
        self._prefixes.add(prefix)
        self.title = self.title or type(network).__name__
        key = id(network)
        root = _Root(weakref.ref(network, lambda _: self._forget(key)), prefix, structure)
        self._roots[key] = root
        self._register(root, network)

    def _prefix(self, network: torch.nn.Module, structure: Hashable) -> str:
        free = self._free.get(structure)
        if free:
            return free.pop(0)
        if not self._prefixes or any(m is self._model for m in network.modules()):
            return ""
        title = type(network).__name__
        options = (f"{title}.", *(f"{title}_{i}." for i in range(2, len(self._prefixes) + 2)))
        return next(option for option in options if option not in self._prefixes)

    def _register(self, root: _Root, network: torch.nn.Module) -> None:
        self._release(root)
        for name, module in network.named_modules():
            qualified = (root.prefix + name).rstrip(".")
            if module is network and not qualified and not any(True for _ in network.children()):
                qualified = type(network).__name__  # a single layer is its own network
            if id(module) not in self._modules:  # else another root named it first
                self._modules[id(module)] = root.modules[id(module)] = qualified
        for name, parameter in network.named_parameters():
            # torch.func swaps in other tensors during a call.
            own = isinstance(parameter, torch.nn.Parameter)
            if own and id(parameter) not in self._parameters:
                qualified = root.prefix + name
                self._parameters[id(parameter)] = root.parameters[id(parameter)] = qualified

    def _release(self, root: _Root) -> None:
        for module in root.modules:
            del self._modules[module]
        for parameter in root.parameters:
            del self._parameters[parameter]
        root.modules.clear()
        root.parameters.clear()

    def _forget(self, key: int) -> None:
        """Drop a dead network: the next one of its structure takes over its names."""
        root = self._roots.pop(key)
        self._free.setdefault(root.structure, []).append(root.prefix)
        self._release(root)


def _structure(network: torch.nn.Module) -> Hashable:
    """Return what networks of equal structure have in common."""
    modules = tuple((name, type(module)) for name, module in network.named_modules())
    return modules, tuple((name, _size(p)) for name, p in network.named_parameters())


def _size(parameter: torch.Tensor) -> Hashable:
    return None if is_lazy(parameter) else (tuple(parameter.shape), parameter.dtype)


def state_tensors(
    optimizer: torch.optim.Optimizer, names: ModuleNames
) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield the tensors of an optimizer's state, in order: name, parameter's name, tensor."""
    for parameter, state in optimizer.state.items():
        owner = names.of_parameter(parameter)
        entries = state.items() if isinstance(state, dict) else ()
        for key, value in entries:
            for tensor in tensors_in(value):
                if tensor is not parameter:
                    yield f"{owner}.{key}" if owner else str(key), owner, tensor
