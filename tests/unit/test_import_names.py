"""What the importers know of ops by name is what PyTorch says of them."""

import pytest

from simulator.trace.importers import names
from simulator.trace.importers.names import base_name, kind_by_name
from simulator.trace.importers.signature import KNOWN, signature
from simulator.trace.op import OpKind


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("aten::addmm", "addmm"),
        ("aten::add_.Tensor", "add_"),
        ("torchvision::nms", "nms"),
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
@pytest.mark.parametrize("name", KNOWN)
def test_arguments_are_called_as_in_pytorch(name):
    torch = pytest.importorskip("torch")

    packet = getattr(torch.ops.aten, name)
    overloads = [getattr(packet, overload)._schema for overload in packet.overloads()]
    mine = [(argument.name, argument.written) for argument in signature(name, "").arguments]
    theirs = [
        [(a.name, a.alias_info is not None and a.alias_info.is_write) for a in schema.arguments]
        for schema in overloads
    ]
    assert any(mine == entry[: len(mine)] for entry in theirs), theirs


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
