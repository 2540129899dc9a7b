"""Steps that do the same work on other shapes: one is analysed, the others reuse its analysis.

Phases, layers, roles, dependences and kinds of storages follow from the calls, their storages,
numbers and places. Only sizes follow from shapes; the few other facts that might (which products a
call is, whether it creates a scalar) are compared. A step that differs in anything else is analysed
itself.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from simulator.trace.effect import bound
from simulator.trace.gemms import Product, is_product
from simulator.trace.kinds import GATHERS
from simulator.trace.op import Gemm, Op, OpKind, Tensor
from simulator.trace.trace import Step, StepKind, Storage, StorageKind
from workloads.capture.analysis import is_number
from workloads.capture.assemble import AssembledStep, Ownership, assemble
from workloads.capture.calls import OpSignature
from workloads.capture.effects import Effects, real_products
from workloads.capture.operands import TensorWindow
from workloads.capture.spots import Spot
from workloads.capture.tape import Tape
from workloads.capture.tape_diff import outline, resized, window_places

_STRUCTURES = 64
"""Structures that are kept; a guess. Beyond, the oldest is dropped."""


@dataclass(slots=True)
class StepTemplates:
    """Turns tapes into steps: the first of a structure by analysis, others by its template."""

    _templates: dict[Hashable, "_Template"] = field(default_factory=dict)

    def assemble(
        self, tape: Tape, kind: StepKind, spots: Sequence[Spot], owned: Ownership
    ) -> AssembledStep:
        """Return the step on the tape."""
        key = kind, id(spots), outline(tape)
        template = self._templates.get(key)
        step = template.fill(tape, owned) if template is not None else None
        if template is not None and step is not None:
            return AssembledStep(step, template.unmodelled, template.order)
        assembled = assemble(tape, kind, spots, owned)
        self._templates.pop(key, None)
        if len(self._templates) == _STRUCTURES:
            del self._templates[next(iter(self._templates))]
        self._templates[key] = _Template(tape, spots, owned, assembled)
        return assembled


class _TensorPlace(NamedTuple):
    """Where a tensor of an op lies on the tape: its place among all items, and among all offsets.

    `storage` is its number in the step; `is_input`: its offset does not count.
    """

    item: int
    offset: int
    storage: int
    dtype: str
    is_input: bool


class _TemplateCall(NamedTuple):
    """A call of the template and the places of its op's tensors, the `inputs` first; None if they
    depend on shapes.

    `products` identifies its products, None if it has none. Calls with equal `twin` differ only in
    storages and shapes; `places` has the places of all their tensors.
    """

    op: Op
    windows: Sequence[_TensorPlace] | None
    inputs: int
    products: list[Hashable] | None
    twin: str
    places: Sequence[int]


class _Template:
    """An analysed step with its tape, to be filled with other shapes."""

    def __init__(
        self, tape: Tape, spots: Sequence[Spot], owned: Ownership, assembled: AssembledStep
    ) -> None:
        """Keep the description of a step, but none of its storages."""
        tape.release()
        self.unmodelled = assembled.unmodelled
        self._tape = tape
        self._spots = spots  # keeps their id unique
        self._owned = owned
        self._step = assembled.step
        self.order = assembled.storages
        self._calls: dict[int, _TemplateCall] = {}
        self._tensors: dict[Any, Tensor] = {}
        self._storages: dict[tuple[int, int], Storage] = {}
        self._products: dict[Hashable, list[Product]] = {}

    def fill(self, tape: Tape, owned: Ownership) -> Step | None:
        """Return the step with the shapes of this tape, None if it differs in more than shapes."""
        changed = resized(tape, self._tape)
        if changed is None or owned != self._owned:
            return None
        ops = list(self._step.ops)
        for number in changed:
            op = self._op(number, tape)
            if op is None:
                return None
            ops[number] = op
        return Step(self._step.kind, tuple(ops), self._sized(tape.sizes))

    def _sized(self, sizes: Sequence[int]) -> tuple[Storage, ...]:
        resized, storages = self._storages, list(self._step.storages)
        for number, index in enumerate(self.order):
            old, size = storages[number], sizes[index]
            if old.bytes != size:
                key = number, size
                storages[number] = resized.get(key) or resized.setdefault(
                    key, replace(old, bytes=size)
                )
        return tuple(storages)

    def _op(self, number: int, tape: Tape) -> Op | None:
        """Return the op of a call with other shapes, None if it differs in more."""
        call = self._calls.get(number) or self._calls.setdefault(number, self._call(number))
        old, gemms = call.op, call.op.gemms
        if call.windows is None:
            return self._again(number, tape, call)
        if call.products is not None:
            products = self._sized_products(number, call, tape)
            if list(map(_form, products)) != call.products:
                return None
            gemms = tuple(map(_regrown, gemms, products))
        tensors = self._filled(call.windows, tape.flat, tape.offsets)
        op = _with(old, tuple(tensors[: call.inputs]), tuple(tensors[call.inputs :]), gemms)
        return op if call.inputs or is_number(op) is is_number(old) else None

    def _sized_products(self, number: int, call: _TemplateCall, tape: Tape) -> list[Product]:
        """Return the products of a call, computed once for similar layers."""
        key = call.twin, *[tape.flat[place][2] for place in call.places]
        products = self._products.get(key)
        if products is None:
            products = self._products[key] = _products(tape, number)
        return products

    def _filled(
        self, windows: Sequence[_TensorPlace], flat: Sequence[Any], offsets: Sequence[int]
    ) -> list[Tensor]:
        tensors, filled = self._tensors, []
        for item, place, storage, dtype, is_input in windows:
            window, offset = flat[item], 0 if is_input else offsets[place]
            key = window, offset
            tensor = tensors.get(key)
            if tensor is None:
                tensor = tensors[key] = Tensor(storage, dtype, window[2], window[3], offset)
            filled.append(tensor)
        return filled

    def _again(self, number: int, tape: Tape, call: _TemplateCall) -> Op | None:
        """Derive the op of a call in full, if shapes decide which of its tensors are the same."""
        old, record = call.op, tape.record(number)
        args, done = Effects().of(record)
        products = real_products(record.signature.name, args) if call.products is not None else []
        inputs = self._renumbered(done.reads, old.inputs)
        outputs = self._renumbered(done.writes, old.outputs)
        same = done.kind is old.kind and list(map(_form, products)) == (call.products or [])
        if inputs is None or outputs is None or not same:
            return None
        pairs = zip(products, old.gemms, strict=True)
        gemms = (replace(bound(each, gemm.role, done), role=gemm.role) for each, gemm in pairs)
        op = _with(old, inputs, outputs, tuple(gemms))
        return op if is_number(op) is is_number(old) else None

    def _renumbered(
        self, tensors: Sequence[Tensor], old: Sequence[Tensor]
    ) -> tuple[Tensor, ...] | None:
        """Return tensors with the step's storage numbers, None if their storages differ."""
        if [tensor.storage for tensor in tensors] != [self.order[t.storage] for t in old]:
            return None
        pairs = zip(tensors, old, strict=True)
        return tuple(self._renumber(tensor, model) for tensor, model in pairs)

    def _renumber(self, tensor: Tensor, model: Tensor) -> Tensor:
        offset = 0 if self._is_input(model) else tensor.offset
        return replace(tensor, storage=model.storage, offset=offset)

    def _is_input(self, tensor: Tensor) -> bool:
        return self._step.storages[tensor.storage].kind is StorageKind.INPUT

    def _call(self, number: int) -> _TemplateCall:
        """Find the tensors of the template's own op on its tape."""
        op, record = self._step.ops[number], self._tape.record(number)
        name = record.signature.name
        forms = list(map(_form, _products(self._tape, number))) if is_product(name) else None
        arguments, results = window_places(self._tape, number)
        if arguments is None or results is None or name in GATHERS:
            return _TemplateCall(op, None, 0, forms, "", ())
        # A view writes nothing but its result; any other op may write to its arguments.
        written = results if op.kind is OpKind.VIEW else results | arguments
        windows = [self._window(tensor, arguments) for tensor in op.inputs]
        windows += [self._window(tensor, written) for tensor in op.outputs]
        values = record.signature, record.operands, record.keywords, record.results
        places = [place for place, _ in (*arguments.values(), *results.values())]
        return _TemplateCall(op, windows, len(op.inputs), forms, _without_sizes(values), places)

    def _window(self, tensor: Tensor, places: Mapping[int, tuple[int, int]]) -> _TensorPlace:
        place = places[self.order[tensor.storage]]
        return _TensorPlace(*place, tensor.storage, tensor.dtype, self._is_input(tensor))


def _products(tape: Tape, number: int) -> list[Product]:
    record = tape.record(number)
    args = record.signature.named(record.operands, record.keywords)
    return real_products(record.signature.name, args)


def _without_sizes(value: Any) -> str:
    """Return the arguments of a call as text, tensors by their element type only."""
    if value.__class__ is TensorWindow:
        return str(value.dtype)
    if isinstance(value, list | tuple):
        return f"({','.join(map(_without_sizes, value))})"
    if isinstance(value, dict):
        return _without_sizes(list(value.items()))
    return value.full_name if isinstance(value, OpSignature) else repr(value)


def _form(product: Product) -> Hashable:
    """Return everything of a product but its sizes."""
    return product.role, product.a, product.b, product.c, product.conv is None, product.causal


def _regrown(old: Gemm, product: Product) -> Gemm:
    sizes = product.batch, product.m, product.n, product.k
    conv, causal = product.conv, product.causal
    return Gemm(old.role, *sizes, old.a, old.b, old.c, conv, causal=causal)


def _with(
    old: Op, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], gemms: tuple[Gemm, ...]
) -> Op:
    return Op(
        old.name, old.kind, old.phase, old.layer, inputs, outputs, gemms, old.forward, old.random
    )
