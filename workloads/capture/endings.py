"""Saves a recording if its process is ended by a signal or by os._exit."""

import _thread
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from simulator.trace.trace import StepKind, Trace
from trainsoc.border import ours
from workloads.capture.session import Recording

_RETRY_S = 0.002  # a guess: longer than the recorder takes for one op
_DEADLY = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


@dataclass(frozen=True)
class Outcome:
    """How a script ended: exit status, and a sentence if it failed.

    `trace` is what was recorded, None if nothing was.
    """

    trace: Trace | None
    status: int = 0
    failure: str | None = None

    @property
    def trained(self) -> bool:
        """Whether a training step was recorded."""
        return self._has(StepKind.TRAIN)

    @property
    def evaluated(self) -> bool:
        """Whether a network ran without training."""
        return self._has(StepKind.EVAL) or self._has(StepKind.DECODE)

    def _has(self, kind: StepKind) -> bool:
        return self.trace is not None and self.trace.count(kind) > 0


@dataclass(eq=False)
class Guard:
    """Saves a recording when a signal or os._exit ends the process.

    `keep` then gets the outcome. Without `keep` the process is not the script's, and only SIGINT is
    handled. A signal waits while the recorder works, and is ignored once the script has ended.
    """

    name: str
    recording: Recording
    keep: Callable[[Outcome], None] | None = None
    ended: bool = False
    _process: int = field(default_factory=os.getpid)
    _exit: Callable[[int], Any] = os._exit

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Handle signals and os._exit, except signals that the script handles or ignores."""
        before = {number: signal.getsignal(number) for number in self._numbers}
        plain = (signal.SIG_DFL, signal.default_int_handler)
        self._handle(number for number, handler in before.items() if handler in plain)
        if self.keep:
            os._exit = self._leave  # type: ignore[assignment]
        _guards.add(self)
        try:
            yield
        finally:
            self.ended = True
            _guards.discard(self)
            os._exit = self._exit  # type: ignore[assignment]
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """Ignore signals from now on, also those that the script handled."""
        self.ended = True
        self._handle(self._numbers)

    @property
    def copied(self) -> bool:
        """Whether this is a fork of the recorded process."""
        return os.getpid() != self._process

    def forget(self) -> None:
        """Stop guarding, in a fork of this process."""
        os._exit = self._exit  # type: ignore[assignment]
        for number in self._numbers:
            if signal.getsignal(number) == self._on_signal:
                interrupts = number == signal.SIGINT
                signal.signal(number, signal.default_int_handler if interrupts else signal.SIG_DFL)

    @property
    def _numbers(self) -> list[int]:
        """The signals to handle; none outside the main thread, where Python does not allow it."""
        if threading.current_thread() is not threading.main_thread():
            return []
        numbers = (signal.SIGINT, *(_DEADLY if self.keep else ()))
        return [n for n in numbers if signal.getsignal(n) is not None]

    def _handle(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.ended:
            return
        if self.recording.at_work:
            _thread.start_new_thread(self._again, (number,))
        elif number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        else:
            self._die(number)

    def _again(self, number: int) -> None:
        time.sleep(_RETRY_S)
        if not self.ended:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _die(self, number: int) -> None:
        """End the process as the signal would, without running more of the script."""
        title = signal.Signals(number).name
        self._keep(128 + number, f"{self.name} was ended by {title}")
        with suppress(Exception):
            sys.stdout.flush()
        self._exit(128 + number)

    def _leave(self, status: int) -> None:
        """Act as os._exit."""
        if not self.ended:
            self._keep(status, f"{self.name} ended with exit status {status}" if status else None)
        self._exit(status)

    def _keep(self, status: int, failure: str | None) -> None:
        self.ended = True
        if self.keep:
            with ours():
                self.keep(Outcome(self.recording.cut(), status, failure))


_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


def _forget() -> None:
    for guard in list(_guards):
        guard.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
