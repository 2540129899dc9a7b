"""Follows a run: cuts it into steps as they happen and decides which of them are recorded."""

import sys
import weakref
from contextlib import suppress
from threading import RLock
from typing import Any

import torch

from simulator.trace.op import OpKind, Phase
from workloads.capture.assemble import assemble
from workloads.capture.attribution import Context, in_backward
from workloads.capture.calls import Call, tensors_in
from workloads.capture.fingerprint import Fingerprints
from workloads.capture.names import Names
from workloads.capture.recorder import Recorder
from workloads.capture.segments import Catalogue, Unit
from workloads.capture.tape import Tape

_CONTINUED = frozenset({Phase.FORWARD, Phase.LOSS, Phase.RECOMPUTE, Phase.OTHER})
_SETUP_OPS = 20_000


class Watch:
    """Listens to one thread of a run (see `events.Listener`) and fills `catalogue` with its steps.

    A step ends where a loader is asked for the next batch, unless gradients are still being
    accumulated; without a loader, after the optimizer and what still uses its results.
    """

    def __init__(
        self,
        names: Names,
        optimizers: list[torch.optim.Optimizer],
        catalogue: Catalogue,
        lock: RLock,
    ) -> None:
        """Follow the calling thread; `lock` guards what it shares with the other threads."""
        self.catalogue = catalogue
        self.stepped = False
        self.forced_eager = False
        self.compiled = False
        self._names = names
        self._context = Context(names)
        self._optimizers = optimizers
        self._fingerprints = Fingerprints()
        self._passes: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._started = 0
        self._surprises = self._doubts = 0
        self._counted: set[tuple[int, int | None]] = set()
        self._unit = Unit("start", Tape())
        self.recorder = Recorder(self._context, self.tape_for, lock)

    def close(self, failed: bool) -> None:
        """End the last step; of a run that failed it counts only if its optimizer stepped."""
        if not failed or self._unit.optimizer_steps:
            self._begin("stop")
        self.recorder.pause()

    # What the recorder asks

    def tape_for(self, call: Call) -> Tape | None:
        """Return where to draft the call, beginning a new step first if it belongs to none."""
        unit = self._unit
        if unit.ending and unit.tape and not in_backward() and not self._uses(call, unit.tape):
            self._begin("after")
        tape = self._unit.tape
        if tape and self._names.lazy and call.kind is OpKind.GEMM:
            self._learn(tape)  # a weight may just have got its shape
        if tape and len(tape.drafts) >= _SETUP_OPS and not self._unit.busy:
            tape.drafts.clear()  # preparing data can take any number of ops before the first step
        return tape

    def _uses(self, call: Call, tape: Tape) -> bool:
        if any("zero_grad" in marker for marker, _ in self._context.markers):
            return False
        tensors = [use.tensor for use in call.uses] or call.results
        found = (tape.find(tensor) for tensor in tensors)
        known = [index for index in found if index is not None]
        return any(i in tape.gradients or tape.producer.get(i) in _CONTINUED for i in known)

    # What happens in the run

    def ignores(self, module: torch.nn.Module) -> bool:
        """In a step that is only counted, the modules inside a network tell nothing new."""
        running = self._context.modules
        return not self.recorder.active and bool(running) and running[0][0] is not module

    def module_enter(self, module: torch.nn.Module, inputs: Any) -> None:
        """A module starts; a network called from outside may begin a step."""
        if self._context.enter(module):
            self._network(module, inputs)

    def module_leave(self, module: torch.nn.Module) -> None:
        """A module ends."""
        self._context.leave(module)

    def backward_enter(self, create_graph: bool) -> None:
        """Gradients are pending until an optimizer uses them."""
        self._context.twice = create_graph
        self._unit.backward = self._unit.pending = True
        self._force_eager()

    def optimizer_enter(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer starts: it and its gradients are known from here on."""
        if all(known is not optimizer for known in self._optimizers):
            self._optimizers.append(optimizer)
        unit = self._unit
        if unit.tape:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            marked = [self._mark_gradients(unit.tape, parameter) for parameter in parameters]
            if any(marked) and ("step", id(optimizer)) not in unit.fingerprints:
                unit.ending = False  # a second optimizer, for gradients of the same step

    def _mark_gradients(self, tape: Tape, parameter: torch.Tensor) -> bool:
        found = [g for g in tensors_in(parameter.grad) if tape.find(g) is not None]
        for gradient in found:
            tape.mark_gradient(gradient, self._names.of_parameter(parameter))
        return bool(found)

    def optimizer_leave(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped, which ends a step unless a loader says when."""
        unit = self._unit
        unit.optimizer_steps += 1
        unit.pending = False
        unit.fingerprints.append(("step", id(optimizer)))
        self.stepped = True
        if not self._loader_driven:
            unit.ending = True
            updates = self.catalogue.updates(unit.first)
            if unit.tape is None and unit.optimizer_steps >= updates and not in_backward():
                self._begin("after")

    def batch_enter(self, iterator: Any) -> None:
        """A loader is asked for a batch: the step before is over."""
        unit = self._unit
        known = self._passes.get(iterator)
        left = _batches_left(iterator)
        continues = unit.pending and known in unit.passes
        waits = unit.begun == "next" and not unit.busy  # a second loader, or a batch skipped
        if not (continues or waits):
            source = id(getattr(iterator, "_dataset", None)), left
            follows = unit.tape is None and known in unit.passes and (left or 0) > 1
            # This step will be counted too, unless it surprises.
            expected = not self._doubts and (follows or source in self._counted)
            self._begin("next", heard=not expected)
            self._unit.source = source
        self._join_pass(iterator, known, left)
        self._context.loading += 1

    def _join_pass(self, iterator: Any, known: int | None, left: int | None) -> None:
        if known is None:
            self._started += 1
            if not self._unit.busy:
                self._unit.passes.clear()  # a loop that broke off asked for nothing more
            known = self._passes[iterator] = self._started
            self._fingerprints.forget()
        unit = self._unit
        unit.passes.add(known)
        unit.batches += 1
        if unit.available is None:
            unit.available = left

    def batch_leave(self, iterator: Any, exhausted: bool) -> None:
        """The loader has answered; at its end the step is over, gradients pending or not."""
        self._context.loading -= 1
        if exhausted:
            self._unit.batches -= 1
            self._passes.pop(iterator, None)
            self._begin("stop")

    def compiled_enter(self) -> None:
        """A module that torch.compile wrapped starts."""
        self.compiled = True
        self._force_eager()

    def _force_eager(self) -> None:
        """Compiled code hides its ops, so what torch.compile wrapped runs as it is written."""
        if not self.forced_eager and "torch._dynamo" in sys.modules:
            # A network compiled in place is inside already, where this is refused: later then.
            with suppress(RuntimeError):
                torch.compiler.set_stance("force_eager")
                self.forced_eager = True

    # Steps

    @property
    def _loader_driven(self) -> bool:
        return any(number in self._unit.passes for number in self._passes.values())

    def _network(self, root: torch.nn.Module, inputs: Any) -> None:
        self.compiled |= getattr(root, "_compiled_call_impl", None) is not None
        self._force_eager()
        trains = root.training and torch.is_grad_enabled()
        if self._ends_before(root, trains):
            self._begin("after")
        unit = self._unit
        fingerprint = self._fingerprints.of(root, inputs)
        first = not unit.fingerprints
        unit.fingerprints.append(fingerprint)
        unit.root = id(root)
        unit.trains |= trains
        unit.method = self._names.method
        if unit.tape is None:
            return
        if first and self.catalogue.knows(fingerprint, unit.available):
            unit.tape = None
            self._doubts = max(0, self._doubts - 1)
            self._counted.add(unit.source)
            self.recorder.pause()
            return
        if not self.recorder.active:
            self._surprises += 1
            self._doubts = 2**self._surprises  # hear so many known steps from their batch on
            self._counted.discard(unit.source)
            self.recorder.resume()
        if first and unit.begun == "start":
            unit.tape.forget_setup()
        self._learn(unit.tape)
        self._fingerprints.forget()
        unit.tape.backward = False

    def _learn(self, tape: Tape) -> None:
        self._names.refresh()
        tape.learn(self._names.weights, self._names.constants)

    def _ends_before(self, root: torch.nn.Module, trains: bool) -> bool:
        """Tell whether the step is over because this network runs now."""
        unit = self._unit
        if unit.optimizer_steps:
            return not (self._loader_driven and trains)
        return unit.evaluates and not self._loader_driven and unit.root == id(root)

    def _begin(self, how: str, *, heard: bool = True) -> None:
        """Finish the step under way and begin another, of which every op is heard or none yet."""
        unit = self._unit
        self._unit = Unit(how, Tape())
        try:
            if unit.busy:
                self._finish(unit)
        finally:
            if not self.recorder.active:
                self._context.markers.clear()  # the ends of those open now were not seen
            if heard:
                self.recorder.resume()
            else:
                self.recorder.pause()

    def _finish(self, unit: Unit) -> None:
        step = None
        if unit.tape is not None:
            step = assemble(unit.tape, unit.kind, self._names, self._optimizers)
        self.catalogue.add(unit, step)


def _batches_left(iterator: Any) -> int | None:
    """Return how many batches the iterator can give, counting the one it is asked for."""
    try:
        return len(iterator) - int(iterator._num_yielded)
    except (TypeError, AttributeError, NotImplementedError):
        return None
