"""The dispatch mode that sees every op of a run and logs it, without changing the run."""

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch._C import _len_torch_dispatch_stack
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    _get_current_dispatch_mode_stack,
)

from simulator.memo import remember
from workloads.capture.calls import OpSignature, _signatures, signature_of

_SETTLING = 100  # naps of half a millisecond: far longer than logging an op
Log = Callable[[OpSignature, tuple[Any, ...], dict[str, Any] | None, Any, int], None]


class OpRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Passes every op with its result to `log`, and its duration if `timed`.

    Exceptions in `log` are counted in `lost` and never reach the program.
    """

    supports_higher_order_operators = True

    def __init__(self, log: Log, *, timed: bool = False) -> None:
        """Create a recorder that is off the stack until it starts."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.lost = 0
        self.active = False
        self._log = log
        self._timed = timed
        self._depth = 0
        self.logging = False
        self._thread = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise every op passes through torch._dynamo, which takes longer than the rest.
        # Nothing compiles here: code that torch.compile wrapped runs eagerly.
        return False

    def start(self) -> None:
        """Push the mode on the stack of the calling thread, the only one that it records."""
        self._thread = threading.get_ident()
        self._depth = _len_torch_dispatch_stack()
        self.resume()

    def resume(self) -> None:
        """Record from here on."""
        self.active = True
        # Modes that the program pushed since would be popped in the wrong order.
        free = self._here and _len_torch_dispatch_stack() == self._depth and not _inside_compiled()
        # While it logs an op the mode is off the stack, and returns by itself.
        if free and not self._on_stack and not self.logging:
            self.__enter__()  # type: ignore[no-untyped-call]

    def pause(self) -> None:
        """Stop recording; off the stack, if possible, the mode costs the program nothing."""
        self.active = False
        top = self._here and _get_current_dispatch_mode() is self
        if top and not _inside_compiled():
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def settle(self) -> None:
        """Stop recording, from another thread: wait for the op that is being logged."""
        self.active = False
        for _ in range(_SETTLING):
            if not self.logging:
                return
            time.sleep(0.0005)

    def abandon(self) -> None:
        """Stop recording, in a fork of the process."""
        self.active = False

    @property
    def _here(self) -> bool:
        return threading.get_ident() == self._thread

    @property
    def _on_stack(self) -> bool:
        return any(mode is self for mode in _get_current_dispatch_mode_stack())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the op, then log it; a composite op in inference mode is logged as its parts.

        A tensor subclass (nested, quantised, distributed) runs its op as ops on plain tensors:
        those are logged.
        """
        if not self.active:
            return func(*args, **kwargs) if kwargs else func(*args)
        if types and any(map(_runs_itself, types)):
            return NotImplemented
        signature = _signatures.get(id(func)) or signature_of(func)
        if signature.composite and not any(getattr(arg, "is_nested", False) for arg in args):
            with self:
                return func.decompose(*args, **(kwargs or {}))
        start = time.perf_counter_ns() if self._timed else 0
        run = signature.run
        result = run(*args, **kwargs) if kwargs else run(*args)
        took_ns = time.perf_counter_ns() - start if self._timed else 0
        self.logging = True
        try:
            self._log(signature, args, kwargs, result, took_ns)
        except Exception:
            self.lost += 1
        finally:
            self.logging = False
        return result


@remember("classes of tensors", most=1024)
def _runs_itself(kind: type[Any]) -> bool:
    """Return whether a tensor class runs its ops as ops on other tensors."""
    handler = getattr(kind, "__torch_dispatch__", None)
    plain = handler is None or handler is torch._C._disabled_torch_dispatch_impl
    return not (plain or kind is torch.Tensor or issubclass(kind, FakeTensor))


def _inside_compiled() -> bool:
    """Return whether a torch.compile wrapper runs: it restores the dispatch keys that it found."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "compile_wrapper":
            return True
        frame = frame.f_back
    return False
