"""Fake capture: what a network computes has shapes and no contents, so it costs next to nothing.

Parameters are fake and so is all that is computed from them; data stays real until it meets them.
What a program does with its data, say shuffle or filter it, is therefore done as ever.
"""

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from math import prod
from threading import RLock, local
from types import TracebackType
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.utils._python_dispatch import TorchDispatchMode

from workloads.capture.calls import tensors_in
from workloads.capture.stand_ins import StandIns, truth_of
from workloads.capture.swaps import Swaps, hollow, written
from workloads.capture.tape import address_of

_LARGEST_REAL = 1 << 24  # elements of a new tensor that are still filled: 64 MiB of fp32; a guess


class _SharedMode(FakeTensorMode):  # type: ignore[no-untyped-call]
    """A mode for all threads; a copy of a fake tensor is of the same mode as the tensor."""

    _own = local()

    @property
    def in_kernel_invocation(self) -> bool:
        """Whether an op runs on fakes in this thread: they say then that they are on `meta`."""
        return getattr(self._own, "in_kernel_invocation", False)

    @in_kernel_invocation.setter
    def in_kernel_invocation(self, value: bool) -> None:
        self._own.in_kernel_invocation = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Fakes:
    """Everything fake in a block; a context manager that puts all back when the block ends.

    With `keep` the program goes on after the block, so what was real before it is kept and put
    back bit for bit: parameters, gradients, buffers, optimizers, other tensors, random numbers.
    """

    def __init__(
        self,
        model: torch.nn.Module | None,
        optimizer: torch.optim.Optimizer | None,
        *,
        keep: bool,
    ) -> None:
        """Prepare for a network and its optimizer; others are found as they are used."""
        self._given = model, optimizer
        self._mode = _SharedMode()
        self._swaps = Swaps(self._mode, keep=keep)
        self.stand_ins = StandIns()
        self._known = _Known()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make what was given fake, and all further networks from here on."""
        model, optimizer = self._given
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
        """Return the context in which a thread handles fake tensors; each needs one of its own."""
        return _Contagion(self._mode, self._swaps, self.stand_ins, self._known)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put everything back."""
        self._stack.__exit__(kind, error, traceback)

    def check(self) -> None:
        """Raise InputError if the program went on after it asked for what cannot be known."""
        if self.stand_ins.refused:
            raise self.stand_ins.refused

    @property
    def notes(self) -> dict[str, str]:
        """What the trace's origin says of values that the program read and that do not exist."""
        return self.stand_ins.notes


@dataclass(slots=True)
class _Known:
    """What all threads know: the fakes that stand for real tensors, and which were overwritten.

    `lock` is held while an op runs on fakes, since their mode keeps notes of the op under way.
    """

    twins: dict[int, tuple[Callable[[], Any], FakeTensor]] = field(default_factory=dict)
    overwritten: dict[int, torch.Tensor] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)


class _Contagion(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs ops that touch a fake tensor on fakes alone, and all others as they are.

    A real tensor that a fake one is written into keeps its contents, but counts as fake then.
    """

    supports_higher_order_operators = True

    def __init__(
        self, mode: FakeTensorMode, swaps: Swaps, stand_ins: StandIns, known: _Known
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fake = mode
        self._swaps = swaps
        self._stand_ins = stand_ins
        self._twins = known.twins
        self._overwritten = known.overwritten
        self._lock = known.lock

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        if getattr(func, "namespace", "") == "prim":
            return func(*args, **kwargs)
        if any(isinstance(tensor, FakeTensor) for tensor in tensors):
            return self._imagine(func, args, kwargs, tensors)
        if self._overwritten and self._depends(func, tensors):
            return self._imagine(func, args, kwargs, tensors)
        if not tensors and _too_large(args):
            with self._lock:
                return self._fake.__torch_dispatch__(func, (), args, kwargs)
        for tensor in written(func, args, kwargs):
            self._swaps.about_to_write(tensor)
        return func(*args, **kwargs)

    def _depends(self, func: Any, tensors: list[torch.Tensor]) -> bool:
        if func is torch.ops.aten._local_scalar_dense.default or _is_view(func):
            return False  # an accumulator that a fake was added to says what it said before
        return any(address_of(tensor) in self._overwritten for tensor in tensors)

    def _imagine(self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return self._stand_ins.number(args[0])
        real = {id(t): self._twin(t) for t in tensors if not isinstance(t, FakeTensor)}
        if real:
            self._note_writes(func, args, kwargs)
            args, kwargs = _replace(args, real), _replace(kwargs, real)
        try:
            with self._lock:
                result = self._fake.__torch_dispatch__(func, (FakeTensor,), args, kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException):
            raise self._stand_ins.refuse(f"the shape that {func} gives") from None
        except RuntimeError as error:
            if isinstance(error, UnsupportedOperatorException) or "no fake impl" in str(error):
                raise self._stand_ins.no_fake_form(func) from None
            raise
        truth = truth_of(func, args)
        if truth is not None:
            result.truth = truth  # type: ignore[attr-defined]
        return _original(func, result, tensors, real) if real else result

    def _note_writes(self, func: Any, args: Any, kwargs: Any) -> None:
        for tensor in written(func, args, kwargs):
            if not isinstance(tensor, FakeTensor):
                self._overwritten[address_of(tensor)] = tensor

    def _twin(self, tensor: torch.Tensor) -> FakeTensor:
        """Return the fake that stands for a real tensor, the same one each time."""
        reference, twin = self._twins.get(id(tensor), (_nothing, None))
        if twin is not None and reference() is tensor and _alike(twin, tensor):
            return twin
        twin = hollow(tensor, self._fake)
        forget = _forgetting(self._twins, id(tensor))
        self._twins[id(tensor)] = weakref.ref(tensor, forget), twin
        return twin


def _forgetting(twins: dict[int, Any], key: int) -> Callable[[Any], None]:
    return lambda _: twins.pop(key, None)


def _nothing() -> None:
    return None


def _alike(twin: torch.Tensor, tensor: torch.Tensor) -> bool:
    return twin.shape == tensor.shape and twin.dtype == tensor.dtype


def _is_view(func: Any) -> bool:
    schema = getattr(func, "_schema", None)
    if schema is None or schema.is_mutable:
        return False
    return any(result.alias_info is not None for result in schema.returns)


def _too_large(args: Any) -> bool:
    sizes = args[0] if args and isinstance(args[0], list | tuple) else ()
    return all(isinstance(size, int) for size in sizes) and prod(sizes) > _LARGEST_REAL


def _replace(value: Any, by: dict[int, FakeTensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return by.get(id(value), value)
    if isinstance(value, list | tuple):
        return type(value)(_replace(item, by) for item in value)
    if isinstance(value, dict):
        return {key: _replace(item, by) for key, item in value.items()}
    return value


def _original(
    func: Any, result: Any, tensors: list[torch.Tensor], twins: dict[int, FakeTensor]
) -> Any:
    """Return the result of an op that works in place as the tensor that it was given."""
    if not func._schema.returns:
        return None
    for tensor in tensors:
        if twins.get(id(tensor)) is result:
            return tensor
    return result
