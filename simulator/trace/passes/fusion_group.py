"""A group of ops that fuse: a head, and the riders that follow it element by element."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.trace.accesses import NEAR, loops_of
from simulator.trace.op import Op, OpKind, Tensor
from simulator.trace.op_kinds import KIND_FACTS

_Extent = tuple[int, int, int]


class _Made(NamedTuple):
    """What a member of a group has written to a window: can riders read it element by element?"""

    tensor: Tensor
    member: int
    whole: bool


class FusionGroup:
    """A head and its riders, which grow."""

    def __init__(self, index: int, head: Op) -> None:
        """Begin with `head`, op `index` of the step."""
        self.indices = [index]
        self.ops = [head]
        self._made: dict[_Extent, _Made] = {}
        self._touched: dict[int, set[_Extent]] = {}
        self._add_tensors(head)

    def takes(self, op: Op, *, recomputes: bool) -> bool:
        """Return whether `op` reads what the group has made, over the same elements; the group may
        compute that again for each scan if the machine `recomputes`.
        """
        head = self.ops[0]
        if (
            not KIND_FACTS[op.kind].fuses
            or op.phase is not head.phase
            or op.random
            or not op.outputs
        ):
            return False
        if not all(map(self._is_clear, (*op.inputs, *op.outputs))):
            return False
        if not _scans_once(op) and not (recomputes and self._is_cheap_again(_scans(op))):
            return False
        if _is_by_row(op) and any(map(_is_by_row, self.ops)):
            return False  # a trace does not say whether both have the same rows
        made = [self._made[t.extent] for t in op.inputs if t.extent in self._made]
        return bool(made) and all(each.whole for each in made) and _elements(made) == _domain(op)

    def _is_cheap_again(self, scans: int) -> bool:
        """Return whether a rider of `scans` moves no more where it reads all that the group does in
        each of them than where the group stores its result once.
        """
        made = {tensor.extent for tensor, _, _ in self._made.values()}
        read = {t.extent: t.bytes for op in self.ops for t in op.inputs if t.extent not in made}
        result = max(tensor.bytes for tensor, _, _ in self._made.values())
        return (scans - 1) * sum(read.values()) <= (scans + 1) * result

    def touches(self, op: Op) -> bool:
        """Return whether `op` has a storage that the group has made."""
        made = {tensor.storage for tensor, _, _ in self._made.values()}
        return any(tensor.storage in made for tensor in (*op.inputs, *op.outputs))

    def add(self, index: int, op: Op) -> None:
        """Append a rider, or a view on the way to one."""
        self.indices.append(index)
        self.ops.append(op)
        if op.kind is not OpKind.VIEW:
            self._add_tensors(op)

    def _is_clear(self, tensor: Tensor) -> bool:
        """Return whether the group has touched nothing of the storage of `tensor` but all of it."""
        return self._touched.get(tensor.storage, set()) <= {tensor.extent}

    def _add_tensors(self, op: Op) -> None:
        for tensor in (*op.inputs, *op.outputs):
            self._touched.setdefault(tensor.storage, set()).add(tensor.extent)
        largest = max((tensor.elements for tensor in op.outputs), default=0)
        for tensor in op.outputs:
            by_element = KIND_FACTS[op.kind].fuses == "element" or bool(op.gemms)
            whole = by_element or (_is_by_row(op) and tensor.elements == largest)
            self._made[tensor.extent] = _Made(tensor, len(self.ops) - 1, whole)


def _is_by_row(op: Op) -> bool:
    return KIND_FACTS[op.kind].fuses == "row"


def _scans_once(op: Op) -> bool:
    """Return whether an element or a row passes the cores once, in all loops of the op."""
    return all(len(loop.behind(NEAR)) <= 1 for loop in loops_of(op))


def _scans(op: Op) -> int:
    return max(len(loop.behind(NEAR)) for loop in loops_of(op))


def _elements(made: Iterable[_Made]) -> int:
    """Return the elements that a rider reads of the member of which it reads most."""
    sums: dict[int, int] = {}
    for tensor, member, _ in dict.fromkeys(made):
        sums[member] = sums.get(member, 0) + tensor.elements
    return max(sums.values())


def _domain(op: Op) -> int:
    """Return the elements over which an op loops."""
    how = KIND_FACTS[op.kind].fuses
    if how == "sum":
        return max(tensor.elements for tensor in op.inputs)
    if how == "row":
        return max(tensor.elements for tensor in op.outputs)
    return sum(tensor.elements for tensor in op.outputs)
