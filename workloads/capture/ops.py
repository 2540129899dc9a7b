"""What the schema of an op says, looked up once, as a lookup costs more than an op."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import flop_registry

from simulator.trace.kinds import writes
from workloads.capture.calls import tensors_in
from workloads.capture.kinds import base_name, is_seeded


class OpSchema(NamedTuple):
    """An op: positions and names of the arguments that it has `written`, PyTorch's formula for its
    `flops`, whether its results are a `view` of its input, whether it is `silent` (a query, not
    work), and whether it is `seeded` (can draw random numbers).
    """

    func: Any  # keeps its id unique
    name: str
    written: tuple[tuple[int, str], ...]
    flops: Callable[..., int] | None
    view: bool
    silent: bool
    seeded: bool

    def writes(self, args: Any, kwargs: Any) -> Iterator[torch.Tensor]:
        """Yield the tensors that a call writes to."""
        for position, name in self.written:
            value = args[position] if position < len(args) else kwargs.get(name)
            yield from tensors_in(value)


_schemas: dict[int, OpSchema] = {}


def schema_of(func: Any) -> OpSchema:
    """Return the schema of an op."""
    schema = _schemas.get(id(func))
    if schema is None:
        schema = _schemas[id(func)] = _read(func)
    return schema


def _read(func: Any) -> OpSchema:
    schema = getattr(func, "_schema", None)
    formula = flop_registry.get(getattr(func, "_overloadpacket", None))
    flops = getattr(formula, "__wrapped__", None)
    name = base_name(func)
    silent = getattr(func, "namespace", "") == "prim"
    if schema is None:
        return OpSchema(func, name, (), flops, view=False, silent=silent, seeded=is_seeded(func))
    written = tuple(
        (position, argument.name)
        for position, argument in enumerate(schema.arguments)
        if writes(name, argument.name, _is_declared(argument), {"training": True})
    )
    aliases = any(result.alias_info is not None for result in schema.returns)
    view = aliases and not schema.is_mutable
    return OpSchema(func, name, written, flops, view=view, silent=silent, seeded=is_seeded(func))


def _is_declared(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write
