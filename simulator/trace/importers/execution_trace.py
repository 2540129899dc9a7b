"""Execution traces of PyTorch (ExecutionTraceObserver): ops, tensors and tensor identities."""

import sys
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.memo import remember
from simulator.trace.importers.doubts import doubts
from simulator.trace.importers.drafting import Drafter
from simulator.trace.importers.identities import Identities, Owners
from simulator.trace.importers.names import module_name
from simulator.trace.importers.nodes import Node, nested
from simulator.trace.importers.program import (
    ImportedRun,
    assembled,
    draft_steps,
    find_gradients,
    name_layers,
    read_run,
    title,
)
from simulator.trace.importers.stream import entries
from simulator.trace.importers.values import MALFORMED, complaint, tensor_of, tensors_in, whole
from simulator.trace.op import Tensor
from simulator.trace.trace import StorageKind, Trace

_MAJOR = "1"
_USER_SCOPE = 7  # at::RecordScope::USER_SCOPE
_THREADS = "[pytorch|"
_NodeRecord = tuple[int, int, Node]  # number, number of the parent, node


def detects(text: str) -> bool:
    """Return whether a file that begins like this is an execution trace."""
    return '"schema"' in text and '"nodes"' in text and '"traceEvents"' not in text


def import_execution_trace(path: Path) -> Trace:
    """Return the run in an execution trace of any schema 1.x, plain or gzip.

    Raises InputError for a file that is damaged, of another major schema, or without a network.
    """
    schema, records = _read_nodes(path)
    resolver = Identities()
    run = read_run(path, [_linked(records)], resolver)
    owners = Owners(run.steps, resolver.external)
    weights = frozenset(owners.weights) or None
    drafted = draft_steps(run, lambda: Drafter(weights, frozenset(owners.constants)))
    for drafter in drafted:
        find_gradients(drafter)
    for storage, name in name_layers(drafted).items():
        owners.owned.setdefault(storage, (StorageKind.PARAMETER, name))
    notes = _notes(run, drafted, weights is not None, _unfinished(records))
    origin = {"tool": "PyTorch execution trace", "schema": schema, "inferred": "; ".join(notes)}
    origin |= doubts(run, timed=False)
    return assembled(title(path), run, drafted, owners.owned, origin)


def _notes(run: ImportedRun, drafted: list[Drafter], updated: bool, unfinished: int) -> list[str]:
    guessed = sum(drafter.guessed for drafter in drafted)
    by_shape = f"roles of {guessed} products by shape"
    notes = [
        "layers by the order of ops",
        "parameters by what the optimizer changes"
        if updated
        else f"no parameters (no optimizer step); {by_shape}",
    ]
    if run.numbers:
        notes.append(f"{run.numbers} operands of one element taken for numbers")
    if unfinished:
        notes.append(
            f"{unfinished} ops that never ended (as where a checkpoint stops early) are not "
            "in the file"
        )
    if run.left_out:
        notes.append(f"{run.left_out} ops outside the steps left out")
    return notes


# Reading


def _read_nodes(path: Path) -> tuple[str, list[_NodeRecord]]:
    """Return the schema of the file and its nodes."""
    schema = ""
    records: list[_NodeRecord] = []
    for key, value in entries(path, "nodes"):
        if key == "schema":
            schema = str(value)
            _check(path, schema)
        elif key == "nodes" and not _on_device(value):
            try:
                records.append(_node(value))
            except MALFORMED as error:
                raise InputError(
                    f"{path}: node {len(records)} is not as schema {schema} has it "
                    f"({complaint(error)}): record the trace again"
                ) from None
    if not schema:
        raise InputError(f"{path} is no execution trace: it names no schema")
    return schema, records


def _on_device(entry: Any) -> bool:
    """Return whether a node is a kernel that another tool linked in: it has a Kineto category."""
    return isinstance(entry, dict) and "cat" in entry


def _check(path: Path, schema: str) -> None:
    if schema.partition(".")[0] != _MAJOR:
        raise InputError(
            f"{path} has schema {schema}, and this trainsoc reads 1.x: upgrade trainsoc, or record "
            "the trace with a PyTorch that writes 1.x"
        )


def _linked(records: list[_NodeRecord]) -> list[Node]:
    """Return the root nodes, with all others as their children.

    Nodes are numbered when they start and written when they end, and the two orders give the
    nesting. The parent field does not: an exception (a checkpoint that stops early) leaves a node
    open, and everything later names it as its parent. Only a file in another order, or renumbered
    by another tool, is nested by that field.
    """
    numbers = {number for number, _, _ in records}
    if any(parent > number and parent in numbers for number, parent, _ in records):
        return _by_file_order(records)
    ends = {number: end for end, (number, _, _) in enumerate(records)}
    if not any(ends.get(parent, -1) > ends[number] for number, parent, _ in records):
        return _by_parents(records)
    threads: dict[int, list[tuple[int, int, Node]]] = {}
    for number, _, node in sorted(records, key=lambda entry: entry[0]):
        threads.setdefault(node.thread, []).append((ends[number], ends[number], node))
    return [root for events in threads.values() for root in nested(events)]


def _by_file_order(records: list[_NodeRecord]) -> list[Node]:
    """Return the roots of nodes that are written before their children.

    Their numbers give no order, so a node starts when its first descendant does.
    """
    parents = {number: parent for number, parent, _ in records}
    begins: dict[int, int] = {}
    for place, (number, _, _) in enumerate(records):
        above: int | None = number
        while above is not None and above not in begins:
            begins[above] = place
            above = parents.get(above)
    for number, _, node in records:
        node.order = begins[number]
    return _by_parents(records)


def _unfinished(records: list[_NodeRecord]) -> int:
    """Return how many parents are missing in the file: nodes that an exception ended."""
    numbers = {number for number, _, _ in records}
    return len({parent for _, parent, _ in records if parent > 0} - numbers)


def _by_parents(records: list[_NodeRecord]) -> list[Node]:
    nodes = {number: node for number, _, node in records}
    roots: list[Node] = []
    for number, parent, node in records:
        is_root = parent == number or parent not in nodes
        (roots if is_root else nodes[parent].children).append(node)
    return roots


def _node(entry: dict[str, Any]) -> _NodeRecord:
    if "attrs" in entry:
        facts = {attr["name"]: attr["value"] for attr in entry["attrs"]}
        inputs, outputs, parent = entry["inputs"], entry["outputs"], entry["ctrl_deps"]
    else:
        facts, parent = entry, entry["parent"]
        inputs, outputs = (
            {
                "values": entry[f"{side}s"],
                "shapes": entry[f"{side}_shapes"],
                "types": entry[f"{side}_types"],
            }
            for side in ("input", "output")
        )
    name = sys.intern(str(entry["name"]))
    node = Node(
        whole("id", entry["id"]),
        name,
        _values(inputs),
        tuple(tensor for value in _values(outputs) for tensor in tensors_in(value)),
        sys.intern(str(facts.get("op_schema") or "")),
        whole("seq_id", facts.get("seq_id", -1)),
        whole("tid", facts.get("tid", 0)),
        whole("fw_tid", facts.get("fw_tid", 0)),
        facts.get("scope") == _USER_SCOPE and not name.startswith(_THREADS),
    )
    node.label &= not module_name(name)
    return int(node.order), whole("parent", parent), node


def _values(side: dict[str, Any]) -> tuple[Any, ...]:
    values, shapes, types = side["values"], side["shapes"], side["types"]
    strides = side.get("strides") or [[]] * len(values)
    return tuple(map(_value, values, shapes, types, strides))


def _value(value: Any, shape: Any, kind: str, strides: Any) -> Any:
    if kind.startswith("Tensor("):
        return _tensor(value, tuple(shape), kind, tuple(strides or ()))
    if kind.startswith("GenericList["):
        kinds = _elements(kind)
        if not any(each.startswith("Tensor(") for each in kinds):
            return tuple(value)
        inner = strides or [()] * len(kinds)
        return tuple(map(_value, value, shape, kinds, inner))
    return None if kind == "None" else value


@remember("element types of a list", most=4096)
def _elements(kind: str) -> tuple[str, ...]:
    inside = kind.removeprefix("GenericList[").removesuffix("]")
    return tuple(inside.split(",")) if inside else ()


def _tensor(
    value: list[Any], shape: tuple[int, ...], kind: str, strides: tuple[int, ...]
) -> Tensor | None:
    _, storage, offset, *_ = value
    if "nullptr" in kind:
        return None
    dtype = kind.removeprefix("Tensor(").removesuffix(")")
    return tensor_of(int(storage), dtype, shape, strides, int(offset))
