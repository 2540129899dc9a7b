"""Cuts the run of a thread into steps, and files each by the work that it does."""

from collections.abc import Iterator
from typing import Any

from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import StepKind
from workloads.capture.assemble import survey
from workloads.capture.carried import CarriedStorages
from workloads.capture.names import ModuleNames
from workloads.capture.open_step import OpenStep
from workloads.capture.optimizers import Optimizers
from workloads.capture.policy import Detail, RecordingPolicy, is_cheap
from workloads.capture.recorder import OpRecorder
from workloads.capture.segments import Catalogue
from workloads.capture.spots import Context
from workloads.capture.tails import evaluation_end, independent, parted, tail_end
from workloads.capture.tape import Tape
from workloads.capture.tape_split import cut, select


class StepCutter:
    """Holds the open `step` of a thread; its calls go to `log`, finished steps to `catalogue`."""

    def __init__(
        self,
        context: Context,
        optimizers: Optimizers,
        catalogue: Catalogue,
        policy: RecordingPolicy,
        recorder: OpRecorder,
    ) -> None:
        """Open the first step."""
        self.catalogue = catalogue
        self.recorder = recorder
        self._context = context
        self._names: ModuleNames = context.names
        self._optimizers = optimizers
        self._policy = policy
        self._sources: set[tuple[int, int | None]] = set()
        self._carried = CarriedStorages()
        self._evaluation = 0  # the distinct step of the latest one, once there is one
        self.step = OpenStep("start", self.new_tape())

    def new_tape(self) -> Tape:
        """Return an empty tape."""
        return Tape(self._names.of_parameter)

    def begin(self, cause: str, *, familiar: bool = True) -> None:
        """Finish the open step and open another, recorded in any case unless `familiar`."""
        step, rest = self.step, None
        functions = False
        if step.ending and step.tape is not None and cause != "next":
            end, network = tail_end(step.tape, step.end, 0, self._context.spots)
            functions = network is not None and network.signature.kind is OpKind.GEMM
            rest = cut(step.tape, end)
        self.step = OpenStep(cause, None, functions=functions)
        try:
            if step.busy:
                self._finish(step)
        finally:
            detail = self._policy.next()
            self._record(rest, detail if familiar else Detail.WHOLE)

    def begin_batch(self, source: tuple[int, int | None], *, follows: bool) -> None:
        """Open a step that loads a batch: `source` is its data set, and how many are left.

        The first batch of another data set and the last one of a pass may have a new size.
        """
        self.begin("next", familiar=follows or source in self._sources)
        self.step.source = source

    def meet(self, call: Any) -> None:
        """Take in a call of a network; record the step if no step had this call at this place."""
        step = self.step
        step.path = hash((step.path, call))
        step.prefixes.append(step.path)
        new = step.path not in self.catalogue.paths
        if step.tape is None and new:
            step.tape = self.new_tape()
            self.catalogue.late += bool(step.networks)  # its earlier networks are not recorded
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
        return select(tape, calls)

    def _record(self, rest: Tape | None, detail: Detail) -> None:
        """Record the open step from here on, in this detail; `rest` has its first calls."""
        if not self.recorder.active:
            self._context.forget_markers()  # the recorder missed the ends of those open now
        if detail is Detail.NONE:
            self.recorder.pause()
            return
        self.step.tape = self.new_tape() if rest is None else rest
        self.step.partial = detail is Detail.RUN_UP
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
            # Only recorded ops show an update by hand, so such steps stay recorded.
            by_hand = step.updated and not step.optimizers
            self._policy.saw(expected and not by_hand, lambda: self._are_cheap(steps))

    def _steps(self, step: OpenStep, tape: Tape) -> Iterator[int]:
        """Yield the distinct steps in an open one: evaluations that nothing uses, then the rest."""
        learns = self.catalogue.learns or step.backward
        if step.last and step.kind is StepKind.OTHER and not learns:
            yield from (self._file(each, StepKind.EVAL) for each in parted(tape, step.repeats))
            return
        done = 0
        cuts = step.cuts
        if not step.networks and step.updated:
            cuts = [evaluation_end(tape, self._context.spots)]
        for end in cuts:
            if end > done and independent(tape, end - done):
                tape, head = cut(tape, end - done), tape
                yield self._file(head, StepKind.EVAL)
                done = end
        yield self._file(tape, step.kind)

    def _file(self, tape: Tape, kind: StepKind) -> int:
        """Return the number of the distinct step on a tape, a new one if none did this work."""
        index = self.catalogue.knows(tape, kind)
        if index is None:
            self._names.refresh()
            owned = survey(tape, self._names, self._optimizers)
            index = self.catalogue.admit(tape, kind, self._context.spots, owned)
        self._carry(tape, kind, index)
        self.catalogue.time(index, tape.measured_ns)
        return index

    def _carry(self, tape: Tape, kind: StepKind, index: int) -> None:
        """Note what an evaluation got from the one before; training is of no interest."""
        if self.catalogue.learns or kind is not StepKind.EVAL:
            self._carried.forget()
            return
        shared, distinct = self._carried.follow(tape), self.catalogue.distinct
        distinct[index].carried |= shared.keys()
        distinct[self._evaluation].carried |= set(shared.values())
        self._evaluation = index

    def _are_cheap(self, steps: tuple[int, ...]) -> bool:
        return all(is_cheap(self.catalogue.step(index)) for index in steps)
