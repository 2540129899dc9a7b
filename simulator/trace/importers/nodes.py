"""A trace as a tree of events, and the ops in it that do the work."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.trace.gemms import products
from simulator.trace.importers.names import (
    base_name,
    is_accumulation,
    is_backward,
    is_compiled,
    is_composite,
    is_idle,
    is_loss,
    is_step,
    kind_by_name,
    marked_phase,
    module_name,
)
from simulator.trace.importers.signature import signature
from simulator.trace.op import OpKind, Phase, Tensor


@dataclass(slots=True, eq=False)
class Node:
    """One event: an op, an autograd node, a marker or a module.

    `inputs` are tensors, tuples of them, or plain values; `outputs` is None if the format has none.
    `seq` is the autograd sequence number or -1, counted per `thread`; `forward_thread` is the
    thread of the forward op of a backward node. `label`: a name given by the user. `measured_ns` is
    0 if not measured, None if the end was lost.
    """

    order: float
    name: str
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Tensor, ...] | None = None
    schema: str = ""
    seq: int = -1
    thread: int = 0
    forward_thread: int = 0
    label: bool = False
    measured_ns: int | None = 0
    children: "list[Node]" = field(default_factory=list)

    @property
    def base(self) -> str:
        """Name as an op, "" for any other event."""
        return base_name(self.name)

    @property
    def annotates(self) -> bool:
        """Whether it only labels what happens meanwhile; it may outlive the op around its start."""
        return self.label or bool(module_name(self.name))


@dataclass(frozen=True, slots=True)
class NodeScope:
    """What surrounds an op.

    `backward` is thread and sequence number of the forward op that is differentiated, `outer` the
    outermost op around it, `seq` the innermost sequence number; `labels` and `modules` are listed
    outermost first; `compiled` in code made by torch.compile.
    """

    marker: Phase | None = None
    in_backward: bool = False
    backward: tuple[int, int] | None = None
    accumulates: bool = False
    outer: Node | None = None
    seq: int = -1
    loss: bool = False
    labels: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    compiled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class OpEvent:
    """An op that does the work, and its scope."""

    node: Node
    scope: NodeScope


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """Where a step may start: `node` is the profiler's step marker or one of PyTorch's own."""

    node: Node


def nested(events: Iterable[tuple[float, float, Node]]) -> list[Node]:
    """Return the root events of a thread, with all others as their children.

    Events come in order of their start, as (time, end, node). `time` is when an enclosing event
    must still be open: the start or, if unknown, the end.
    """
    roots: list[Node] = []
    open_: list[tuple[float, Node]] = []
    for time, end, node in events:
        while open_ and open_[-1][0] <= time:
            open_.pop()
        beside = []
        while open_ and not _encloses(open_[-1][0], time, end):
            beside.append(open_.pop())
        (open_[-1][1].children if open_ else roots).append(node)
        calls = bool(open_) and not open_[-1][1].annotates
        open_.append((min(end, open_[-1][0]) if calls else end, node))
        if beside and node.annotates:
            open_ += reversed(beside)
    return roots


def _encloses(outer_end: float, time: float, end: float) -> bool:
    """Return whether an event that is open until `outer_end` encloses another one.

    No callee outlives its caller, but times are rounded: an event that overlaps the end is inside
    if most of it is.
    """
    return end <= outer_end or 2 * (end - outer_end) <= end - time


def flattened(roots: list[Node]) -> list[OpEvent | Mark]:
    """Return the ops that do the work, and the step marks, in order of their start."""
    entries: list[OpEvent | Mark] = []
    for root in roots:
        entries += _visit(root, NodeScope())
    # A file lists events by thread, in the order of their ends.
    return sorted(entries, key=lambda entry: entry.node.order)


def _visit(node: Node, scope: NodeScope) -> Iterator[OpEvent | Mark]:
    if is_step(node.name) or marked_phase(node.name) is not None:
        yield Mark(node)
    inner = _scope(node, scope)
    if node.base and _does_work(node):
        yield OpEvent(node, inner)
        return
    for child in node.children:
        yield from _visit(child, inner)


def _does_work(node: Node) -> bool:
    """Return whether an op stands for its work, rather than the ops that it calls.

    An op that calls its own name only casts, or picks a variant, first.
    """
    base = node.base
    kind = kind_by_name(base)
    called = [child.base for child in node.children if child.base]
    if is_composite(base):
        # If its end was lost, the ops that it called seem to follow it.
        return not called and kind is OpKind.GEMM and node.measured_ns is not None
    if not called:
        return not is_idle(base) and (node.name.startswith("aten::") or bool(node.inputs))
    if kind is None:
        own = "::" in base or any(name.startswith("empty") for name in called)
        return own and not any(map(_works, called))
    return base not in called and (kind is not OpKind.GEMM or not _understood_inside(node))


def _works(base: str) -> bool:
    return not is_idle(base) and kind_by_name(base) is not OpKind.VIEW


def _understood_inside(node: Node) -> bool:
    """Return whether a product of unknown size calls products of known size."""
    return not _is_understood(node) and any(map(_is_understood, _descendants(node)))


def _is_understood(node: Node) -> bool:
    base = node.base
    if kind_by_name(base) is not OpKind.GEMM:
        return False
    return bool(products(base, signature(base, node.schema).named(node.inputs)))


def _descendants(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _descendants(child)


def _scope(node: Node, scope: NodeScope) -> NodeScope:
    if node.base:
        return replace(
            scope,
            outer=scope.outer or node,
            seq=node.seq if node.seq >= 0 else scope.seq,
            loss=scope.loss or is_loss(node.base),
        )
    if is_backward(node.name):
        forward = next((each for each in (node, *node.children) if _numbered(each)), None)
        key = (forward.forward_thread, forward.seq) if forward else None
        accumulates = is_accumulation(node.name)
        return NodeScope(scope.marker, True, key, accumulates, labels=scope.labels)
    return _annotated(node, scope)


def _annotated(node: Node, scope: NodeScope) -> NodeScope:
    """Return the scope inside an event that only labels what happens meanwhile."""
    phase = marked_phase(node.name)
    if phase is not None:
        return replace(scope, marker=phase)
    if module := module_name(node.name):
        loss = scope.loss or (not scope.modules and module.rpartition("_")[0].endswith("Loss"))
        return replace(scope, modules=(*scope.modules, module), loss=loss)
    if is_compiled(node.name):
        return replace(scope, compiled=True)
    if node.label and not is_step(node.name):
        return replace(scope, labels=(*scope.labels, node.name))
    return scope


def _numbered(node: Node) -> bool:
    """Return whether an event is an autograd node with a sequence number."""
    return node.seq >= 0 and not node.base
