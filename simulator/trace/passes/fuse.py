"""Fusion: ops that follow one another element by element become one, and what lies between them is
never stored.

A group is a head (a product, or an op over elements) and the riders that follow it directly, but
for views. A rider reads what the group has made, over the same elements, and computes each element
in one scan; in several where the machine computes again what they read. Since no other work lies
between them, fusing delays nothing that could run earlier.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from simulator.trace.memory import occupancy
from simulator.trace.op import Op, OpKind, Tensor
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.passes.fusion_group import FusionGroup
from simulator.trace.passes.rewrite import Pass
from simulator.trace.trace import Step, StorageKind

_Extent = tuple[int, int, int]


class Joining(Hashable, Protocol):
    """What a machine can fuse. Its text form tells it from others."""

    def joins(self, head: Op, rider: Op) -> bool:
        """Return whether `rider` can follow `head` in one piece of work on this machine."""

    def recomputes(self, head: Op) -> bool:
        """Return whether a group may compute again what a rider of several scans reads of it."""

    def copies(self, step: Step) -> tuple[int, ...]:
        """Return the most bytes of copies that units hold during each op of `step`, unfused."""


@dataclass(frozen=True)
class Fuse(Pass[Joining]):
    """Fuses what a machine can fuse, in all layers."""

    key: ClassVar[str] = "fusion"
    value_type: ClassVar[object] = None

    def apply(self, step: Step) -> Step:
        """Return `step` with groups of ops fused."""
        joining = self.of("")
        return step if joining is None else _fused(step, joining)


def saved_bytes(op: Op) -> int:
    """Return the bytes that fusing the parts of `op` spares the memory, caches aside."""
    ends = op.read_bytes + op.write_bytes
    return sum(part.read_bytes + part.write_bytes for part in op.parts) - ends if op.parts else 0


def _fused(step: Step, joining: Joining) -> Step:
    groups = [group for group in _groups(step.ops, joining) if len(group) > 1]
    if not groups:
        return step
    fit = _FusedMemory(step, joining.copies(step))
    fused_at: dict[int, Op] = {}
    groups = [members for group in groups for members in fit.whole(group)]
    for members in groups:
        fused_at[members[-1]] = fit.fused(members)
    gone = {index for members in groups for index in members[:-1]}
    home = {index: members[-1] for members in groups for index in members}
    order = [index for index in range(len(step.ops)) if index not in gone]
    number = {old: new for new, old in enumerate(order)} | {-1: -1}
    ops = (fused_at.get(index, step.ops[index]) for index in order)
    renumbered = (replace(op, forward=number[home.get(op.forward, op.forward)]) for op in ops)
    return replace(step, ops=tuple(renumbered))


def _groups(ops: Sequence[Op], joining: Joining) -> Iterator[list[int]]:
    """Yield the indices of each group, in order: views between two members on the way to one are
    members, others stay where they are.
    """
    group: FusionGroup | None = None
    views: list[int] = []
    for index, op in enumerate(ops):
        if op.kind is OpKind.VIEW:
            views.append(index)
            continue
        if group is not None and _takes(group, op, joining):
            for view in (view for view in views if group.touches(ops[view])):
                group.add(view, ops[view])
            group.add(index, op)
        else:
            if group is not None:
                yield group.indices
            can_begin = (op.gemms or KIND_FACTS[op.kind].fuses) and not op.random
            group = FusionGroup(index, op) if can_begin else None
        views = []
    if group is not None:
        yield group.indices


def _takes(group: FusionGroup, op: Op, joining: Joining) -> bool:
    head = group.ops[0]
    return group.takes(op, recomputes=joining.recomputes(head)) and joining.joins(head, op)


def _last_uses(ops: Sequence[Op]) -> dict[int, int]:
    """Return the last op that touches each storage, views aside."""
    return {
        tensor.storage: index
        for index, op in enumerate(ops)
        if op.kind is not OpKind.VIEW
        for tensor in (*op.inputs, *op.outputs)
    }


class _FusedMemory:
    """Fuses groups of a step, as far as the step then needs no more memory than before.

    A fused op holds all that its parts read and write at once, which the parts may not, and the
    copies that a unit has of its head's operands.
    """

    def __init__(self, step: Step, copies: Sequence[int]) -> None:
        self._step, self._last_use = step, _last_uses(step.ops)
        self._live, self._copies = occupancy(step), copies
        self._peak = max(map(sum, zip(self._live.total, copies, strict=True)))
        self._ends: dict[int, list[int]] = {}  # storages that no op after this one touches
        for storage, (_, last) in self._live.live.items():
            self._ends.setdefault(last, []).append(storage)

    def whole(self, group: list[int]) -> Iterator[list[int]]:
        """Yield the group, without its last riders where it needs too much memory."""
        while len(group) > 1 and not self._fits(group):
            group = group[:-1]
            while self._step.ops[group[-1]].kind is OpKind.VIEW:
                group = group[:-1]
        if len(group) > 1:
            yield group

    def _fits(self, group: list[int]) -> bool:
        """Return whether the fused op needs no more than the step did, with copies or without."""
        needed = self._needed(group)
        fits = needed <= self._live.peak_bytes
        return fits and needed + self._copies[group[0]] <= self._peak

    def _needed(self, group: list[int]) -> int:
        """Return the bytes that are live while the fused op of a group runs."""
        first, last = group[0], group[-1]
        fused = self.fused(group)
        ends = {tensor.storage for tensor in (*fused.inputs, *fused.outputs)}
        inner = {t.storage for part in fused.parts for t in part.outputs} - ends
        sizes = self._live.sizes
        gone = {storage for index in range(first, last) for storage in self._ends.get(index, ())}
        still = sum(sizes[storage] for storage in gone & ends)
        spared = sum(sizes[storage] for storage in inner - gone)
        return self._live.total[last] + still - spared

    def fused(self, members: Sequence[int]) -> Op:
        """Return the op that does what the ops `members` do."""
        return _one(self._step, members, self._last_use)


def _one(step: Step, members: Sequence[int], last_use: dict[int, int]) -> Op:
    """Return the op that does what the ops `members` do."""
    parts = tuple(step.ops[index] for index in members)
    working = [part for part in parts if part.kind is not OpKind.VIEW]
    head = parts[0]
    reads: dict[_Extent, Tensor] = {}
    writes: dict[_Extent, Tensor] = {}
    for part in working:
        for tensor in part.inputs:
            if tensor.extent not in writes:
                reads.setdefault(tensor.extent, tensor)
        writes |= {tensor.extent: tensor for tensor in part.outputs}
    last = {tensor.storage for tensor in working[-1].outputs}
    passed = {tensor.storage for part in working[1:] for tensor in part.inputs} - last
    stored = {
        window: tensor
        for window, tensor in writes.items()
        if step.storages[tensor.storage].kind is not StorageKind.ACTIVATION
        or last_use[tensor.storage] > members[-1]
        or tensor.storage not in passed
    }
    name = " + ".join([head.name, *(part.base_name for part in working[1:])])
    gemms = tuple(
        replace(
            gemm,
            a=_index(reads, head.inputs, gemm.a),
            b=_index(reads, head.inputs, gemm.b),
            c=_result(stored, head, gemm.c),
        )
        for gemm in head.gemms
    )
    ends = tuple(reads.values()), tuple(stored.values())
    return replace(head, name=name, inputs=ends[0], outputs=ends[1], gemms=gemms, parts=parts)


def _index(windows: dict[_Extent, Tensor], tensors: Sequence[Tensor], which: int) -> int:
    """Return where a tensor of the head is among those of the fused op, -1 for a temporary."""
    return -1 if which < 0 else list(windows).index(tensors[which].extent)


def _result(stored: dict[_Extent, Tensor], head: Op, which: int) -> int:
    """Return which output of the fused op is the result of a product of its head: the last one that
    riders made of it where the result itself is not stored.
    """
    if which < 0:
        return which
    names, result = list(stored), head.outputs[which]
    if result.extent in names:
        return names.index(result.extent)
    alike = [i for i, tensor in enumerate(stored.values()) if tensor.elements == result.elements]
    return alike[-1]
