"""Follows a run: cuts it into steps as they happen and tells them apart by the work they do."""

import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch

from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import StepKind
from workloads.capture import by_hand
from workloads.capture.assemble import survey
from workloads.capture.calls import OpSignature, tensors_in
from workloads.capture.fingerprint import fingerprint, modes, rows_of, shapes_of
from workloads.capture.names import ModuleNames
from workloads.capture.open_step import LoaderPass, OpenStep
from workloads.capture.optimizers import Optimizers
from workloads.capture.policy import Detail, RecordingPolicy, is_cheap
from workloads.capture.recorder import OpRecorder
from workloads.capture.segments import Catalogue
from workloads.capture.spots import Context, in_backward
from workloads.capture.tails import evaluation_end, independent, tail_end
from workloads.capture.tape import Tape

_SETUP_OPS = 20_000


class ThreadListener:
    """Listens to one thread of a run (see `events.Listener`) and fills `catalogue` with its steps.

    A step ends where a loader is asked for the next batch, unless gradients are still being
    accumulated; without a loader, after the optimizer and what still uses its results.
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
        self.catalogue = catalogue
        self.forced_eager = False
        self.compiled = False
        self._names = names
        self._context = Context(names)
        self._optimizers = optimizers
        self._passes: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._policy = policy
        self._replaces = False
        self._sources: set[tuple[int, int | None]] = set()
        self._open = OpenStep("start", self._tape())
        self._timed = timed
        self.recorder = OpRecorder(self.log, timed=timed)

    def _tape(self) -> Tape:
        return Tape(self._names.of_parameter)

    def close(self, failed: bool) -> None:
        """End the last step; of a run that failed it counts only if its optimizer stepped."""
        self._settle_update()
        step = self._open
        # Parameters that got other data have died with the program: it did so before.
        step.updated |= self._replaces and step.backward and step.pending
        if not failed or step.updated:
            self._begin("stop")
        if not failed and self._open.functions:
            self._begin("stop")  # an evaluation by functions after the last step
        self.recorder.pause()

    # What the recorder sees

    def log(
        self,
        signature: OpSignature,
        args: tuple[Any, ...],
        keywords: dict[str, Any] | None,
        result: Any,
        measured_ns: int,
    ) -> None:
        """Write down an op of the step under way."""
        if signature.silent:
            if "_record_function" in signature.name:
                self._context.mark(signature.name, str(args[0]) if args else "")
            return
        step = self._open
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
            step.tape = self._tape()  # preparing data can take any number of ops

    # What happens in the run

    def module_enter(self, module: torch.nn.Module, inputs: Any) -> None:
        """A module starts; a network called from outside may begin a step."""
        if self._context.enter(module):
            self._network(module, inputs)
        layer = self._context.modules[-1][1] if self._context.modules else ""
        step = self._open
        step.signature = hash((step.signature, layer, shapes_of(inputs)))

    def module_leave(self, module: torch.nn.Module) -> None:
        """A module ends."""
        self._context.leave(module)
        step = self._open
        if step.tape is not None and not self._context.modules:
            step.left = len(step.tape)

    def backward_enter(self, create_graph: bool) -> None:
        """Gradients are pending until an optimizer uses them."""
        self._context.differentiate(create_graph)
        self._settle_update()
        step = self._open
        if step.ending and step.tape is not None and not in_backward():
            spots = self._context.spots
            _, forward = tail_end(step.tape, step.end, 0, spots)
            if forward is not None:  # of a network without modules
                self._begin("after")
        self._open.backward = self._open.pending = True
        self._force_eager()

    def gradients(self, inputs: Any, gradients: Any) -> None:
        """A backward pass has returned gradients of parameters, for an update by hand perhaps."""
        tape = self._open.tape
        if tape is None or in_backward():
            return
        for leaf, gradient in zip(tensors_in(inputs), tensors_in(gradients), strict=False):
            wrapped = torch._C._functorch.is_functorch_wrapped_tensor(leaf)
            if leaf.is_leaf and not wrapped and self._names.of_parameter(leaf):
                tape.admit_leaf(leaf)
                tape.mark_gradient(gradient, self._names.of_parameter(leaf))

    def optimizer_enter(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer starts: it and its gradients are known from here on."""
        self._optimizers.add(optimizer)
        step = self._open
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
        """An optimizer has stepped, which ends a step unless a loader says when."""
        step = self._open
        step.optimizers.append(id(optimizer))
        self._updated(len(step.tape) if step.tape is not None else 0)
        if step.tape is not None or self._loader_driven:
            return
        if len(step.optimizers) >= self.catalogue.updates(step) and not in_backward():
            self._begin("after")

    def _updated(self, end: int) -> None:
        """Parameters were updated, up to the call before `end`."""
        step = self._open
        step.updated = True
        step.pending = False
        if not self._loader_driven:
            step.ending, step.end = True, max(step.end, end)

    def _settle_update(self) -> None:
        """Find out now whether parameters were given other data since backward."""
        end = by_hand.replaces(self._open)
        if end is not None:
            self._replaces = True
            self._updated(end)

    def batch_enter(self, iterator: Any) -> None:
        """A loader is asked for a batch: the step before is over."""
        self._settle_update()
        step = self._open
        number = self._passes.get(iterator)
        continues = step.pending and number in step.passes
        waits = step.cause == "next" and not step.busy  # a second loader, or a batch skipped
        left = _batches_left(iterator)
        if not (continues or waits):
            source = id(getattr(iterator, "_dataset", None)), left
            # The first batch of another data set and the last of a pass may be of a new size.
            follows = number in step.passes and (left or 0) > 1
            self._begin("next", familiar=follows or source in self._sources)
            self._open.source = source
        self._join_pass(iterator, number, left)
        self._context.load(+1)

    def _join_pass(self, iterator: Any, number: int | None, left: int | None) -> None:
        if number is None:
            if not self._open.busy:
                self._open.passes.clear()  # a loop that broke off asked for nothing more
            number = self._passes[iterator] = len(self.catalogue.passes)
            self.catalogue.passes.append(LoaderPass(length=left))
        self.catalogue.passes[number].batches += 1
        self._open.passes.add(number)
        self._open.batches += 1

    def batch_leave(self, iterator: Any, exhausted: bool) -> None:
        """The loader has answered; at its end the step is over, gradients pending or not."""
        self._context.load(-1)
        if exhausted:
            self._open.batches -= 1
            number = self._passes.pop(iterator, None)
            if number is not None:
                finished = self.catalogue.passes[number]
                finished.batches, finished.exhausted = finished.batches - 1, True
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
        return any(number in self._open.passes for number in self._passes.values())

    def _network(self, root: torch.nn.Module, inputs: Any) -> None:
        self.compiled |= getattr(root, "_compiled_call_impl", None) is not None
        self._force_eager()
        trains = root.training and torch.is_grad_enabled()
        self._settle_update()
        if self._ends_before(root, trains):
            self._begin("after")
        step = self._open
        call = (self._context.modules[-1][1], fingerprint(inputs), modes(root))
        self._meet(step, call)
        if step.networks and step.evaluates and step.tape and not self._loader_driven:
            begin = step.cuts[-1] if step.cuts else 0
            step.cuts.append(tail_end(step.tape, step.left, begin, self._context.spots)[0])
        if not step.networks:
            step.first_rows = rows_of(inputs)
        if trains or not step.networks:
            step.rows = step.rows if step.trains else rows_of(inputs)
        step.networks += 1
        step.signature = hash((step.signature, call))
        step.roots.add(id(root))
        step.trains |= trains
        step.method = self._names.method

    def _meet(self, step: OpenStep, call: Any) -> None:
        """Take in a call of a network: one that nobody knows at this place is looked at."""
        step.path = hash((step.path, call))
        step.prefixes.append(step.path)
        new = step.path not in self.catalogue.paths
        if step.tape is None and new:
            step.tape = self._tape()
            self.catalogue.late += bool(step.networks)  # what its networks did before is missing
            self._policy.doubt()
            self.recorder.resume()
        if step.cause == "start" and not step.networks and step.tape is not None:
            step.tape = self._without_setup(step.tape)
            step.partial = not new

    def _without_setup(self, tape: Tape) -> Tape:
        """Drop what ran before the first step: building the model, loading the data."""
        spots = self._context.spots
        calls = [
            call
            for call, record in enumerate(tape.records())
            if spots[record.spot].loading or spots[record.spot].outside is Phase.ZERO_GRAD
        ]
        return tape.select(calls)

    def _ends_before(self, root: torch.nn.Module, trains: bool) -> bool:
        """Return whether the step is over because this network runs now."""
        step = self._open
        if step.updated:
            return not (self._loader_driven and trains)
        return step.evaluates and not self._loader_driven and id(root) in step.roots

    def _begin(self, how: str, *, familiar: bool = True) -> None:
        """Finish the step under way and begin another, which is looked at unless `familiar`."""
        step, rest = self._open, None
        functions = False
        if step.ending and step.tape is not None and how != "next":
            end, network = tail_end(step.tape, step.end, 0, self._context.spots)
            functions = network is not None and network.signature.kind is OpKind.GEMM
            rest = step.tape.cut(end)
        self._open = OpenStep(how, None, functions=functions)
        try:
            if step.busy:
                self._finish(step)
        finally:
            look = self._policy.next()
            self._look(self._open, rest, look if familiar else Detail.WHOLE)

    def _look(self, step: OpenStep, rest: Tape | None, look: Detail) -> None:
        if not self.recorder.active:
            self._context.forget_markers()  # the ends of those open now were not seen
        if look is Detail.NONE:
            self.recorder.pause()
            return
        step.tape = self._tape() if rest is None else rest
        step.partial = look is Detail.RUN_UP
        self.recorder.resume()

    def _finish(self, step: OpenStep) -> None:
        steps = None
        if step.tape is not None and not (step.partial and step.path in self.catalogue.paths):
            steps = tuple(self._steps(step, step.tape))
            self.catalogue.walk(step)
        expected = self.catalogue.add(step, steps)
        self.catalogue.unseen += steps is None and step.cause != "start"
        if expected and step.batches:
            self._sources.add(step.source)
        if steps is None and not expected:
            self._policy.doubt()
        elif steps is not None:
            # An update by hand is not heard of unless its ops are looked at.
            by_hand = step.updated and not step.optimizers
            self._policy.saw(expected and not by_hand, lambda: self._are_cheap(steps))

    def _steps(self, step: OpenStep, tape: Tape) -> Iterator[int]:
        """Yield the distinct steps of a unit: evaluations that nothing uses, then the rest."""
        done = 0
        cuts = step.cuts
        if not step.networks and step.updated:
            cuts = [evaluation_end(tape, self._context.spots)]
        for cut in cuts:
            if cut > done and independent(tape, cut - done):
                tape, head = tape.cut(cut - done), tape
                yield self._step(head, StepKind.EVAL)
                done = cut
        yield self._step(tape, step.kind)

    def _step(self, tape: Tape, kind: StepKind) -> int:
        index = self.catalogue.knows(tape, kind)
        if index is None:
            self._names.refresh()
            owned = survey(tape, self._names, self._optimizers)
            index = self.catalogue.admit(tape, kind, self._context.spots, owned)
        self.catalogue.time(index, tape.measured_ns)
        return index

    def _are_cheap(self, steps: tuple[int, ...]) -> bool:
        return all(is_cheap(self.catalogue.step(index)) for index in steps)


def _batches_left(iterator: Any) -> int | None:
    """Return how many batches the iterator can give, counting the one it is asked for."""
    try:
        return len(iterator) - int(iterator._num_yielded)
    except (TypeError, AttributeError, NotImplementedError):
        return None
