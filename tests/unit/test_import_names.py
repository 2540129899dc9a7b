"""What the importers know of ops by name is what PyTorch says of them."""

import json
from contextlib import suppress

import pytest

from simulator.trace.importers import names
from simulator.trace.importers.names import base_name, kind_by_name
from simulator.trace.importers.signature import SIGNATURES, is_parameter, signature
from simulator.trace.importers.values import element_type
from simulator.trace.op import OpKind


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("aten::addmm", "addmm"),
        ("aten::add_.Tensor", "add_"),
        ("torchvision::nms", "torchvision::nms"),
        ("quantized::linear", "quantized::linear"),
        ("_C::cutlass_scaled_mm", "_C::cutlass_scaled_mm"),
        ("triton_poi_fused_add_0", "triton_poi_fused_add_0"),
        ("autograd::engine::evaluate_function: AddmmBackward0", ""),
        ("torch::autograd::AccumulateGrad", ""),
        ("AddmmBackward0", ""),
        ("ProfilerStep#3", ""),
        ("Optimizer.step#SGD.step", ""),
        ("nn.Module: Conv2d_0", ""),
    ],
)
def test_ops_are_told_from_other_events(name, base):
    assert base_name(name) == base


def test_a_schema_is_parsed():
    known = signature("x", "aten::x.out(Tensor(a!)[] self, int[2] size=[0, 1], *, Tensor(b!) out)")
    assert [(a.name, a.written, a.out) for a in known.arguments] == [
        ("self", True, False), ("size", False, False), ("out", True, True),
    ]  # fmt: skip
    assert known.overload == "out"


@pytest.mark.torch
def test_arguments_are_called_as_in_pytorch():
    torch = pytest.importorskip("torch")

    for name in SIGNATURES:
        if name.startswith("flash_attn::"):
            continue
        full = name if "::" in name else f"aten::{name}"
        schemas = torch._C._jit_get_schemas_for_operator(full)
        mine = [(argument.name, argument.written) for argument in signature(name, "").arguments]
        theirs = [
            [(a.name, a.alias_info is not None and a.alias_info.is_write) for a in schema.arguments]
            for schema in schemas
        ]
        assert any(mine == entry[: len(mine)] for entry in theirs), (name, theirs)


def test_ops_in_place_have_the_arguments_of_others_and_write_the_first():
    found = signature("addmm_", "").arguments
    assert [(a.name, a.written) for a in found[:3]] == [
        ("self", True), ("mat1", False), ("mat2", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "parameter"),
    [
        ("weight", True), ("bias", True), ("qkv_weight", True), ("ffn_bias_2", True), ("W", True),
        ("weight0", True), ("attn_bias", False), ("weight_buf", False), ("bias_sizes", False),
        ("input", False), ("mat2", False),
    ],
)  # fmt: skip
def test_parameters_are_told_by_their_names(argument, parameter):
    assert is_parameter(argument) == parameter


@pytest.mark.torch
def test_every_element_type_of_pytorch_has_its_width(tmp_path):
    torch = pytest.importorskip("torch")
    from simulator.trace.op import bits_of

    path = tmp_path / "t.json"
    dtypes = dict.fromkeys(d for d in vars(torch).values() if isinstance(d, torch.dtype))
    tensors = []
    for dtype in dtypes:
        with suppress(RuntimeError):  # not all have tensors
            tensors.append(torch.empty(3, dtype=dtype))
    with torch.profiler.profile(record_shapes=True) as profiler:
        for tensor in tensors:
            tensor.view(3)
    profiler.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    views = [event["args"] for event in events if event.get("name") == "aten::view"]
    for tensor, args in zip(tensors, views, strict=True):
        kind = element_type(args["Input type"][0])
        assert kind, args
        assert bits_of(kind) == 8 * tensor.element_size(), args


@pytest.mark.torch
def test_kinds_are_those_of_pytorchs_tags():
    torch = pytest.importorskip("torch")

    for name in names._POINTWISE | names._RANDOM:
        packet = getattr(torch.ops.aten, name, None) or getattr(torch.ops.aten, name.rstrip("_"))
        tags = {tag for overload in packet.overloads() for tag in getattr(packet, overload).tags}
        wanted = torch.Tag.pointwise if name in names._POINTWISE else None
        assert wanted is None or wanted in tags, name
        if name in names._RANDOM:
            assert torch.Tag.nondeterministic_seeded in tags or name == "_fused_dropout", name
    assert kind_by_name("add_") is OpKind.ELEMENTWISE
    assert kind_by_name("_foreach_add_") is OpKind.ELEMENTWISE
    assert kind_by_name("linear") is OpKind.GEMM
    assert kind_by_name("never_heard_of") is None


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(names._COMPOSITES))
def test_composites_are_taken_apart_by_pytorch(name):
    torch = pytest.importorskip("torch")

    kernels = [
        torch._C._dispatch_has_kernel_for_dispatch_key(full, "CompositeImplicitAutograd")
        for full in torch._C._dispatch_get_all_op_names()
        if full.partition(".")[0] == f"aten::{name}"
    ]
    assert any(kernels)
