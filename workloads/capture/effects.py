"""Effect of a recorded call on memory, and its products in real numbers, from its arguments."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from simulator.memo import remember
from simulator.trace.effect import Effect, Touch, effect
from simulator.trace.gemms import Operand, Product, products
from simulator.trace.kinds import reads, writes
from simulator.trace.op import Tensor
from workloads.capture.operands import Ragged, Sparse, TensorWindow
from workloads.capture.tape import RecordedCall


@dataclass(slots=True)
class Effects:
    """Computes the effects of calls; a window that several calls use becomes one tensor."""

    _tensors: dict[TensorWindow, Tensor] = field(default_factory=dict)

    def of(self, record: RecordedCall) -> tuple[dict[str, Any], Effect]:
        """Return the arguments of a call by name, and its effect."""
        signature = record.signature
        args = signature.named(record.operands, record.keywords)
        results = [t for result in record.results for t in self._tensors_in(result)]
        touches = self._touches(record, args)
        return args, effect(signature.name, signature.kind, touches, results)

    def _touches(self, record: RecordedCall, args: dict[str, Any]) -> list[Touch]:
        signature = record.signature
        if not signature.arguments:
            values = [*record.operands, *record.keywords.values()]
            return [Touch("", t, True, False) for v in values for t in self._tensors_in(v)]
        return [
            Touch(
                argument,
                tensor,
                reads(signature.name, argument, out, args),
                writes(signature.name, argument, written, args),
            )
            for argument, written, out in signature.arguments
            for tensor in self._tensors_in(args.get(argument))
        ]

    def _tensors_in(self, value: Any) -> Iterator[Tensor]:
        kind = value.__class__
        if kind is TensorWindow:
            tensor = self._tensors.get(value)
            if tensor is None:
                tensor = self._tensors[value] = _tensor(value)
            yield tensor
        elif kind is list:
            for item in value:
                yield from self._tensors_in(item)
        elif kind is Sparse or kind is Ragged:
            for part in value.parts:
                yield from self._tensors_in(part)


def real_products(name: str, args: dict[str, Any]) -> list[Product]:
    """Return the products of a call in real numbers: four for a complex one."""
    sizes = {argument: _operand(value) for argument, value in args.items()}
    return [real for each in products(name, sizes) for real in _real(each, args)]


def _operand(value: Any) -> Any:
    """Return a sparse or nested tensor in the form that the product formulas take."""
    if value.__class__ is Sparse:
        return Operand(value.shape, _name_of(value.dtype), nnz=value.nnz)
    if value.__class__ is Ragged:
        lengths = tuple(size[0] for size in value.sizes)
        largest = tuple(max(extents) for extents in zip(*value.sizes, strict=True))
        return Operand((len(lengths), *largest), _name_of(value.dtype), lengths=lengths)
    return value


def _real(product: Product, args: dict[str, Any]) -> tuple[Product, ...]:
    """Return a product in real numbers: four for a complex one."""
    operands = (args.get(product.a), args.get(product.b))
    if any(getattr(getattr(value, "dtype", None), "is_complex", False) for value in operands):
        return product, *3 * [replace(product, a="", b="", c=-1)]
    return (product,)


def _tensor(seen: TensorWindow) -> Tensor:
    storage, dtype, shape, strides, offset = seen
    return Tensor(storage, _name_of(dtype), tuple(shape), tuple(strides), int(offset))


@remember("names of dtypes", most=64)
def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
