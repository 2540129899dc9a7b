"""The dispatch mode that sees every op of a run and drafts it; it changes nothing of the run."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
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

from simulator.trace.op import Gemm, OpKind, Phase, Role, Tensor
from workloads.capture.attribution import Context, Place, own
from workloads.capture.calls import Call, Use, bind
from workloads.capture.gemms import Product, products
from workloads.capture.kinds import GATHERS
from workloads.capture.tape import Draft, Tape

_SILENT = frozenset({"profiler", "prim"})
_ROLES = {
    Phase.FORWARD: Role.FORWARD,
    Phase.LOSS: Role.FORWARD,
    Phase.RECOMPUTE: Role.FORWARD,
    Phase.EVAL: Role.FORWARD,
}


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
    return isinstance(func, OpOverload) and _dispatch_has_kernel_for_dispatch_key(
        func.name(),  # type: ignore[no-untyped-call]
        "CompositeImplicitAutograd",
    )


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
    described = [(use, _describe(tape, use.tensor)) for use in call.uses]
    known = [(use, tensor) for use, tensor in described if tensor is not None]
    results = [tensor for r in call.results if (tensor := _describe(tape, r)) is not None]
    held = frozenset(tensor.storage for _, tensor in known)
    touched = held | {tensor.storage for tensor in results}
    place = context.place(call, tape, touched)
    mutated = [tensor for use, tensor in known if use.written]
    fresh = [tensor for tensor in results if tensor.storage not in held]
    kind = _kind(call, mutated, fresh)
    if kind is OpKind.VIEW:
        inputs, outputs = [tensor for _, tensor in known], results
    else:
        inputs = [_window(call, use, tensor) for use, tensor in known if use.read]
        outputs = mutated + fresh
    reads, writes = _distinct(inputs), _distinct(outputs)
    operands = _Operands({use.argument: tensor for use, tensor in known}, reads, writes, results)
    gemms, weights = _gemms(call, operands, place, tape)
    phase = _phase_of_gemms(place, gemms)
    entry = Draft(
        str(call.func), kind, phase, place.layer, reads, writes, gemms, place.forward,
        call.random, touched, place.parameter is not None, weights,
    )  # fmt: skip
    tape.drafts.append(entry)
    _follow(entry, place, tape)
    return entry


def _describe(tape: Tape, tensor: torch.Tensor) -> Tensor | None:
    try:
        return tape.describe(tensor)
    except (NotImplementedError, RuntimeError, TypeError):
        return None  # sparse and opaque layouts have no storage to name


def _kind(call: Call, mutated: list[Tensor], fresh: list[Tensor]) -> OpKind:
    moves_nothing = not mutated and not fresh and call.kind is not OpKind.SYNC
    if moves_nothing and (call.results or call.kind is OpKind.OTHER):
        return OpKind.VIEW
    return call.kind


def _window(call: Call, use: Use, tensor: Tensor) -> Tensor:
    """Return what a gather reads of a table: as many elements as it returns, not all of it."""
    if GATHERS.get(call.name) != use.argument or not call.results:
        return tensor
    count = int(call.results[0].numel())
    if count >= tensor.elements:
        return tensor
    return Tensor(tensor.storage, tensor.dtype, (count,), (1,), tensor.offset)


def _distinct(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    return tuple(dict.fromkeys(tensors))


@dataclass(frozen=True, slots=True)
class _Operands:
    """The tensors of a call by argument, and the op's inputs, outputs and results in order."""

    named: dict[str, Tensor]
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    results: list[Tensor]


def _gemms(
    call: Call, operands: _Operands, place: Place, tape: Tape
) -> tuple[tuple[Gemm, ...], int]:
    found = products(call.name, call.args)
    if not found:
        return (), 0
    named = operands.named
    names = [name for product in found for name in (product.a, product.b) if name in named]
    weights = sum(named[name].storage in tape.derived for name in names)
    role = _role(place, weights)
    return tuple(_gemm(product, role, operands) for product in found), weights


def _gemm(product: Product, role: Role, operands: _Operands) -> Gemm:
    result = operands.results[product.c] if 0 <= product.c < len(operands.results) else None
    return Gemm(
        product.role or role,
        product.batch,
        product.m,
        product.n,
        product.k,
        _position(operands.reads, operands.named.get(product.a)),
        _position(operands.reads, operands.named.get(product.b)),
        _position(operands.writes, result),
        product.conv,
    )


def _position(tensors: tuple[Tensor, ...], tensor: Tensor | None) -> int:
    return tensors.index(tensor) if tensor in tensors else -1


def _role(place: Place, weights: int) -> Role:
    """Return the role of a plain product.

    In backward it follows from the forward product: reading its weight gives the gradient of the
    data, not reading it the weight's own; a product of two weights has only weight gradients.
    """
    if place.phase is not Phase.DGRAD:
        return _ROLES.get(place.phase, Role.OTHER)
    forward = place.forward.weights if place.forward else 0
    if forward == 2 or (forward == 1 and not weights):
        return Role.WGRAD
    return Role.DGRAD


def _phase_of_gemms(place: Place, gemms: tuple[Gemm, ...]) -> Phase:
    if place.phase is Phase.DGRAD and gemms and all(g.role is Role.WGRAD for g in gemms):
        return Phase.WGRAD
    return place.phase


def _follow(entry: Draft, place: Place, tape: Tape) -> None:
    """Carry on what later ops ask for: producers, parameter-derived values, gradients, owners."""
    written = {tensor.storage for tensor in entry.outputs}
    if entry.kind is not OpKind.VIEW:
        tape.producer.update(dict.fromkeys(written, entry.phase))
    if place.parameter is not None:
        for storage in written:
            tape.gradients.setdefault(storage, place.parameter)
    elif entry.phase in _ROLES:
        _derive(entry, written, tape)
        own(tape, entry)
    else:
        own(tape, entry)


def _derive(entry: Draft, written: set[int], tape: Tape) -> None:
    """A value computed from parameters alone (a cast, a fake quantisation) is a parameter still."""
    read = {tensor.storage for tensor in entry.inputs}
    computed = entry.kind is not OpKind.VIEW and not entry.random
    if computed and read & tape.derived and read <= tape.derived | tape.constants:
        tape.derived |= written
