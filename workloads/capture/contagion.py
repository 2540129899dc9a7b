"""The dispatch mode of a fake capture: ops that touch a fake tensor give fake ones, others run."""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.utils._python_dispatch import TorchDispatchMode

from workloads.capture.budget import Budget, too_large
from workloads.capture.calls import tensors_in
from workloads.capture.draws import Draws
from workloads.capture.kernels import KernelResults
from workloads.capture.ops import OpSchema, schema_of
from workloads.capture.stand_ins import StandIns
from workloads.capture.swaps import Swaps, hollow
from workloads.capture.tape import address_of
from workloads.capture.truths import truth_of

_NUMBER = torch.ops.aten._local_scalar_dense.default


@dataclass(slots=True)
class FakeRegistry:
    """State shared by all threads: fakes that stand for real tensors, and overwritten real tensors.

    `lock` is held while an op runs on fakes, as their mode keeps state of the op.
    """

    twins: dict[int, tuple[Callable[[], Any], FakeTensor]] = field(default_factory=dict)
    overwritten: dict[int, torch.UntypedStorage] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)
    began: bool = False

    def begin(self, real: Iterable[torch.Tensor]) -> None:
        """Count everything computed from parameters that ran for real as fake: graphs
        may hold it.
        """
        self.began = True
        for tensor in real:
            self.overwrite(tensor)

    def is_fake(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor has no contents, or not those of a real run."""
        return isinstance(tensor, FakeTensor) or address_of(tensor) in self.overwritten

    def overwrite(self, tensor: torch.Tensor) -> None:
        """Count the contents of a real tensor as fake from now on."""
        if not isinstance(tensor, FakeTensor):
            self.overwritten[address_of(tensor)] = tensor.untyped_storage()


class Contagion(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs ops for real until `budget` is exceeded, then fakes those that touch a fake tensor.

    A real tensor that a fake one is written to keeps its contents, but counts as fake.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing compiles under a capture; dynamo's wrapper costs more than an op

    def __init__(
        self,
        mode: FakeTensorMode,
        swaps: Swaps,
        budget: Budget,
        stand_ins: StandIns,
        kernels: KernelResults,
        draws: Draws,
        registry: FakeRegistry,
    ) -> None:
        """Prepare the mode of one thread; only `mode` is its own."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._fake = mode
        self._swaps = swaps
        self._budget = budget
        self._stand_ins = stand_ins
        self._kernels = kernels
        self._draws = draws
        self._registry = registry
        self._twins = registry.twins
        self._lock = registry.lock

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an op, or fake it."""
        kwargs = kwargs or {}
        op, budget = schema_of(func), self._budget
        if op.silent:
            return func(*args, **kwargs)
        if not budget.exceeded and too_large(args):
            budget.exceeded = True
        if budget.exceeded:
            return self._mixed(op, args, kwargs)
        self._swaps.about_to_write(op, args, kwargs)
        result = func(*args, **kwargs)
        if budget.counts:
            budget.spend(op, args, kwargs, result)
        return result

    def _mixed(self, op: OpSchema, args: Any, kwargs: Any) -> Any:
        if not self._registry.began:
            self._registry.begin(self._budget.alive())
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        if any(isinstance(tensor, FakeTensor) for tensor in tensors):
            return self._imagine(op, args, kwargs, tensors)
        if self._registry.overwritten and self._depends(op, tensors):
            return self._imagine(op, args, kwargs, tensors)
        if not tensors and too_large(args):
            self._draws.repeat(op, args, kwargs)
            with self._lock:
                return self._fake.__torch_dispatch__(op.func, (), args, kwargs)
        self._swaps.about_to_write(op, args, kwargs)
        return op.func(*args, **kwargs)

    def _depends(self, op: OpSchema, tensors: list[torch.Tensor]) -> bool:
        if op.view or not any(map(self._registry.is_fake, tensors)):
            return False
        if op.func is _NUMBER:
            self._stand_ins.read()  # an accumulator that fakes were added to keeps its last value
        return op.func is not _NUMBER

    def _imagine(self, op: OpSchema, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> Any:
        func, real_args = op.func, args
        if func is _NUMBER:
            return self._stand_ins.number(args[0])
        if getattr(func, "namespace", "") in ("c10d", "_c10d_functional"):
            raise self._stand_ins.no_exchange(func)
        if op.seeded:
            self._draws.repeat(op, args, kwargs)
        if self._kernels.knows(op, args):
            with self._lock:
                return self._kernels.imagine(op, args, kwargs)
        real = {id(t): self._twin(t) for t in tensors if not isinstance(t, FakeTensor)}
        if real:
            for tensor in op.writes(args, kwargs):
                self._registry.overwrite(tensor)
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
        truth = truth_of(op.name, real_args)
        if truth is not None:
            result.truth = truth  # type: ignore[attr-defined]
        return _original(func, result, tensors, real) if real else result

    def _twin(self, tensor: torch.Tensor) -> FakeTensor:
        """Return the fake that stands for a real tensor, always the same one."""
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
    """Return the result of an in-place op as the tensor that was passed to it."""
    if not func._schema.returns:
        return None
    for tensor in tensors:
        if twins.get(id(tensor)) is result:
            return tensor
    return result
