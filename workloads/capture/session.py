"""The entry point for programs and notebooks: `with capture(model, optimizer) as recording:`."""

import os
from contextlib import ExitStack, nullcontext
from types import TracebackType
from typing import Any, Self

import torch
from torch._guards import active_fake_mode

from simulator.errors import InputError
from simulator.trace.storage import save_trace
from simulator.trace.trace import Trace
from workloads.capture.events import listening
from workloads.capture.fake import Fakes
from workloads.capture.finished import FinishedRun, finish
from workloads.capture.memory import settle_heap
from workloads.capture.names import ModuleNames, unwrap
from workloads.capture.threads import Threads

_running: "list[Recording]" = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)


def note(name: str, value: float) -> None:
    """Add a value to the trace that is being captured, such as the accuracy after an epoch.

    The trace's origin has all values of a name, in order. Without a capture nothing happens.
    """
    for recording in _running:
        recording.notes.setdefault(name, []).append(value)


def capturing() -> bool:
    """Return whether a recording is running in this process."""
    return bool(_running)


def capture(
    model: torch.nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    steps: int | None = None,
    name: str = "",
    time: bool = False,
    fake: bool = False,
    inputs: Any = None,
) -> "Recording":
    """Record the training or inference inside a `with` block, without changing it.

    With `inputs`, a tensor or the arguments of `model` as a tuple or a dict, there is no block: the
    recording is one evaluation of them, without gradients, in evaluation mode.

    Steps are recorded op by op, and each distinct one is kept once. If recording takes long beside
    the work (tiny layers), after `steps` similar ones in a row (default 32) only every eighth is
    recorded until one differs; `origin["looked_at"]` has how many were. Without `model`, every
    network that is called counts; with it, other networks are part of the loss. With `time` the
    trace has the duration of each op, the median over the first `steps` (default 20); later steps
    are not recorded, and their whole duration is measured.

    With `fake` large networks have shapes but no values, and take next to no time and memory; their
    parameters may be on the meta device. A number that the program reads from a result is 1:
    branches that depend on one are noted, and loops that might not end raise InputError. Small
    networks run for real, which is faster (see `budget`; PARAMETERS = 0 makes all fake). After the
    block network, optimizer and random numbers are restored bit for bit.
    """
    if fake and time:
        raise InputError("capture with fake computes nothing, so there is no time to measure")
    steps = (20 if time else 32) if steps is None else steps
    if steps < 1:
        raise InputError(f"capture needs steps of at least 1, not {steps}")
    fakes = Fakes(model, optimizer, keep=True) if fake else None
    recording = Recording(model, optimizer, steps, name, time=time, fakes=fakes)
    if inputs is not None:
        _evaluate(recording, model, inputs)
    return recording


def _evaluate(recording: "Recording", model: torch.nn.Module | None, inputs: Any) -> None:
    """Record one evaluation of `model`, which is left in the mode that it was in."""
    if model is None:
        raise InputError("capture with inputs needs the model that takes them")
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with recording, torch.no_grad():
            _call(model, inputs)
    finally:
        for module, training in modes.items():
            module.training = training


def _call(model: torch.nn.Module, inputs: Any) -> None:
    if isinstance(inputs, dict):
        model(**inputs)
    else:
        model(*inputs if isinstance(inputs, tuple) else (inputs,))


class Recording:
    """A run being recorded; after the `with` block, `trace` is its trace."""

    def __init__(
        self,
        model: torch.nn.Module | None,
        optimizer: torch.optim.Optimizer | None,
        steps: int,
        name: str,
        *,
        time: bool = False,
        fakes: Fakes | None = None,
    ) -> None:
        """Prepare a recording; use `capture` to get one."""
        self._names = ModuleNames(unwrap(model) if model is not None else None)
        around = fakes.in_thread if fakes else nullcontext
        optimizers = [optimizer] if optimizer else []
        self._threads = Threads(self._names, optimizers, steps, timed=time, around=around)
        self.name = name
        self._time = time
        self._fakes = fakes
        self.gives_way = False  # whether another recording may end this one
        self.notes: dict[str, list[float]] = {}
        self._stack = ExitStack()
        self._trace: Trace | None = None
        self._done = False

    def __enter__(self) -> Self:
        """Start to record; only one recording can run at a time."""
        if self._time:
            settle_heap()
        for other in list(_running):
            if not other.gives_way:
                raise InputError("a capture is running already: end it before starting another")
            other.__exit__(None, None, None)
        _running.append(self)
        with ExitStack() as stack:
            stack.callback(_running.clear)
            stack.callback(self._allow_compiling)
            stack.enter_context(listening(self._threads))
            if self._fakes:  # after the listener, which ends a step before tensors are swapped
                stack.enter_context(self._fakes)
            stack.enter_context(self._threads.following())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop recording; completed steps are kept even if the block failed."""
        try:
            self._threads.close(failed=not _ends_well(error))
        finally:
            self._stack.close()
            self._done = True
        if kind is None and self._fakes:
            self._fakes.check()
        self._trace = self._build()

    @property
    def trace(self) -> Trace:
        """The trace of the block; raises InputError if it ran no step or has not ended."""
        if not self._done:
            raise InputError("the trace is complete only after the capture block has ended")
        if self._trace is None:
            raise InputError(
                "nothing was captured: the block ran no network and no optimizer, "
                "neither in this thread nor in one that it started"
            )
        return self._trace

    def __getattr__(self, name: str) -> Any:
        """Forward to the trace: `recording.steps`, `recording.flops_by_phase()`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.trace, name)

    @property
    def at_work(self) -> bool:
        """Whether the calling thread is logging right now, and must not be interrupted."""
        return self._threads.at_work

    def cut(self) -> Trace | None:
        """Stop recording; return the trace of the steps completed so far, None without any.

        Any thread may call this in the middle of the block; the rest of the block is not recorded.
        """
        if not self._done:
            self._threads.close(failed=True)
            self._done = True
            self._trace = self._build()
        return self._trace

    def wait(self) -> None:
        """Wait for the threads of the block that Python would wait for at its end."""
        self._threads.wait()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to a file; raises InputError if that fails."""
        save_trace(self.trace, path)

    def _allow_compiling(self) -> None:
        if self._threads.forced_eager:
            torch.compiler.set_stance("default")

    def _build(self) -> Trace | None:
        finished = finish(self._threads.catalogue)
        if not finished.steps:
            return None
        imagined = self._fakes.imagined if self._fakes else active_fake_mode()
        mode = "shapes only" if imagined else "real"
        origin = {"tool": "trainsoc capture", "torch": str(torch.__version__), "mode": mode}
        origin |= self._doubts(finished)
        if self._threads.compiled:
            origin["compiled"] = "run as written, without torch.compile"
        origin |= self._fakes.notes if self._fakes else {}
        origin |= {key: " ".join(f"{v:.6g}" for v in each) for key, each in self.notes.items()}
        name = self.name or self._names.title or "training"
        timings = finished.timings() if self._time and mode == "real" else ()
        return Trace(name, finished.steps, finished.segments(), origin, timings, finished.methods)

    def _doubts(self, finished: FinishedRun) -> dict[str, str]:
        """Return notes for the origin on what is not known exactly."""
        counts = {
            "approximated_steps": finished.approximated,
            "lost_ops": self._threads.lost,
            "faults": self._threads.faults,
        }
        doubts = {key: str(count) for key, count in counts.items() if count}
        catalogue = finished.catalogue
        if catalogue.unseen:
            seen = catalogue.step_count - catalogue.unseen
            doubts["looked_at"] = f"{seen} of {catalogue.step_count} steps"
        unmodelled = finished.unmodelled()
        if unmodelled:
            doubts["unmodelled"] = ", ".join(f"{n} {name}" for name, n in unmodelled.items())
        return doubts


def _ends_well(error: BaseException | None) -> bool:
    """Return whether a block ran to its end, or left by sys.exit without an error."""
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
