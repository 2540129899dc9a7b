"""Fake capture: large networks have shapes but no contents, so that they cost little.

Parameters and everything computed from them are fake; data stay real until they meet them, so that
the program shuffles or filters its data as ever. Small networks run for real, which is faster and
exact, until their `Budget` is exceeded.
"""

from contextlib import AbstractContextManager, ExitStack
from threading import local
from types import TracebackType
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from workloads.capture.budget import Budget
from workloads.capture.contagion import Contagion, FakeRegistry
from workloads.capture.draws import Draws
from workloads.capture.kernels import KernelResults
from workloads.capture.stand_ins import StandIns
from workloads.capture.swaps import Swaps


class _SharedMode(FakeTensorMode):  # type: ignore[no-untyped-call]
    """A fake mode for all threads; a deep copy of a fake tensor keeps its mode."""

    _own = local()

    @property
    def in_kernel_invocation(self) -> bool:
        """Whether an op runs on fakes in this thread: they then claim to be on `meta`."""
        return getattr(self._own, "in_kernel_invocation", False)

    @in_kernel_invocation.setter
    def in_kernel_invocation(self, value: bool) -> None:
        self._own.in_kernel_invocation = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Fakes:
    """Everything fake inside a block; a context manager that restores all when the block ends.

    With `keep` the program goes on after the block, so real state from before it is restored bit
    for bit: parameters, gradients, buffers, optimizers, other tensors, random numbers.
    """

    def __init__(
        self,
        model: torch.nn.Module | None,
        optimizer: torch.optim.Optimizer | None,
        *,
        keep: bool,
    ) -> None:
        """Prepare for a network and its optimizer; others are picked up when they are used."""
        self._targets = model, optimizer
        self._mode = _SharedMode()
        self._budget = Budget()
        self._swaps = Swaps(self._mode, self._budget, keep=keep)
        self._kernels = KernelResults(self._mode)
        self._draws = Draws()
        self._registry = FakeRegistry()
        self.stand_ins = StandIns(self._registry.is_fake)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make these networks fake, and all further ones."""
        model, optimizer = self._targets
        with ExitStack() as stack:
            stack.enter_context(self._swaps)
            if model is not None:
                self._swaps.network(model)
            if optimizer is not None:
                self._swaps.optimizer(optimizer)
            stack.enter_context(self.stand_ins)
            stack.enter_context(self.in_thread())
            self._stack = stack.pop_all()
        return self

    def in_thread(self) -> AbstractContextManager[Any]:
        """Return the context in which a thread handles fake tensors; each thread needs its own."""
        shared = self._budget, self.stand_ins, self._kernels, self._draws, self._registry
        return Contagion(self._mode, self._swaps, *shared)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore everything."""
        self._stack.__exit__(kind, error, traceback)

    def check(self) -> None:
        """Raise InputError if the program went on after asking for an unknown value."""
        if self.stand_ins.refused:
            raise self.stand_ins.refused

    @property
    def imagined(self) -> bool:
        """Whether anything was fake."""
        return self._budget.exceeded

    @property
    def notes(self) -> dict[str, str]:
        """Notes for a trace's origin: which values do not exist, or that all of them do."""
        if self.imagined:
            return self.stand_ins.notes | self._inexact()
        small = f"small network ({self._budget.largest:,} parameters): ran for real"
        return {"ran_for_real": f"{small}, its numbers are real"}

    def _inexact(self) -> dict[str, str]:
        notes = {}
        if self._kernels.unknown:
            notes["workspaces"] = ", ".join(self._kernels.unknown)
        if self.stand_ins.guessed_draws or not self._draws.exact:
            notes["random_numbers"] = (
                "random numbers are not all those of a real run, so shuffled data may come in"
                " another order"
            )
        return notes
