"""The dispatch mode that sees every op of a run and drafts it; it changes nothing of the run."""

import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from threading import RLock
from types import FrameType
from typing import Any

import torch
from torch._C import _dispatch_has_kernel_for_dispatch_key, _len_torch_dispatch_stack
from torch._ops import OpOverload
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    _get_current_dispatch_mode_stack,
)

from simulator.trace.drafts import Draft, derives
from simulator.trace.effect import (
    FORWARDS,
    Effect,
    Touch,
    bound,
    effect,
    phase_by_gemms,
    role_of,
    weights_among,
)
from simulator.trace.gemms import products
from simulator.trace.op import Gemm, OpKind, Tensor
from workloads.capture.attribution import Context, Place, own
from workloads.capture.calls import Call, bind
from workloads.capture.tape import Tape

_SILENT = frozenset({"profiler", "prim"})


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Appends a draft of every op to the tape that `tape_for` hands it (None: not recorded).

    Whatever goes wrong while drafting is counted in `lost` and never reaches the program.
    """

    supports_higher_order_operators = True

    def __init__(
        self, context: Context, tape_for: Callable[[Call], Tape | None], lock: RLock
    ) -> None:
        """Make a recorder that is off the stack until it is started."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.lost = 0
        self.active = False
        self._context = context
        self._tape_for = tape_for
        self._depth = 0
        self._drafting = False
        self._lock = lock
        self._thread = 0

    def start(self) -> None:
        """Put the mode on the stack of the calling thread, the only one that it records."""
        self._thread = threading.get_ident()
        self._depth = _len_torch_dispatch_stack()
        self.resume()

    def resume(self) -> None:
        """Record from here on."""
        self.active = True
        # Modes of the program that came since would be closed in the wrong order above ours.
        free = self._here and _len_torch_dispatch_stack() == self._depth and not _inside_compiled()
        # While an op is drafted the mode is off the stack, but comes back by itself.
        if free and not self._on_stack and not self._drafting:
            self.__enter__()  # type: ignore[no-untyped-call]

    def pause(self) -> None:
        """Let ops pass, off the stack if possible: that costs the program nothing at all."""
        self.active = False
        top = self._here and _get_current_dispatch_mode() is self
        if top and not _inside_compiled():
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def abandon(self, lock: RLock) -> None:
        """Record nothing more, in a copy of the process, where only `lock` is sure to be free."""
        self.active = False
        self._lock = lock

    @property
    def _here(self) -> bool:
        return threading.get_ident() == self._thread

    @property
    def _on_stack(self) -> bool:
        return any(mode is self for mode in _get_current_dispatch_mode_stack())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the op, then draft it; an op made of others, seen in inference mode, as those."""
        if self.active and _is_composite(func):
            with self:
                return func.decompose(*args, **(kwargs or {}))
        start = time.perf_counter_ns()
        result = func(*args, **(kwargs or {}))
        if self.active:
            measured_ns = time.perf_counter_ns() - start
            self._drafting = True
            try:
                with self._lock:
                    self._see(bind(func, args, kwargs or {}, result), measured_ns)
            except Exception:
                self.lost += 1
            finally:
                self._drafting = False
        return result

    def _see(self, call: Call, measured_ns: int) -> None:
        if getattr(call.func, "namespace", "") in _SILENT:
            if call.name.startswith("_record_function"):
                self._context.mark(call)
            return
        tape = self._tape_for(call)
        if tape is not None:
            draft(call, tape, self._context).measured_ns = measured_ns


@lru_cache(maxsize=4096)
def _is_composite(func: Any) -> bool:
    # What is "prim", such as the device of a fake tensor, is not known to the dispatcher, and an
    # exception in its handler ends the process.
    if not isinstance(func, OpOverload) or func.namespace == "prim":
        return False
    name = func.name()  # type: ignore[no-untyped-call]
    return _dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")


def _inside_compiled() -> bool:
    """Tell whether a wrapper of torch.compile runs: it restores the dispatch keys it found."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "compile_wrapper":
            return True
        frame = frame.f_back
    return False


def draft(call: Call, tape: Tape, context: Context) -> Draft:
    """Append a call to the tape with all that is known of it now, and return its draft."""
    touches = [
        Touch(use.argument, tensor, use.read, use.written)
        for use in call.uses
        if (tensor := _describe(tape, use.tensor)) is not None
    ]
    results = [tensor for r in call.results if (tensor := _describe(tape, r)) is not None]
    done = effect(call.name, call.kind, touches, results)
    place = context.place(call, tape, done.touched)
    gemms, weights = _gemms(call, done, place, tape)
    phase = phase_by_gemms(place.phase, gemms)
    entry = Draft(
        call.full_name, done.kind, phase, place.layer, done.reads, done.writes, gemms,
        place.forward, call.random, done.touched, place.parameter is not None, weights,
    )  # fmt: skip
    tape.drafts.append(entry)
    _follow(entry, place, tape)
    return entry


def _describe(tape: Tape, tensor: torch.Tensor) -> Tensor | None:
    try:
        return tape.describe(tensor)
    except (NotImplementedError, RuntimeError, TypeError):
        return None  # sparse and opaque layouts have no storage to name


def _gemms(call: Call, done: Effect, place: Place, tape: Tape) -> tuple[tuple[Gemm, ...], int]:
    found = products(call.name, call.args)
    if not found:
        return (), 0
    weights = weights_among(found, done, tape.derived)
    role = role_of(place.phase, weights, place.forward.weights if place.forward else 0)
    return tuple(bound(product, role, done) for product in found), weights


def _follow(entry: Draft, place: Place, tape: Tape) -> None:
    """Carry on what later ops ask for: producers, parameter-derived values, gradients, owners."""
    written = {tensor.storage for tensor in entry.outputs}
    if entry.kind is not OpKind.VIEW:
        tape.producer.update(dict.fromkeys(written, entry.phase))
    if place.parameter is not None:
        for storage in written:
            tape.gradients.setdefault(storage, place.parameter)
    elif entry.phase in FORWARDS:
        if _is_number(entry):  # such as the flag that a fake quantisation makes for itself
            tape.constants |= written
        if derives(entry, tape.derived, tape.constants):
            tape.derived |= written
        own(tape, entry)
    else:
        own(tape, entry)


def _is_number(entry: Draft) -> bool:
    """Tell whether an op makes single numbers of nothing: they may go into what weights become."""
    made = not entry.inputs and bool(entry.outputs) and entry.kind is OpKind.COPY
    return made and all(tensor.elements == 1 for tensor in entry.outputs)
