"""One dispatched call with its arguments by name: what it reads and what it writes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from simulator.trace.kinds import reads, writes
from simulator.trace.op import OpKind
from workloads.capture.kinds import base_name, draws, is_seeded, kind_of


@dataclass(slots=True)
class Use:
    """A tensor argument: under which name it came, and whether its bytes are read or written."""

    argument: str
    tensor: torch.Tensor
    read: bool
    written: bool


@dataclass(slots=True)
class Call:
    """A call of `func`: `name` without namespace and overload, `full_name` with them, `args` with
    defaults filled in.
    """

    func: Any
    name: str
    full_name: str
    kind: OpKind
    args: dict[str, Any]
    uses: list[Use]
    results: list[torch.Tensor]
    random: bool


@dataclass(frozen=True, slots=True)
class _Signature:
    name: str
    full_name: str
    kind: OpKind
    seeded: bool
    arguments: tuple[tuple[str, bool, bool], ...] = field(default=())
    defaults: Mapping[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def _signature(func: Any) -> _Signature:
    name = base_name(func)
    schema = getattr(func, "_schema", None)
    arguments = schema.arguments if schema is not None else ()
    marks = tuple((a.name, _is_written(a), _is_out(a)) for a in arguments)
    defaults = {a.name: a.default_value for a in arguments if a.has_default_value()}
    return _Signature(name, str(func), kind_of(func, name), is_seeded(func), marks, defaults)


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _is_out(argument: Any) -> bool:
    return bool(argument.kwarg_only and argument.is_out)


def bind(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Call:
    """Name the arguments of a call that returned `result` and tell reads from writes."""
    known = _signature(func)
    if not known.arguments:
        return _opaque(func, known, args, kwargs, result)
    named = dict(known.defaults)
    named.update(zip((a[0] for a in known.arguments), args, strict=False))
    named.update(kwargs)
    uses = [
        Use(
            argument,
            tensor,
            reads(known.name, argument, out, named),
            writes(known.name, argument, written, named),
        )
        for argument, written, out in known.arguments
        for tensor in tensors_in(named.get(argument))
    ]
    return Call(
        func,
        known.name,
        known.full_name,
        known.kind,
        named,
        uses,
        list(tensors_in(result)),
        known.seeded and draws(named),
    )


def _opaque(
    func: Any, known: _Signature, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> Call:
    found = [*tensors_in(args), *tensors_in(kwargs)]
    uses = [Use("", tensor, read=True, written=False) for tensor in found]
    results = list(tensors_in(result))
    return Call(func, known.name, known.full_name, known.kind, {}, uses, results, known.seeded)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in a value, a list or a mapping, however deep, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
