"""The calls of the open step as they were dispatched, and a digest of their work.

Recording an op must cost microseconds, so nothing is analysed here: the tape stores what only the
moment of the call can tell, and of all steps with the same digest one is analysed.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from workloads.capture.calls import OpSignature
from workloads.capture.layout import HEAD, values_of
from workloads.capture.operands import (
    NOWHERE,
    AutogradNode,
    Many,
    Ragged,
    Sparse,
    TensorWindow,
    parts_of,
)

_IN_BACKWARD = torch._C._current_graph_task_id
_AUTOGRAD_NODE = torch._C._current_autograd_node
_SEQUENCE = torch.autograd._get_sequence_nr  # type: ignore[attr-defined]
_GRAD = torch.is_grad_enabled
_ACCUMULATE: type[Any] = torch._C._functions.AccumulateGrad  # type: ignore[attr-defined]
_TENSOR, _PARAMETER = torch.Tensor, torch.nn.Parameter
_LISTS = frozenset({list, tuple})
_IGNORED = ...  # a number that does not affect the work


class RecordedCall(NamedTuple):
    """A call: positional arguments, then those by name; tensors as TensorWindow, Sparse or Ragged.

    `spot` is the place in the program, `newest` the sequence number of the newest autograd node so
    far, `node` the one that runs in backward, None outside.
    """

    signature: OpSignature
    operands: list[Any]
    keywords: dict[str, Any]
    results: list[Any]
    spot: int
    grad: bool
    newest: int
    node: AutogradNode | None


class Tape:
    """The calls of one step and its storages, numbered by first occurrence.

    Calls are flat in one list, which costs least: signature, spot, grad mode, newest autograd node,
    node in backward, number of positional arguments, arguments, results. The tape holds a weak
    reference to every storage: meanwhile PyTorch cannot reuse its address, so the address is an
    identity even after the memory was freed.
    """

    def __init__(self, name_of: Callable[[Any], str]) -> None:
        """Start an empty tape; `name_of` returns the name of a parameter."""
        self.name_of = name_of
        self.sizes: list[int] = []
        self.makers: list[int] = []
        self.measured_ns: list[int] = []
        self.gradients: dict[int, str] = {}
        self.leaves: dict[int, bool] = {}
        self._leaf_tensors: list[tuple[weakref.ref[torch.Tensor], int]] = []
        self.updated: set[int] = set()
        self.flat: list[Any] = []
        self.starts: list[int] = []
        self.offsets: list[int] = []
        self.offset_starts: list[int] = []
        self.keyword_names: dict[int, tuple[str, ...]] = {}
        self.numbers: dict[int, int] = {}
        self.weak: list[Any] = []
        self.first_sequence = _SEQUENCE()

    def __del__(self) -> None:
        """Release the storages."""
        self.release()

    def __len__(self) -> int:
        """Return the number of calls."""
        return len(self.starts)

    @property
    def digest(self) -> int:
        """Equal for steps that do the same work, within this process."""
        try:
            return hash(tuple(self.flat))
        except TypeError:  # an argument without hash
            return hash(repr(self.flat))

    def append(
        self,
        signature: OpSignature,
        args: Sequence[Any],
        keywords: dict[str, Any] | None,
        result: Any,
        spot: int,
    ) -> None:
        """Append a call made at `spot` that returned `result`."""
        flat, starts = self.flat, self.starts
        call = len(starts)
        starts.append(len(flat))
        self.offset_starts.append(len(self.offsets))
        node = self._node() if _IN_BACKWARD() != -1 else None
        grad = _GRAD()
        newest = _SEQUENCE() - self.first_sequence if grad else 0
        flat += (signature, spot, grad, newest, node, len(args))
        exact = signature.exact
        self._describe(args, exact, -1)
        if keywords:
            self.keyword_names[call] = tuple(keywords)
            self._describe(keywords.values(), exact, -1)
        results = result if result.__class__ in _LISTS else (result,)
        self._describe(results, None, call)

    def _describe(self, values: Iterable[Any], exact: bool | None, maker: int) -> None:
        """Append values: tensors, and numbers if `exact`; of results (None) only tensors."""
        add, place = self.flat.append, self.offsets.append
        number_of, sizes = self.numbers.get, self.sizes
        for value in values:
            kind = value.__class__
            if kind is _TENSOR or kind is _PARAMETER or isinstance(value, _TENSOR):
                try:
                    storage = value.untyped_storage()
                    number = number_of(storage._cdata)
                    if number is None or not sizes[number]:
                        number = self._admit(storage, maker)
                    # The garbage collector does not track plain tuples of plain tuples.
                    window = number, value.dtype, tuple(value.shape), value.stride()
                    place(value.storage_offset())
                except (NotImplementedError, RuntimeError, TypeError):
                    window = self._special(value, maker)
                add(window)
            elif kind in _LISTS:
                add(Many(len(value)))
                self._describe(value, exact, maker)
            elif exact or (exact is False and (value is None or kind is bool)):
                add(value)
            else:
                add(_IGNORED)

    def _special(self, tensor: Any, maker: int) -> Any:
        """Describe a tensor without strides: sparse, nested, or opaque (None)."""
        try:
            if tensor.is_nested:
                sizes = tuple(tuple(row) for row in tensor._nested_tensor_size().tolist())
                number = self._admit(tensor.untyped_storage(), maker)
                whole = TensorWindow(number, tensor.dtype, (tensor.numel(),), (1,), 0)
                return Ragged(tensor.dtype, sizes, (whole,))
            parts = tuple(self._window(part, maker) for part in parts_of(tensor))
            return Sparse(tensor.dtype, tuple(tensor.shape), tensor._nnz(), parts)
        except (NotImplementedError, RuntimeError, TypeError, AttributeError):
            return None

    def _window(self, tensor: torch.Tensor, maker: int) -> TensorWindow:
        number = self._admit(tensor.untyped_storage(), maker)
        offset = int(tensor.storage_offset())
        return TensorWindow(
            number, tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()), offset
        )

    def _admit(self, storage: torch.UntypedStorage, maker: int) -> int:
        """Return the number of a storage; a new one if it is new."""
        number = self.numbers.get(storage._cdata)
        if number is None:
            number = self.numbers[storage._cdata] = len(self.sizes)
            self.weak.append(storage._weak_ref())
            self.sizes.append(storage.nbytes())
            self.makers.append(maker)
        elif not self.sizes[number]:
            self.sizes[number] = storage.nbytes()  # allocated empty, resized by its writer
        return number

    def _node(self) -> AutogradNode | int:
        """Return the node that runs, as its sequence number alone if that suffices."""
        node: Any = _AUTOGRAD_NODE()
        if node is None:
            return NOWHERE
        if node.__class__ is _ACCUMULATE:
            number, parameter = self.admit_leaf(node.variable), self.name_of(node.variable)
            is_parameter = isinstance(node.variable, torch.nn.Parameter)
            return AutogradNode(NOWHERE.sequence, number, parameter, is_parameter)
        return int(node._sequence_nr()) - self.first_sequence

    # Reading

    def find(self, tensor: torch.Tensor) -> int | None:
        """Return the number of the tensor's storage if the step has touched it."""
        return self.numbers.get(address_of(tensor))

    def admit_leaf(self, leaf: torch.Tensor) -> int:
        """Note that the tensor has a gradient; return the number of its storage."""
        number = self._admit(leaf.untyped_storage(), -1)
        self.leaves[number] = isinstance(leaf, torch.nn.Parameter) or bool(self.name_of(leaf))
        self._leaf_tensors.append((weakref.ref(leaf), number))
        return number

    def replaced(self) -> Iterator[tuple[int, int]]:
        """Yield the leaves whose storage was replaced: its number before, and now (or -1)."""
        for reference, before in self._leaf_tensors:
            leaf = reference()
            now = before if leaf is None else self.find(leaf)
            if now != before:
                yield before, -1 if now is None else now

    def target(self) -> int:
        """Return the storage of the last call's first tensor, -1 if it has none."""
        for item in self.flat[self.starts[-1] + HEAD :]:
            if item.__class__ is tuple:
                return int(item[0])
        return -1

    def mark_gradient(self, tensor: torch.Tensor, parameter: str) -> None:
        """Note that the tensor is the gradient of a parameter."""
        self.gradients.setdefault(self._admit(tensor.untyped_storage(), -1), parameter)

    def records(self, start: int = 0) -> Iterator[RecordedCall]:
        """Yield the calls from number `start` on."""
        return (self.record(call) for call in range(start, len(self)))

    def record(self, call: int) -> RecordedCall:
        """Return call number `call`."""
        items, offsets = self.items(call)
        signature, spot, grad, newest, node, count = items[:HEAD]
        node = AutogradNode(node) if node.__class__ is int else node
        values = values_of(iter(items[HEAD:]), iter(offsets))
        operands = [next(values) for _ in range(count)]
        keywords = {name: next(values) for name in self.keyword_names.get(call, ())}
        return RecordedCall(signature, operands, keywords, list(values), spot, grad, newest, node)

    def items(self, call: int) -> tuple[list[Any], list[int]]:
        """Return the items of a call, and the offsets of its plain tensors in order."""
        last = call + 1 == len(self.starts)
        end = None if last else self.starts[call + 1]
        offset_end = None if last else self.offset_starts[call + 1]
        offsets = self.offsets[self.offset_starts[call] : offset_end]
        return self.flat[self.starts[call] : end], offsets

    def release(self) -> None:
        """Release the storages but keep the calls: `find` finds nothing any more."""
        free: Any = torch.UntypedStorage._free_weak_ref
        for reference in filter(None, self.weak):
            free(reference)
        self.weak.clear()
        self.numbers.clear()


def address_of(tensor: torch.Tensor) -> int:
    """Return the identity of the tensor's storage, unique while the storage lives."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError, ValueError):  # ValueError: not initialised yet
        return 0
