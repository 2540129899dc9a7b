"""A Chakra file is read by protobuf itself and says what the trace says."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("google.protobuf")

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from simulator.errors import InputError
from simulator.trace.exporters.chakra import export_chakra
from simulator.trace.importers import IMPORTERS
from simulator.trace.op import Op, OpKind, Phase, Tensor
from simulator.trace.storage import load_trace
from simulator.trace.trace import (
    Segment,
    Step,
    StepKind,
    Storage,
    StorageKind,
    Trace,
    dependences,
)
from tests.builders import StepBuilder, one_step_trace

FIELD = descriptor_pb2.FieldDescriptorProto
# mlcommons/chakra, schema/protobuf/et_def.proto: the fields that are used, by number
MESSAGES = {
    "AttributeProto": [
        ("name", 1, FIELD.TYPE_STRING), ("int64_val", 9, FIELD.TYPE_INT64),
        ("uint64_val", 13, FIELD.TYPE_UINT64), ("bool_val", 27, FIELD.TYPE_BOOL),
        ("string_val", 29, FIELD.TYPE_STRING),
    ],
    "GlobalMetadata": [("version", 1, FIELD.TYPE_STRING), ("*attr", 2, "AttributeProto")],
    "Node": [
        ("id", 1, FIELD.TYPE_UINT64), ("name", 2, FIELD.TYPE_STRING), ("type", 3, FIELD.TYPE_INT32),
        ("*ctrl_deps", 4, FIELD.TYPE_UINT64), ("*data_deps", 5, FIELD.TYPE_UINT64),
        ("start_time_micros", 6, FIELD.TYPE_UINT64), ("duration_micros", 7, FIELD.TYPE_UINT64),
        ("*attr", 10, "AttributeProto"),
    ],
}  # fmt: skip


def classes():
    file = descriptor_pb2.FileDescriptorProto(
        name="et_def.proto", package="ChakraProtoMsg", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = FIELD.LABEL_REPEATED if field.startswith("*") else FIELD.LABEL_OPTIONAL
            entry = message.field.add(name=field.lstrip("*"), number=number, label=label)
            if isinstance(kind, str):
                entry.type, entry.type_name = FIELD.TYPE_MESSAGE, f".ChakraProtoMsg.{kind}"
            else:
                entry.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles(["et_def.proto"], pool)


def messages(data):
    """Yield the messages of the file, each after its length."""
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        assert at + size <= len(data)
        yield data[at : at + size]
        at += size


def read(path):
    made = classes()
    metadata, *nodes = messages(path.read_bytes())
    parsed = [made["ChakraProtoMsg.Node"].FromString(node) for node in nodes]
    # Nothing may be there that the schema does not name.
    assert [node.SerializeToString(deterministic=True) for node in parsed] == [
        made["ChakraProtoMsg.Node"].FromString(n).SerializeToString(deterministic=True)
        for n in nodes
    ]
    return made["ChakraProtoMsg.GlobalMetadata"].FromString(metadata), parsed


def attribute(node, name):
    (found,) = [entry for entry in node.attr if entry.name == name]
    (value,) = [value for field, value in found.ListFields() if field.name != "name"] or [False]
    return value


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    trace = load_trace("lenet_digits")
    path = tmp_path_factory.mktemp("chakra") / "lenet.et"
    export_chakra(trace, path)
    return trace, trace.steps[trace.typical_step], *read(path)


def test_every_op_that_works_is_a_node(exported):
    _, step, metadata, nodes = exported
    assert metadata.version == "1.0.0"
    working = [(i, op) for i, op in enumerate(step.ops) if op.kind is not OpKind.VIEW]
    assert [(node.id, node.name) for node in nodes] == [(i, op.name) for i, op in working]
    assert {node.type for node in nodes} == {4}  # COMP_NODE
    assert not any(node.ctrl_deps for node in nodes)
    for node, (_, op) in zip(nodes, working, strict=True):
        assert attribute(node, "phase") == op.phase
        assert attribute(node, "tensor_size") == op.read_bytes + op.write_bytes
        assert attribute(node, "is_cpu_op") is False


def test_dependences_are_those_of_the_data_and_have_no_cycle(exported):
    _, step, _, nodes = exported
    waits = list(dependences(step))
    ids = {node.id for node in nodes}
    for node in nodes:
        assert tuple(node.data_deps) == waits[node.id]
        assert set(node.data_deps) <= ids
        assert all(before < node.id for before in node.data_deps)
    assert sum(len(node.data_deps) != 1 for node in nodes) > len(nodes) / 4  # no serial chain


def test_operations_are_the_flops_of_the_trace(exported):
    trace, step, _, nodes = exported
    once = replace(trace, steps=(step,), segments=(Segment(0, 0, 1),))
    counted = sum(attribute(n, "num_ops") for n in nodes if attribute(n, "kind") == "gemm")
    assert counted == sum(once.flops_by_phase().values())


def test_large_numbers_and_a_step_by_number(tmp_path):
    builder = StepBuilder()
    builder.gemm(1 << 20, 1 << 20, 1 << 10)
    trace = one_step_trace(builder)
    export_chakra(trace, tmp_path / "t.et", step=0)
    _, (node,) = read(tmp_path / "t.et")
    assert attribute(node, "num_ops") == 2 << 50
    assert attribute(node, "tensor_size") == 4 * (2 * (1 << 30) + (1 << 40))
    with pytest.raises(InputError, match="step 3"):
        export_chakra(trace, tmp_path / "t.et", step=3)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    builder = StepBuilder()
    builder.gemm(1, 1, 1)
    with pytest.raises(InputError, match="choose another place"):
        export_chakra(one_step_trace(builder), tmp_path / "missing" / "t.et")
    with pytest.raises(InputError, match="choose another place"):
        export_chakra(one_step_trace(builder), tmp_path)
    assert not list(tmp_path.iterdir())


# Collectives


@pytest.mark.parametrize(
    ("name", "node_type", "comm_type"),
    [
        ("c10d.allreduce_.default", 7, 0),
        ("c10d.reduce_", 7, 1),
        ("c10d._allgather_base_.default", 7, 2),
        ("_c10d_functional.all_gather_into_tensor.default", 7, 2),
        ("c10d.scatter_.default", 7, 4),
        ("c10d.broadcast_.default", 7, 5),
        ("_c10d_functional.all_to_all_single.default", 7, 6),
        ("c10d.reduce_scatter_.default", 7, 7),
        ("c10d.barrier.default", 7, 9),
        ("c10d.send.default", 5, None),
        ("c10d.recv_.default", 6, None),
        ("aten.scatter_.src", 4, None),
        ("aten.sum.default", 4, None),
    ],
)
def test_collectives_are_nodes_of_their_own_kinds(name, node_type, comm_type, tmp_path):
    tensor = Tensor(0, "float32", (544,), (1,))
    op = Op(name, OpKind.COPY, Phase.WGRAD, "", (tensor,), (tensor,))
    step = Step(StepKind.TRAIN, (op,), (Storage(2176, StorageKind.GRADIENT),))
    export_chakra(Trace("t", (step,), (Segment(0, 0, 1),)), tmp_path / "t.et")
    _, (node,) = read(tmp_path / "t.et")
    assert node.type == node_type
    given = {entry.name for entry in node.attr}
    assert ("comm_size" in given) == (node_type != 4)
    if node_type != 4:
        assert attribute(node, "comm_size") == 2176
    if comm_type:
        assert attribute(node, "comm_type") == comm_type
    assert ("comm_type" in given) == (comm_type is not None)


def test_what_ddp_broadcasts_for_itself_is_no_collective_of_the_step(tmp_path):
    tensor = Tensor(0, "int32", (3,), (1,))
    op = Op("c10d.broadcast_.default", OpKind.COPY, Phase.OTHER, "", (tensor,), (tensor,))
    step = Step(StepKind.TRAIN, (op,), (Storage(12, StorageKind.ACTIVATION),))
    export_chakra(Trace("t", (step,), (Segment(0, 0, 1),)), tmp_path / "t.et")
    assert [node.type for node in read(tmp_path / "t.et")[1]] == [4]


def test_a_profile_keeps_the_collectives_between_gradients_and_optimizer(tmp_path):
    def event(name, dims, kinds, start):
        args = {"Input Dims": dims, "Input type": kinds}
        return {"ph": "X", "cat": "cpu_op", "name": name, "ts": start, "dur": 1, "args": args}

    events = [
        event("aten::mm", [[4, 16], [16, 32]], ["float", "float"], 1),
        event("c10d::allreduce_", [[[512], [32]], [], []], ["TensorList", "", ""], 3),
        event("aten::add_", [[16, 32], [16, 32]], ["float", "float"], 5),
    ]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"traceEvents": events}))
    trace = IMPORTERS["kineto"](path)
    op = trace.steps[0].ops[1]
    assert (op.read_bytes, op.write_bytes) == (2176, 2176)
    export_chakra(trace, tmp_path / "t.et")
    assert [node.type for node in read(tmp_path / "t.et")[1]] == [4, 7, 4]
    assert "unknown_ops" not in trace.origin
