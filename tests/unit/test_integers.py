"""Integer training: every float of a treated layer becomes narrow, and nothing else changes."""

import pytest

from simulator.replay import as_trace
from simulator.trace.passes.file import load_method
from simulator.trace.passes.integers import Integers
from simulator.trace.passes.overlay import resolved, scheduled
from tests.builders import StepBuilder


def typical(name):
    trace = as_trace(name)
    return trace.steps[trace.typical_step]


def tensors(step):
    return [tensor for op in step.ops for tensor in (*op.inputs, *op.outputs)]


@pytest.mark.parametrize("name", ["mlp_digits", "lenet_digits", "resnet20_digits"])
@pytest.mark.parametrize("bits", [8, 16])
def test_all_floats_are_integers_of_these_bits(name, bits):
    before = typical(name)
    after = Integers.everywhere(bits).apply(before)
    for old, new in zip(tensors(before), tensors(after), strict=True):
        assert new.dtype == (f"int{bits}" if old.is_float else old.dtype)
        assert (new.storage, new.shape, new.strides) == (old.storage, old.shape, old.strides)
    floats = {tensor.storage for tensor in tensors(before) if tensor.is_float}
    for index, (old, new) in enumerate(zip(before.storages, after.storages, strict=True)):
        assert new.bytes == (old.bytes * bits // 32 if index in floats else old.bytes)
    assert [op.gemms for op in after.ops] == [op.gemms for op in before.ops]


@pytest.mark.parametrize(("before", "behind"), [(8, 12), (12, 8)])
def test_a_tensor_between_two_layers_has_the_wider_integers(before, behind):
    builder = StepBuilder()
    middle = builder.elementwise(builder.tensor(4, 4), layer="a")
    builder.elementwise(middle, layer="b")
    builder.elementwise(builder.tensor(4, 4), layer="c")
    first, second, third = Integers((("a", before), ("b", behind))).apply(builder.step()).ops
    assert [first.inputs[0].dtype, first.outputs[0].dtype] == [f"int{before}", "int12"]
    assert [second.inputs[0].dtype, second.outputs[0].dtype] == ["int12", f"int{behind}"]
    assert third == builder.ops[2]


def test_niti_is_a_method_that_ships():
    trace = resolved(scheduled(as_trace("lenet_digits"), load_method("niti")))
    assert not [tensor for step in trace.steps for tensor in tensors(step) if tensor.is_float]
