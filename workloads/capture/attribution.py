"""Where an op belongs: its phase, its layer and, in backward, the forward op it differentiates.

A forward op is known by its autograd sequence number, which its backward node carries too.
"""

from dataclasses import dataclass, field
from typing import Any

import torch

from simulator.trace.drafts import Draft
from simulator.trace.op import OpKind, Phase
from workloads.capture.calls import Call
from workloads.capture.names import Names
from workloads.capture.tape import Tape

_ACCUMULATE = "torch::autograd::AccumulateGrad"
_ORIGINS = frozenset({Phase.FORWARD, Phase.LOSS})


@dataclass(slots=True)
class Place:
    """Phase and layer of an op, what it differentiates, which parameter's gradient it keeps."""

    phase: Phase
    layer: str = ""
    forward: Draft | None = None
    parameter: str | None = None


@dataclass(slots=True)
class Context:
    """Where the program is: which modules are running, which markers are open, who loads data.

    A marker is kept with whether the autograd engine was running when it was opened.
    """

    names: Names
    modules: list[tuple[torch.nn.Module, str, bool]] = field(default_factory=list)
    markers: list[tuple[str, bool]] = field(default_factory=list)
    loading: int = 0
    twice: bool = False

    def enter(self, module: torch.nn.Module) -> bool:
        """Push a module that starts; return whether it is a network called from outside."""
        if self.modules:
            _, parent, in_model = self.modules[-1]
            name = self.names.of_module(module, parent) if in_model else ""
            self.modules.append((module, name, in_model))
            return False
        if self.names.is_function(module):
            return False  # its ops belong to what they are computed from
        is_model = self.names.is_model(module)
        name = self.names.of_module(module, "") if is_model else ""
        self.modules.append((module, name, is_model))
        return is_model and not in_backward()

    def leave(self, module: torch.nn.Module) -> None:
        """Pop a module that has ended, with those that an exception left above it."""
        if any(entry[0] is module for entry in self.modules):
            while self.modules.pop()[0] is not module:
                pass

    def mark(self, call: Call) -> None:
        """Follow the record_function markers that PyTorch puts around its optimizer and loader."""
        if call.name.startswith("_record_function_enter"):
            self.markers.append((str(call.args.get("name", "")), in_backward()))
        elif self.markers:
            self.markers.pop()

    def place(self, call: Call, tape: Tape, touched: frozenset[int]) -> Place:
        """Return where a call belongs."""
        layer = self.modules[-1][1] if self.modules else ""
        if in_backward():
            update = self._update(inside=True)  # by a hook, as soon as there is a gradient
            if update is not None:
                return Place(update)
            # Backward runs without grad mode, unless it is differentiated itself.
            if torch.is_grad_enabled() and (self.modules or not self.twice):
                return Place(Phase.RECOMPUTE, layer)
            return self._backward(tape)
        if self.modules:
            return Place(self._inside(), layer)
        return Place(self._outside(call, tape, touched))

    def _inside(self) -> Phase:
        root, _, is_model = self.modules[0]
        if not is_model:
            return Phase.LOSS
        learns = root.training or torch.is_grad_enabled()
        return Phase.FORWARD if learns else Phase.EVAL

    def _backward(self, tape: Tape) -> Place:
        tape.backward = True
        node: Any = torch._C._current_autograd_node()
        if node is None:
            return Place(Phase.DGRAD)
        if node.name() == _ACCUMULATE:
            parameter = self.names.of_parameter(node.variable)
            if not parameter and not isinstance(node.variable, torch.nn.Parameter):
                return Place(Phase.DGRAD)  # of an input, unless an optimizer says otherwise
            return Place(Phase.WGRAD, self.names.layer_of(parameter), None, parameter)
        forward = tape.owners.get(node._sequence_nr())
        return Place(Phase.DGRAD, forward.layer if forward else "", forward)

    def _update(self, *, inside: bool, closure: bool = False) -> Phase | None:
        """Return what an optimizer does now, if one was called `inside` of backward or outside."""
        for marker, within in reversed(self.markers):
            if within is inside:
                if marker.startswith("Optimizer.step") and not closure:
                    return Phase.OPTIMIZER
                if marker.startswith("Optimizer.zero_grad"):
                    return Phase.ZERO_GRAD
        return None

    def _outside(self, call: Call, tape: Tape, touched: frozenset[int]) -> Phase:
        # An optimizer runs without grad mode, except the closure that computes the loss anew.
        closure = torch.is_grad_enabled() and not tape.backward
        update = self._update(inside=False, closure=closure)
        if update is not None:
            return update
        if self.loading:
            return Phase.DATA
        follows = any(tape.producer.get(storage) in _ORIGINS for storage in touched)
        if follows and not tape.backward and call.kind is not OpKind.SYNC:
            return Phase.LOSS
        return Phase.OTHER


def in_backward() -> bool:
    """Tell whether the autograd engine is running."""
    return int(torch._C._current_graph_task_id()) != -1


def own(tape: Tape, draft: Draft) -> None:
    """Note the newest autograd node as the draft's, unless an earlier op owns it."""
    if torch.is_grad_enabled():
        sequence = torch.autograd._get_sequence_nr() - 1  # type: ignore[attr-defined]
        if sequence >= 0:
            tape.owners.setdefault(sequence, draft)
