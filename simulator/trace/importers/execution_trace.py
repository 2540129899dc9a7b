"""Execution traces of PyTorch (ExecutionTraceObserver): ops with tensors and their identities."""

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.trace.importers.calls import DTYPES, contiguous, tensors_in
from simulator.trace.importers.drafting import Drafter
from simulator.trace.importers.identities import Identities, Owners
from simulator.trace.importers.names import module_name
from simulator.trace.importers.nodes import Node
from simulator.trace.importers.program import (
    assembled,
    draft_steps,
    find_gradients,
    name_layers,
    read_program,
    title,
)
from simulator.trace.importers.stream import entries
from simulator.trace.op import Tensor
from simulator.trace.trace import StorageKind, Trace

_MAJOR = "1"
_USER_SCOPE = 7  # at::RecordScope::USER_SCOPE
_THREADS = "[pytorch|"


def detects(text: str) -> bool:
    """Tell whether a file that begins like this is an execution trace."""
    return '"schema"' in text and '"nodes"' in text and '"traceEvents"' not in text


def import_execution_trace(path: Path) -> Trace:
    """Return the run in an execution trace of any schema 1.x, plain or gzip.

    Raises InputError for a file that is damaged, of another major schema, or without a network.
    """
    schema, roots = _tree(path)
    memory = Identities()
    program = read_program(path, roots, memory)
    owners = Owners(program.steps, memory.external)
    weights = frozenset(owners.weights) or None
    drafted = draft_steps(path, program, lambda: Drafter(weights, frozenset(owners.constants)))
    for drafter in drafted:
        find_gradients(drafter)
    for storage, name in name_layers(drafted).items():
        owners.owned.setdefault(storage, (StorageKind.PARAMETER, name))
    notes = ["layers by the order of ops", "parameters by what the optimizer changes"]
    if weights is None:
        guessed = sum(drafter.guessed for drafter in drafted)
        notes[1:] = ["no parameters (no optimizer step)", f"roles of {guessed} products by shape"]
    if program.left_out:
        notes.append(f"{program.left_out} ops outside the steps left out")
    origin = {"tool": "PyTorch execution trace", "schema": schema, "inferred": "; ".join(notes)}
    return assembled(title(path), program, drafted, owners.owned, origin)


# Reading


def _tree(path: Path) -> tuple[str, list[Node]]:
    """Return the schema of the file and its roots."""
    schema = ""
    nodes: dict[int, tuple[int, Node]] = {}
    for key, value in entries(path, "nodes"):
        if key == "schema":
            schema = str(value)
            _check(path, schema)
        elif key == "nodes":
            try:
                number, parent, node = _node(value)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise InputError(
                    f"{path}: node {len(nodes)} is not as schema {schema} has it "
                    f"({type(error).__name__}: {error}): record the trace again"
                ) from None
            nodes[number] = parent, node
    if not schema:
        raise InputError(f"{path} is no execution trace: it names no schema")
    return schema, _linked(nodes)


def _check(path: Path, schema: str) -> None:
    if schema.partition(".")[0] != _MAJOR:
        raise InputError(
            f"{path} has schema {schema}, and this trainsoc reads 1.x: upgrade trainsoc, or record "
            "the trace with a PyTorch that writes 1.x"
        )


def _linked(nodes: dict[int, tuple[int, Node]]) -> list[Node]:
    roots = []
    for number, (parent, node) in nodes.items():
        if parent in nodes and parent != number:
            nodes[parent][1].children.append(node)
        else:
            roots.append(node)
    return roots


def _node(entry: dict[str, Any]) -> tuple[int, int, Node]:
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
        int(entry["id"]),
        name,
        _values(inputs),
        tuple(tensor for value in _values(outputs) for tensor in tensors_in(value)),
        sys.intern(str(facts.get("op_schema") or "")),
        int(facts.get("seq_id", -1)),
        int(facts.get("tid", 0)),
        int(facts.get("fw_tid", 0)),
        facts.get("scope") == _USER_SCOPE and not name.startswith(_THREADS),
    )
    node.label &= not module_name(name)
    return int(entry["id"]), int(parent), node


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


@lru_cache(maxsize=4096)
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
    if len(strides) != len(shape):
        strides = contiguous(shape)
    return _shared(int(storage), DTYPES.get(dtype, "float32"), shape, strides, int(offset))


@lru_cache(maxsize=1 << 16)
def _shared(
    storage: int, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> Tensor:
    """Return one object for all that describe the same window: traces repeat themselves."""
    return Tensor(storage, dtype, shape, strides, offset)
