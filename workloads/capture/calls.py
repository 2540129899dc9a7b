"""The signature of a dispatched op: its arguments, its kind, whether it draws numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._C import _dispatch_has_kernel_for_dispatch_key
from torch._ops import OpOverload

from simulator.trace.op import OpKind
from workloads.capture.kinds import base_name, is_seeded, kind_of

_SILENT = frozenset({"profiler", "prim"})


@dataclass(frozen=True, slots=True, eq=False)
class OpSignature:
    """An op: `name` without namespace and overload, `full_name` with them.

    `arguments` lists (name, written in place, pure result) of each argument. A `composite` op
    decomposes into others; a `silent` one does no work, such as a profiler marker. The work of an
    `exact` op depends on more than shapes, such as a convolution's stride or a dropout's p. `func`
    is kept so that its id stays unique; `run` is the fastest way to call it.
    """

    func: Any
    run: Any
    name: str
    full_name: str
    kind: OpKind
    seeded: bool
    composite: bool
    silent: bool
    exact: bool
    mutates: bool
    arguments: tuple[tuple[str, bool, bool], ...] = field(default=())
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def named(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, with defaults."""
        named = dict(self.defaults)
        named.update(zip((a[0] for a in self.arguments), args, strict=False))
        named.update(keywords)
        return named


_FUNCTIONS, _METHODS = torch._C._VariableFunctions, torch._C.TensorBase
BINDINGS: dict[str, Any] = {
    **{
        f"aten.{name}": getattr(_FUNCTIONS, name.partition(".")[0])
        for name in (
            "add.Tensor", "addmm.default", "bmm.default", "convolution.default", "mm.default",
            "mul.Tensor", "relu.default", "sum.dim_IntList", "t.default", "tanh.default",
            "transpose.int",
        )
    },
    **{
        f"aten.{name}": getattr(_METHODS, name.partition(".")[0])
        for name in ("add_.Tensor", "detach.default", "expand.default", "view.default")
    },
}  # fmt: skip
"""Ops with a C++ binding of their own, which parses arguments in half the time of the op by its
schema (1 to 4 us), dispatches the same overload, and ignores `__torch_function__` alike while a
mode handles an op.
"""
_signatures: dict[int, OpSignature] = {}


def signature_of(func: Any) -> OpSignature:
    """Return the signature of an op; its schema is read once."""
    signature = _signatures.get(id(func))
    if signature is None:
        signature = _signatures[id(func)] = _read(func)
    return signature


def _read(func: Any) -> OpSignature:
    name = base_name(func)
    schema = getattr(func, "_schema", None)
    arguments = schema.arguments if schema is not None else ()
    marks = tuple((a.name, _is_written(a), _is_out(a)) for a in arguments)
    kind, seeded = kind_of(func, name), is_seeded(func)
    return OpSignature(
        func=func,
        run=BINDINGS.get(str(func)) or (func._op if isinstance(func, OpOverload) else func),
        name=name,
        full_name=str(func),
        kind=kind,
        seeded=seeded,
        composite=_is_composite(func),
        silent=getattr(func, "namespace", "") in _SILENT,
        exact=seeded or kind is OpKind.GEMM,
        mutates=any(written for _, written, _ in marks),
        arguments=marks,
        defaults={a.name: a.default_value for a in arguments if a.has_default_value()},
    )


_BACKENDS = ("CPU", "CUDA", "CompositeExplicitAutograd", "Autograd", "AutogradCPU")


def _is_composite(func: Any) -> bool:
    """Return whether an op runs as others; one with its own kernel gives other bits."""
    # The dispatcher does not know "prim" ops, such as the device of a fake tensor, and an
    # exception in its handler ends the process.
    if not isinstance(func, OpOverload) or func.namespace == "prim":
        return False
    name = func.name()  # type: ignore[no-untyped-call]

    def has(key: str) -> bool:
        return _dispatch_has_kernel_for_dispatch_key(name, key)

    return has("CompositeImplicitAutograd") and not any(map(has, _BACKENDS))


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _is_out(argument: Any) -> bool:
    return bool(argument.kwarg_only and argument.is_out)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in a nested value, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
