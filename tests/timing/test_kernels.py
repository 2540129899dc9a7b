"""Kernels by the names of their ops: closed forms from the cost of an element."""

import pytest

from simulator.replay import simulate
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from tests.builders import StepBuilder, machine, one_step_trace

BATCH, LENGTH, WIDTH = 2, 16, 8
SCORES = BATCH * LENGTH * LENGTH


def fused(name):
    """Return a step of two products, with a temporary of SCORES elements between them."""
    builder = StepBuilder()
    q, k, v, out = (builder.tensor(BATCH, LENGTH, WIDTH) for _ in range(4))
    first = Gemm(Role.OTHER, BATCH, LENGTH, LENGTH, WIDTH, 0, 1, -1)
    second = Gemm(Role.OTHER, BATCH, LENGTH, WIDTH, LENGTH, -1, 2, 0)
    builder.ops.append(
        Op(name, OpKind.GEMM, Phase.FORWARD, "a", (q, k, v), (out,), (first, second))
    )
    return builder


@pytest.mark.parametrize("base", ["cpu-only", "edge-16x16"])
@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("aten._scaled_dot_product_flash_attention_for_cpu", "softmax"),
        ("aten.mkldnn_rnn_layer", "erf"),  # gates: sigmoid and tanh
    ],
)
def test_between_the_products_of_a_fused_op_each_element_takes_its_kernel_s_cycles(
    base, name, cost
):
    hardware = machine(base, cpu__clock="1 GHz", cpu__llc__size="0 B", dram__preset="ideal")
    ops = simulate(hardware, one_step_trace(fused(name))).ops
    (between,) = [op for op in ops if op["stage"] == "op"]
    millicycles = getattr(hardware.cpu.costs, cost)
    took_ps = round(1e12 * (between["end_s"] - between["start_s"]))
    assert took_ps == SCORES * millicycles  # 1 ps a millicycle on one core
    assert hardware.cpu.costs.softmax != hardware.cpu.costs.erf
