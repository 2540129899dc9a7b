"""Precision by layer and operand: what lies in memory and scratchpad, and what that moves."""

import pytest

from simulator import simulate, sweep
from simulator.activity import SCRATCHPAD_READS, Action, Stage
from simulator.errors import InputError
from simulator.hardware.unit import ACCELERATOR
from simulator.lowering.lower import Carry, Lowering
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.trace.trace import Step, StepKind, StorageKind
from tests.builders import StepBuilder, machine

BARE = {"cpu__llc__size": "0 B", "accelerator__scratchpad": "4 MiB"}
N = 256


def product(a_dtype, b_dtype, formats=("", ""), precision="", role=Role.FORWARD):
    """One product of 256^3 of operands of these types."""
    builder = StepBuilder()
    a = builder.tensor(N, N, dtype=a_dtype)
    b = builder.tensor(N, N, dtype=b_dtype, kind=StorageKind.PARAMETER, name="w")
    out = builder.tensor(N, N)
    gemm = Gemm(role, 1, N, N, N, 0, 1, 0, precision=precision, formats=formats)
    phase = Phase(role.value)
    builder.ops.append(Op("aten.mm.default", OpKind.GEMM, phase, "fc", (a, b), (out,), (gemm,)))
    return builder


def works(builder, stage=Stage.GEMM, **overrides):
    hardware = machine("edge-16x16-npu", **BARE, **overrides)
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    return [task.work for task in tasks if task.work.stage is stage]


def read_bytes(builder, **overrides):
    (work,) = works(builder, **overrides)
    return work.counts.dram_read_bytes


def test_packed_weights_are_read_in_their_own_bits():
    assert read_bytes(product("int8", "int8")) == 131_072
    assert read_bytes(product("int8", "int2")) == 65_536 + 16_384
    assert read_bytes(product("int4", "int2")) == 32_768 + 16_384


def test_packed_weights_stay_packed_in_the_scratchpad():
    """One tile holds all: every word of A and B passes to the array as often as before."""
    reads = Action(ACCELERATOR, SCRATCHPAD_READS)
    both, packed = (works(product("int8", b))[0].counts[reads] for b in ("int8", "int2"))
    narrow = works(product("int2", "int2"))[0].counts[reads]
    assert narrow * 4 == both
    assert narrow < packed < both


def test_a_method_s_operands_are_quantised_to_their_own_bits():
    """fp32 in memory; weights to int2, activations to int8, in an array that computes int8."""
    builder = product("float32", "float32", ("", "int2"), "int8")
    a, b = works(builder, Stage.QUANTISE)
    assert a.counts.dram_write_bytes == N * N
    assert b.counts.dram_write_bytes == N * N // 4
    assert read_bytes(builder) == N * N + N * N // 4


@pytest.mark.parametrize(
    ("number_format", "bits", "scales"),
    [("fp8_e4m3", 8, 0), ("mxfp8", 8, 1), ("mxfp6", 6, 1), ("mxfp4", 4, 1)],
)
def test_blocks_bring_a_byte_of_scale_for_32_elements(number_format, bits, scales):
    size = N * N * bits // 8 + scales * N * N // 32
    builder = product("float32", "float32")
    assert read_bytes(builder, accelerator__precision=number_format) == 2 * size
    conversions = works(builder, Stage.QUANTISE, accelerator__precision=number_format)
    assert [work.counts.dram_write_bytes for work in conversions] == [size, size]
    # A range of the whole tensor takes a pass of its own; one of a block does not.
    passes = 1 if scales else 2
    assert [work.counts.dram_read_bytes for work in conversions] == [passes * 4 * N * N] * 2


@pytest.mark.parametrize(("number_format", "copies"), [("int8", 3), ("mxfp8", 4)])
def test_blocks_along_the_reduction_cost_another_copy_in_each_role(number_format, copies):
    """Forward and wgrad read the same activation: its blocks lie along channels, then pixels."""
    builder = product("float32", "float32")
    activation = builder.ops[0].inputs[0]
    gradient, out = builder.tensor(N, N), builder.tensor(N, N, kind=StorageKind.GRADIENT)
    gemm = Gemm(Role.WGRAD, 1, N, N, N, 0, 1, 0)
    operands = (gradient, activation)
    builder.ops.append(
        Op("aten.mm.default", OpKind.GEMM, Phase.WGRAD, "fc", operands, (out,), (gemm,))
    )
    found = works(builder, Stage.QUANTISE, accelerator__precision=number_format)
    assert len(found) == copies


def test_both_kinds_of_fp8_meet_in_one_product():
    builder = product("float8_e5m2", "float8_e4m3fn")
    assert works(builder, Stage.QUANTISE, accelerator__precision="fp8_e4m3") == []
    assert read_bytes(builder, accelerator__precision="fp8_e4m3") == 2 * N * N


def layered():
    builder = StepBuilder()
    builder.gemm(N, N, N, a=builder.gemm(N, N, N, layer="fc1"), layer="head")
    return Step(StepKind.TRAIN, tuple(builder.ops), tuple(builder.storages))


def test_a_layer_s_precision_is_a_setting():
    hardware = machine("edge-16x16-mp", **{"layers.head.precision": "int8"})
    assert Lowering(hardware).precisions(layered()).executed == {"int8", "fp32"}
    again = machine("edge-16x16-mp", **{"layers.*.precision": "int4"})
    assert Lowering(again).precisions(layered()).executed == {"int4"}


def test_a_layer_s_precision_is_an_axis_of_a_sweep(tmp_path):
    axes = {"layers.conv*.precision": ["int8", "fp32"]}
    out = tmp_path / "sweep"
    table = sweep(axes, "lenet_digits", out, hardware="edge-16x16-mp", workers=1, quiet=True)
    by_hand = [
        simulate("edge-16x16-mp", "lenet_digits", {"layers.conv*.precision": each}).total
        for each in ("int8", "fp32")
    ]
    rows = table.sort("layers.conv*.precision", descending=True).to_dicts()
    assert [row["layers.conv*.precision"] for row in rows] == ["int8", "fp32"]
    assert [row["latency_s"] for row in rows] == [total["latency_s"] for total in by_hand]
    assert rows[0]["latency_s"] != rows[1]["latency_s"]


@pytest.mark.parametrize(
    ("base", "setting", "problem"),
    [
        ("edge-16x16-mp", {"layers.fc": "int8"}, "write it as layers.<pattern>.precision"),
        ("edge-16x16-mp", {"layers.fc.precision": "int99"}, "int99"),
        ("cpu-only", {"layers.fc.precision": "int8"}, "no accelerator to run layers on"),
    ],
)
def test_mistakes_are_named(base, setting, problem):
    with pytest.raises(InputError, match=problem):
        machine(base, **setting)
