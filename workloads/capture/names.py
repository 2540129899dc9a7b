"""What modules and parameters are called, and which storages hold parameters and buffers."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules.loss import _Loss
from torch.nn.parameter import is_lazy

from simulator.trace.method.treatment import Method
from workloads.capture.calls import tensors_in
from workloads.capture.tape import address_of
from workloads.capture.treatments import method_of

WRAPPERS = frozenset({"OptimizedModule", "DistributedDataParallel", "DataParallel"})


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """Return the network inside what torch.compile or data parallelism wrapped around it."""
    while type(model).__name__ in WRAPPERS:
        model = model._modules.get("_orig_mod") or model._modules["module"]  # type: ignore[assignment]
    return model


class Names:
    """The root modules seen so far and the qualified names of all that is in them.

    The first root gives plain names; further ones (a second network) carry their class in front,
    so that no two layers are confused. With `model` given, any other root computes a loss.
    `lazy` tells that some parameter has no shape yet.
    """

    def __init__(self, model: torch.nn.Module | None) -> None:
        """Begin with the names in `model`, or with none."""
        self._given = model
        self._roots: dict[int, tuple[torch.nn.Module, str]] = {}
        self._modules: dict[int, str] = {}
        self._parameters: dict[int, str] = {}
        self.constants: set[int] = set()
        self.weights: set[int] = set()
        self.lazy = False
        if model is not None:
            self._register(model, "")

    def is_model(self, root: torch.nn.Module) -> bool:
        """Tell whether a module called from outside any other is a network, not a loss."""
        if id(root) in self._modules:
            return True
        if isinstance(root, _Loss):
            return False
        if self._given is not None and not any(m is self._given for m in root.modules()):
            return False
        self._register(root, self._prefix(root))
        return True

    def is_function(self, root: torch.nn.Module) -> bool:
        """Tell whether a module only computes, without weights: a softmax made for one call."""
        if root is self._given or isinstance(root, _Loss):
            return False
        return not any(True for _ in root.parameters()) and not any(True for _ in root.buffers())

    def of_module(self, module: torch.nn.Module, parent: str) -> str:
        """Return the qualified name of a module, or its parent's if it belongs to no root."""
        name = self._modules.get(id(module))
        if name is None:
            self.refresh()
            name = self._modules.setdefault(id(module), parent)
        return name

    def of_parameter(self, parameter: Any) -> str:
        """Return the qualified name of a parameter, "" if it belongs to no root."""
        return self._parameters.get(id(parameter), "")

    def layer_of(self, parameter: str) -> str:
        """Return the layer that the parameter of that name belongs to."""
        layer, _, _ = parameter.rpartition(".")
        return layer or self._bare.get(parameter, "")

    def refresh(self) -> None:
        """Look again at the roots: modules may have come, parameters may have moved."""
        self.constants.clear()
        self.weights.clear()
        self.lazy = False
        for root, prefix in list(self._roots.values()):
            self._register(root, prefix)

    def parameters(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every parameter with its name; a tied one under its first name."""
        for root, prefix in self._roots.values():
            for name, parameter in root.named_parameters():
                yield prefix + name, parameter

    def buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every buffer with its name."""
        for root, prefix in self._roots.values():
            for name, buffer in root.named_buffers():
                yield prefix + name, buffer

    @property
    def method(self) -> Method:
        """How the networks say that they are trained now."""
        return method_of(self._named_modules)

    def _named_modules(self) -> Iterator[tuple[str, torch.nn.Module]]:
        for root, _ in self._roots.values():
            for module in root.modules():
                if id(module) in self._modules:
                    yield self._modules[id(module)], module

    @property
    def title(self) -> str:
        """The class of the first network."""
        return next((type(root).__name__ for root, _ in self._roots.values()), "")

    @property
    def _bare(self) -> dict[str, str]:
        return {
            name: self._modules[id(root)]
            for root, _ in self._roots.values()
            for name in root._parameters
        }

    def _prefix(self, root: torch.nn.Module) -> str:
        taken = {prefix for _, prefix in self._roots.values()}
        if not taken or any(m is self._given for m in root.modules()):
            return ""
        title = type(root).__name__
        options = [f"{title}.", *(f"{title}_{i}." for i in range(2, len(taken) + 2))]
        return next(option for option in options if option not in taken)

    def _register(self, root: torch.nn.Module, prefix: str) -> None:
        self._roots[id(root)] = root, prefix
        for name, module in root.named_modules():
            self._modules[id(module)] = (prefix + name).rstrip(".")
        if not self._modules[id(root)] and not any(True for _ in root.children()):
            self._modules[id(root)] = type(root).__name__  # a single layer is its own network
        for name, parameter in root.named_parameters():
            self._parameters[id(parameter)] = prefix + name
            self.lazy |= is_lazy(parameter)
            self.weights.add(address_of(parameter))
        self.constants |= {address_of(buffer) for buffer in root.buffers()}


def state_tensors(
    optimizer: torch.optim.Optimizer, names: Names
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors that an optimizer keeps, named by parameter and key, in order."""
    for parameter, state in optimizer.state.items():
        owner = names.of_parameter(parameter)
        entries = state.items() if isinstance(state, dict) else ()
        for key, value in entries:
            for tensor in tensors_in(value):
                if tensor is not parameter:
                    yield f"{owner}.{key}" if owner else str(key), tensor
