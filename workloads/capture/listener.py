"""Listens to one thread of a run, and tells the cutter where its steps begin and end."""

import sys
from contextlib import suppress
from typing import Any

import torch

from workloads.capture import by_hand
from workloads.capture.calls import OpSignature, tensors_in
from workloads.capture.cutter import StepCutter
from workloads.capture.fingerprint import fingerprint, modes, rows_of, shapes_of
from workloads.capture.loader_passes import LoaderPasses, batches_left
from workloads.capture.names import ModuleNames
from workloads.capture.open_step import OpenStep
from workloads.capture.optimizers import Optimizers
from workloads.capture.policy import RecordingPolicy
from workloads.capture.recorder import OpRecorder
from workloads.capture.segments import Catalogue
from workloads.capture.spots import Context, in_backward
from workloads.capture.tails import tail_end
from workloads.capture.tape import Tape

_SETUP_OPS = 20_000


class ThreadListener:
    """Listens to one thread (see `events.Listener`); its steps go to `catalogue`.

    A step ends where a loader is asked for the next batch, unless gradients still accumulate;
    without a loader, after the optimizer and the ops that use its results.
    """

    def __init__(
        self,
        names: ModuleNames,
        optimizers: Optimizers,
        catalogue: Catalogue,
        policy: RecordingPolicy,
        timed: bool,
    ) -> None:
        """Follow the calling thread."""
        self.forced_eager = False
        self.compiled = False
        self.recorder = OpRecorder(self.log, timed=timed)
        self._timed = timed
        self._names = names
        self._optimizers = optimizers
        self._context = Context(names)
        self._passes = LoaderPasses(catalogue.passes)
        self._cutter = StepCutter(self._context, optimizers, catalogue, policy, self.recorder)
        self._replaces = False

    def close(self, failed: bool) -> None:
        """End the last step; if the run failed, it counts only if its optimizer stepped."""
        self._settle_update()
        step = self._cutter.step
        # Parameters whose data the program replaces are gone now, but they were there before.
        step.updated |= self._replaces and step.backward and step.pending
        step.last = True
        if not failed or step.updated:
            self._cutter.begin("stop")
        if not failed and self._cutter.step.functions:
            self._cutter.begin("stop")  # an evaluation by functions after the last step
        self.recorder.pause()

    def log(
        self,
        signature: OpSignature,
        args: tuple[Any, ...],
        keywords: dict[str, Any] | None,
        result: Any,
        measured_ns: int,
    ) -> None:
        """Append an op to the tape of the open step."""
        if signature.silent:
            if "_record_function" in signature.name:
                self._context.mark(signature.name, str(args[0]) if args else "")
            return
        step = self._cutter.step
        tape = step.tape
        if tape is None:
            return
        tape.append(signature, args, keywords, result, self._context.spot)
        if self._timed:
            tape.measured_ns.append(measured_ns)
        if signature.mutates and step.backward and not step.optimizers:
            if by_hand.writes(step, self._context.spots[self._context.spot]):
                self._updated(len(tape))
        elif len(tape) >= _SETUP_OPS and not step.busy:
            step.tape = self._cutter.new_tape()  # preparing data can take any number of ops

    # Modules

    def module_enter(self, module: torch.nn.Module, inputs: Any) -> None:
        """Enter a module; a network called from outside any other may begin a step."""
        if self._context.enter(module):
            self._network(module, inputs)
        layer = self._context.modules[-1][1] if self._context.modules else ""
        step = self._cutter.step
        step.signature = hash((step.signature, layer, shapes_of(inputs)))

    def module_leave(self, module: torch.nn.Module) -> None:
        """Leave a module."""
        self._context.leave(module)
        step = self._cutter.step
        if step.tape is not None and not self._context.modules:
            step.left = len(step.tape)

    def compiled_enter(self) -> None:
        """Enter a module that torch.compile wrapped."""
        self.compiled = True
        self._force_eager()

    def _network(self, root: torch.nn.Module, inputs: Any) -> None:
        self.compiled |= getattr(root, "_compiled_call_impl", None) is not None
        self._force_eager()
        trains = root.training and torch.is_grad_enabled()
        self._settle_update()
        if self._ends_before(root, trains):
            self._cutter.begin("after")
        step = self._cutter.step
        call = (self._context.modules[-1][1], fingerprint(inputs), modes(root))
        self._cutter.meet(call)
        if step.networks and step.tape and not self._passes.drives(step):
            self._part(step, step.tape, root)
        step.call(root, call, rows_of(inputs), trains=trains)
        step.method = self._names.method

    def _part(self, step: OpenStep, tape: Tape, root: torch.nn.Module) -> None:
        """Note where the open step might split, before another call of a network."""
        if step.evaluates:
            cuts = step.cuts
        elif id(root) in step.roots and not step.backward and not step.optimizers:
            cuts = step.repeats
        else:
            return
        begin = cuts[-1] if cuts else 0
        cuts.append(tail_end(tape, step.left, begin, self._context.spots)[0])

    def _ends_before(self, root: torch.nn.Module, trains: bool) -> bool:
        """Return whether the open step is over because this network runs now."""
        step = self._cutter.step
        driven = self._passes.drives(step)
        if step.updated:
            return not (driven and trains)
        return step.evaluates and not driven and id(root) in step.roots

    def _force_eager(self) -> None:
        """Run compiled code eagerly, as it is written: compiled, it hides its ops."""
        if not self.forced_eager and "torch._dynamo" in sys.modules:
            # Refused inside a network that was compiled in place; the next call tries again.
            with suppress(RuntimeError):
                torch.compiler.set_stance("force_eager")
                self.forced_eager = True

    # Backward passes and optimizers

    def backward_enter(self, create_graph: bool) -> None:
        """Enter a backward pass: gradients are pending until an optimizer uses them."""
        self._context.differentiate(create_graph)
        self._settle_update()
        step = self._cutter.step
        if step.ending and step.tape is not None and not in_backward():
            _, forward = tail_end(step.tape, step.end, 0, self._context.spots)
            if forward is not None:  # of a network without modules
                self._cutter.begin("after")
        step = self._cutter.step
        step.backward = step.pending = True
        self._force_eager()

    def gradients(self, inputs: Any, gradients: Any) -> None:
        """Mark gradients that a backward pass returned, perhaps for an update by hand."""
        tape = self._cutter.step.tape
        if tape is None or in_backward():
            return
        for leaf, gradient in zip(tensors_in(inputs), tensors_in(gradients), strict=False):
            wrapped = torch._C._functorch.is_functorch_wrapped_tensor(leaf)
            if leaf.is_leaf and not wrapped and self._names.of_parameter(leaf):
                tape.admit_leaf(leaf)
                tape.mark_gradient(gradient, self._names.of_parameter(leaf))

    def optimizer_enter(self, optimizer: torch.optim.Optimizer) -> None:
        """Enter an optimizer's step: its gradients are final."""
        self._optimizers.add(optimizer)
        step = self._cutter.step
        if step.tape is None:
            return
        marked = False
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                marked |= self._mark_gradients(step.tape, parameter)
        if marked and id(optimizer) not in step.optimizers:
            step.ending = False  # a second optimizer, for gradients of the same step

    def _mark_gradients(self, tape: Tape, parameter: torch.Tensor) -> bool:
        gradients = [g for g in tensors_in(parameter.grad) if tape.find(g) is not None]
        for gradient in gradients:
            tape.mark_gradient(gradient, self._names.of_parameter(parameter))
        return bool(gradients)

    def optimizer_leave(self, optimizer: torch.optim.Optimizer) -> None:
        """Leave an optimizer's step, which ends ours unless a loader drives it."""
        step = self._cutter.step
        step.optimizers.append(id(optimizer))
        self._updated(len(step.tape) if step.tape is not None else 0)
        if step.tape is not None or self._passes.drives(step):
            return
        if len(step.optimizers) >= self._cutter.catalogue.updates(step) and not in_backward():
            self._cutter.begin("after")

    def _updated(self, end: int) -> None:
        """Note that the calls before `end` updated parameters."""
        step = self._cutter.step
        step.updated = True
        step.pending = False
        if not self._passes.drives(step):
            step.ending, step.end = True, max(step.end, end)

    def _settle_update(self) -> None:
        """Find out whether the program has replaced the data of parameters since backward."""
        end = by_hand.replaces(self._cutter.step)
        if end is not None:
            self._replaces = True
            self._updated(end)

    # Loaders

    def batch_enter(self, iterator: Any) -> None:
        """Ask a loader for a batch: the step before is over, unless it accumulates gradients."""
        self._settle_update()
        step, left = self._cutter.step, batches_left(iterator)
        joined = self._passes.number_of(iterator) in step.passes
        waits = step.cause == "next" and not step.busy  # a second loader, or a batch skipped
        if not (step.pending and joined) and not waits:
            source = id(getattr(iterator, "_dataset", None)), left
            self._cutter.begin_batch(source, follows=joined and (left or 0) > 1)
        self._passes.join(self._cutter.step, iterator, left)
        self._context.load(+1)

    def batch_leave(self, iterator: Any, exhausted: bool) -> None:
        """Take the loader's answer; at its end the step is over, gradients pending or not."""
        self._context.load(-1)
        if exhausted:
            self._passes.exhaust(self._cutter.step, iterator)
            self._cutter.begin("stop")
