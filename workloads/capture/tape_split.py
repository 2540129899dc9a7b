"""Splits a tape: some of its calls on a tape of their own."""

from collections.abc import Sequence
from typing import Any

import torch

from workloads.capture.layout import HEAD
from workloads.capture.operands import AutogradNode, Ragged, Sparse, TensorWindow
from workloads.capture.tape import Tape


def cut(tape: Tape, call: int) -> Tape:
    """Remove the calls from number `call` on; return them as a tape of their own."""
    rest = select(tape, range(call, len(tape)))
    if call < len(tape):
        del tape.flat[tape.starts[call] :]
        del tape.offsets[tape.offset_starts[call] :]
        del tape.starts[call:], tape.offset_starts[call:], tape.measured_ns[call:]
    return rest


def select(tape: Tape, calls: Sequence[int]) -> Tape:
    """Return a tape of these calls alone, its storages numbered by their first use there."""
    target = Tape(tape.name_of)
    copy = _Copy(tape, target, {call: place for place, call in enumerate(calls)})
    for call in calls:
        copy.take(call)
    return target


class _Copy:
    """Copies calls from one tape to another."""

    def __init__(self, source: Tape, target: Tape, places: dict[int, int]) -> None:
        self._source = source
        self._target = target
        self._places = places
        self._numbers: dict[int, int] = {}
        self._shift = 0

    def take(self, call: int) -> None:
        source, target = self._source, self._target
        items, offsets = source.items(call)
        if not len(target):
            self._shift = items[3]  # 0 where grad mode is off
            target.first_sequence = source.first_sequence + self._shift
        if call in source.keyword_names:
            target.keyword_names[len(target)] = source.keyword_names[call]
        target.starts.append(len(target.flat))
        target.offset_starts.append(len(target.offsets))
        newest = items[3] - self._shift if items[2] else 0
        target.flat += [*items[:3], newest, self._node(items[4]), items[5]]
        target.flat += [self._item(item) for item in items[HEAD:]]
        target.offsets += offsets
        target.measured_ns += source.measured_ns[call : call + 1]

    def _node(self, node: AutogradNode | int | None) -> AutogradNode | int | None:
        if isinstance(node, int):
            return node - self._shift
        if node is not None and node.leaf >= 0:
            return node._replace(leaf=self._number(node.leaf))
        return node

    def _item(self, item: Any) -> Any:
        if item.__class__ is tuple or item.__class__ is TensorWindow:
            return tuple.__new__(item.__class__, (self._number(item[0]), *item[1:]))
        if item.__class__ in (Sparse, Ragged):
            return item._replace(parts=tuple(map(self._item, item.parts)))
        return item

    def _number(self, old: int) -> int:
        new = self._numbers.get(old)
        if new is None:
            new = self._numbers[old] = len(self._target.sizes)
            self._admit(old)
        return new

    def _admit(self, old: int) -> None:
        source, target = self._source, self._target
        target.sizes.append(source.sizes[old])
        target.makers.append(self._places.get(source.makers[old], -1))
        if old in source.leaves:
            target.leaves[len(target.sizes) - 1] = source.leaves[old]
        if old in source.updated:
            target.updated.add(len(target.sizes) - 1)
        if old in source.gradients:
            target.gradients[len(target.sizes) - 1] = source.gradients[old]
        reference = source.weak[old]
        storage = torch.UntypedStorage._new_with_weak_ptr(reference) if reference else None
        target.weak.append(storage._weak_ref() if storage is not None else 0)
        if storage is not None:  # nobody asks for the address of a dead one
            target.numbers[storage._cdata] = len(target.sizes) - 1
