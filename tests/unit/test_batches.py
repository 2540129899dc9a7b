"""Ops cut along their batch: nothing is lost, nothing is done twice, and what is no batch stays."""

from dataclasses import replace
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.replay import as_trace
from simulator.trace.batches import batch_of, cut, shares
from simulator.trace.geometry import larger_than_operands, mismatch
from simulator.trace.op import Role
from tests.builders import StepBuilder
from tests.offload_study import training

WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def ops_of(*names):
    """Return the ops with products of a training step of bundled traces."""
    return [op for name in names for op in as_trace(name).steps[0].ops if op.gemms]


OPS = ops_of("mlp_digits", "lenet_digits", "resnet20_digits")


@given(st.integers(0, 1000), WEIGHTS)
def test_shares_are_whole_and_sum_up(size, weights):
    parts = shares(size, weights)
    assert sum(parts) == size
    exact = [size * weight / sum(weights) for weight in weights]
    assert all(abs(part - each) < 1 for part, each in zip(parts, exact, strict=True))


def elements_in(tensor):
    """Return the places in memory of a strided tensor."""
    places = {tensor.offset}
    for size, stride in zip(tensor.shape, tensor.strides, strict=True):
        places = {place + i * stride for place in places for i in range(size)}
    return places


@given(st.sampled_from(OPS), WEIGHTS)
def test_parts_have_all_macs_and_all_elements_of_the_batch_once(op, weights):
    batch = batch_of(op)
    sizes = [size for size in shares(batch.size, weights) if size]
    parts = cut(op, batch, sizes)
    for number, gemm in enumerate(op.gemms):
        assert sum(part.gemms[number].macs for part in parts) == gemm.macs
        assert {part.gemms[number].role for part in parts} == {gemm.role}
    for which, tensor in enumerate(op.inputs):
        pieces = [part.inputs[which] for part in parts]
        if which in batch.inputs:
            assert sum(prod(piece.shape) for piece in pieces) == prod(tensor.shape)
        else:
            assert pieces == [tensor] * len(parts)
    for part in parts:
        for gemm in part.gemms:
            operands = (part.inputs[gemm.a], part.inputs[gemm.b], part.outputs[gemm.c])
            assert larger_than_operands(gemm, [prod(each.shape) for each in operands]) is None
            assert gemm.conv is None or mismatch(gemm, gemm.conv) is None


@pytest.mark.parametrize("op", ops_of("mlp_digits"), ids=lambda op: f"{op.name} {op.phase}")
def test_the_places_in_memory_of_the_parts_are_those_of_the_whole(op):
    batch = batch_of(op)
    parts = cut(op, batch, shares(batch.size, [3, 1]))
    for which in batch.inputs:
        first, second = (elements_in(part.inputs[which]) for part in parts)
        assert not first & second
        assert first | second == elements_in(op.inputs[which])


def test_gradients_of_weights_are_whole_in_each_part_and_all_else_is_cut():
    op = training("L8-12").steps[0].ops[1]
    batch = batch_of(op)
    parts = cut(op, batch, (24, 8))
    dgrad, wgrad = ([part.outputs[i] for part in parts] for i in (0, 1))
    assert [tensor.shape for tensor in dgrad] == [(24, 32, 16, 16), (8, 32, 16, 16)]
    assert dgrad[1].offset == 24 * 32 * 16 * 16
    assert wgrad == [op.outputs[1]] * 2
    assert [gemm.k for part in parts for gemm in part.gemms] == [32, 24 * 256, 32, 8 * 256]
    assert [gemm.m for part in parts for gemm in part.gemms] == [24 * 256, 32, 8 * 256, 32]


def test_what_else_an_op_makes_is_in_no_part():
    op = training("L8-12").steps[0].ops[1]
    bias = StepBuilder().tensor(32)
    parts = cut(replace(op, outputs=(bias, *op.outputs), gemms=tuple(
        replace(gemm, c=gemm.c + 1) for gemm in op.gemms)), batch_of(op), (16, 16))  # fmt: skip
    assert [len(part.outputs) for part in parts] == [2, 2]
    assert [gemm.c for part in parts for gemm in part.gemms] == [0, 1, 0, 1]


def test_matrices_of_a_batched_product_are_its_batch():
    builder = StepBuilder()
    builder.gemm(4, 5, 6, batch=8)
    (op,) = builder.ops
    first, second = cut(op, batch_of(op), (6, 2))
    assert [part.gemms[0].batch for part in (first, second)] == [6, 2]
    assert [tensor.shape for tensor in second.inputs] == [(2, 4, 6), (2, 6, 5)]


@pytest.mark.parametrize("change", ["temporary", "shape", "shared"])
def test_what_has_no_common_batch_stays_whole(change):
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    (op,) = builder.ops
    (gemm,) = op.gemms
    changed = {
        "temporary": {"gemms": (replace(gemm, c=-1),)},
        "shape": {"inputs": (builder.tensor(4, 16), op.inputs[1])},
        "shared": {"gemms": (gemm, replace(gemm, role=Role.WGRAD))},
    }
    assert batch_of(op)
    assert batch_of(replace(op, **changed[change])) is None
