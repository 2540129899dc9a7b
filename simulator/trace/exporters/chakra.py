"""One step as a Chakra execution trace (MLCommons, schema 1.0), which ASTRA-sim's roofline reads.

The file is a sequence of protobuf messages, each after its length: one GlobalMetadata, then Nodes.
Field numbers are those of `schema/protobuf/et_def.proto`, package ChakraProtoMsg.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from simulator.files.writing import put
from simulator.trace.collectives import Collective, collective
from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.storage import unwritable
from simulator.trace.trace import Step, Trace, dependences

_VERSION = "1.0.0"
_COMP_NODE, _COMM_SEND_NODE, _COMM_RECV_NODE, _COMM_COLL_NODE = 4, 5, 6, 7
_COMM_TYPES = {
    Collective.ALL_REDUCE: 0, Collective.REDUCE: 1, Collective.ALL_GATHER: 2, Collective.GATHER: 3,
    Collective.SCATTER: 4, Collective.BROADCAST: 5, Collective.ALL_TO_ALL: 6,
    Collective.REDUCE_SCATTER: 7, Collective.BARRIER: 9,
}  # fmt: skip
_VARINT, _BYTES = 0, 2  # protobuf wire types
_METADATA = {"version": 1, "attr": 2}
_NODE = {"id": 1, "name": 2, "type": 3, "data_deps": 5, "duration_micros": 7, "attr": 10}
_ATTR = {"name": 1, "int64": 9, "uint64": 13, "bool": 27, "string": 29}
_PS_PER_US = 1_000_000


def export_chakra(trace: Trace, path: str | os.PathLike[str], step: int | None = None) -> None:
    """Write a distinct step of `trace`, by default the typical one, to `path`.

    Views move no data and are left out; collectives are nodes of their own kinds; the id of a node
    is the index of its op. Attributes: `num_ops` (2 x MACs of GEMMs, else elements), `tensor_size`
    (bytes read and written), `is_cpu_op`, `phase`, `layer`, `kind`; of collectives also `comm_type`
    and `comm_size` (bytes that the device sends). Raises InputError if there is no such step or the
    file cannot be written.
    """
    index = trace.chosen(step)
    data = b"".join(_varint(len(message)) + message for message in _messages(trace, index))
    try:
        put(Path(path), data)
    except OSError as error:
        raise unwritable(path, error) from None


def num_ops(op: Op) -> int:
    """Return the operations of an op: 2 x MACs of its GEMMs, else the elements of its largest
    tensor.
    """
    if op.gemms:
        return 2 * sum(gemm.macs for gemm in op.gemms)
    return max((tensor.elements for tensor in (*op.inputs, *op.outputs)), default=0)


def collective_of(op: Op) -> Collective | None:
    """Return the kind of a collective op of the training, None for any other op.

    DistributedDataParallel also broadcasts its gradient buckets once, as integers: that is no part
    of a repeated step.
    """
    space, _, rest = op.name.partition(".")
    kind = collective(f"{space}::{rest.partition('.')[0]}")
    own = op.phase is Phase.OTHER and not any(tensor.is_float for tensor in op.inputs)
    return None if kind is Collective.BROADCAST and own else kind


def _messages(trace: Trace, index: int) -> Iterator[bytes]:
    facts = {"trace": trace.name, "digest": trace.digest, "step": str(index), "tool": "trainsoc"}
    attributes = (_text_attribute(name, value) for name, value in facts.items())
    yield _text(_METADATA["version"], _VERSION) + _repeated(_METADATA["attr"], attributes)
    times = trace.timings[index].ops_ps if trace.timings else ()
    yield from _nodes(trace.steps[index], times)


def _nodes(step: Step, times_ps: tuple[int, ...]) -> Iterator[bytes]:
    for index, (op, waits) in enumerate(zip(step.ops, dependences(step), strict=True)):
        if op.kind is not OpKind.VIEW:
            yield _node(index, op, waits, times_ps[index] if times_ps else 0)


def _node(index: int, op: Op, waits: tuple[int, ...], time_ps: int) -> bytes:
    attributes = [
        _attribute("is_cpu_op", _number(_ATTR["bool"], 0)),  # ASTRA-sim places it
        _attribute("num_ops", _number(_ATTR["int64"], num_ops(op))),
        _attribute("tensor_size", _number(_ATTR["uint64"], op.read_bytes + op.write_bytes)),
        _text_attribute("phase", op.phase.value),
        _text_attribute("layer", op.layer),
        _text_attribute("kind", op.kind.value),
    ]
    kind = collective_of(op)
    if kind is not None:
        attributes += _communication(op, kind)
    return b"".join(
        (
            _number(_NODE["id"], index),
            _text(_NODE["name"], op.name),
            _number(_NODE["type"], _node_type(kind)),
            _message(_NODE["data_deps"], b"".join(map(_varint, waits))) if waits else b"",
            _number(_NODE["duration_micros"], round(time_ps / _PS_PER_US)),
            _repeated(_NODE["attr"], attributes),
        )
    )


def _node_type(kind: Collective | None) -> int:
    ends = {Collective.SEND: _COMM_SEND_NODE, Collective.RECEIVE: _COMM_RECV_NODE}
    return _COMP_NODE if kind is None else ends.get(kind, _COMM_COLL_NODE)


def _communication(op: Op, kind: Collective) -> Iterator[bytes]:
    if kind in _COMM_TYPES:
        yield _attribute("comm_type", _number(_ATTR["int64"], _COMM_TYPES[kind]))
    yield _attribute("comm_size", _number(_ATTR["int64"], op.read_bytes or op.write_bytes))


# Protobuf's encoding


def _varint(value: int) -> bytes:
    """Return a number as a varint: groups of 7 bits, lowest first, all but the last flagged."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*groups, value))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _repeated(field: int, contents: Iterable[bytes]) -> bytes:
    return b"".join(_message(field, content) for content in contents)


def _attribute(name: str, value: bytes) -> bytes:
    return _text(_ATTR["name"], name) + value


def _text_attribute(name: str, value: str) -> bytes:
    return _attribute(name, _text(_ATTR["string"], value))
