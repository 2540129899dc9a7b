"""Where the program is: which modules run, which markers are open, whether data are loaded."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from simulator.trace.op import Phase
from simulator.trace.phases import FACTS
from workloads.capture.names import ModuleNames

_UPDATES = {phase: facts.marker for phase, facts in FACTS.items() if facts.updates and facts.marker}


class Spot(NamedTuple):
    """What all ops at a place in the program have in common, apart from autograd.

    `layer` is the module that runs, `root` the kind of the outermost one: "", "network" or "loss";
    `learns` if the network is in training mode. An optimizer's ops have the phase `inside` in
    backward, `outside` elsewhere, or `closure` in the closure that it calls in grad mode. `twice`
    if backward is itself differentiated.
    """

    layer: str = ""
    root: str = ""
    learns: bool = False
    inside: Phase | None = None
    outside: Phase | None = None
    closure: Phase | None = None
    loading: bool = False
    twice: bool = False


@dataclass(slots=True)
class Context:
    """Tracks the program; `spot` is the index of its spot in `spots`.

    A marker is stored with whether the autograd engine was running when it was opened.
    """

    names: ModuleNames
    spot: int = 0
    spots: list[Spot] = field(default_factory=lambda: [Spot()])
    modules: list[tuple[torch.nn.Module, str, str]] = field(default_factory=list)
    markers: list[tuple[str, bool]] = field(default_factory=list)
    loading: int = 0
    twice: bool = False
    _updates: tuple[Phase | None, Phase | None, Phase | None] = (None, None, None)
    _numbers: dict[tuple[Any, ...], int] = field(default_factory=lambda: {tuple(Spot()): 0})

    def enter(self, module: torch.nn.Module) -> bool:
        """Push a module that starts; return whether it is a network called from outside."""
        if self.modules:
            _, parent, root = self.modules[-1]
            name = self.names.of_module(module, parent) if root == "network" else ""
            self._push(module, name, root)
            return False
        if self.names.is_function(module):
            return False  # its ops belong to the layers of their inputs
        root = "network" if self.names.is_model(module) else "loss"
        self._push(module, self.names.of_module(module, "") if root == "network" else "", root)
        return root == "network" and not in_backward()

    def _push(self, module: torch.nn.Module, name: str, root: str) -> None:
        self.modules.append((module, name, root))
        self.settle()

    def leave(self, module: torch.nn.Module) -> None:
        """Pop a module that has ended, and those that an exception left above it."""
        if any(entry[0] is module for entry in self.modules):
            while self.modules.pop()[0] is not module:
                pass
            self.settle()

    def mark(self, name: str, title: str) -> None:
        """Track the record_function markers that PyTorch sets around optimizers and loaders."""
        if "_record_function_enter" in name:
            self.markers.append((title, in_backward()))
        elif self.markers:
            self.markers.pop()
        self._read_markers()

    def forget_markers(self) -> None:
        """Drop markers whose end was not recorded."""
        if self.markers:
            self.markers.clear()
            self._read_markers()

    def load(self, change: int) -> None:
        """A loader starts (+1) or ends (-1) to make a batch."""
        self.loading += change
        self.settle()

    def differentiate(self, twice: bool) -> None:
        """A backward pass starts, itself to be differentiated or not."""
        self.twice = twice
        self.settle()

    def _read_markers(self) -> None:
        inside, outside = self._update(inside=True), self._update(inside=False)
        self._updates = inside, outside, self._update(inside=False, closure=True)
        self.settle()

    def settle(self) -> None:
        """Compute the present spot."""
        layer = root = ""
        learns = False
        if self.modules:
            _, layer, root = self.modules[-1]
            learns = self.modules[0][0].training
        spot = (layer, root, learns, *self._updates, self.loading > 0, self.twice)
        number = self._numbers.get(spot)
        if number is None:
            number = self._numbers[spot] = len(self.spots)
            self.spots.append(Spot(*spot))
        self.spot = number

    def _update(self, *, inside: bool, closure: bool = False) -> Phase | None:
        """Return the phase of the innermost optimizer marker, `inside` backward or not."""
        for marker, within in reversed(self.markers):
            if within is inside:
                phase = next((p for p, mark in _UPDATES.items() if marker.startswith(mark)), None)
                if phase is not None and not (closure and phase is Phase.OPTIMIZER):
                    return phase
        return None


def in_backward() -> bool:
    """Return whether the autograd engine is running."""
    return int(torch._C._current_graph_task_id()) != -1
