"""Kernels by the names of their ops: closed forms from the cost of an element."""

import pytest

from simulator import simulate
from simulator.timing.products import product_ps, products_ps
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


def cpu(**costs):
    """Four cores at 1 GHz, of four lanes and one FMA a cycle; nothing to pack and to fork."""
    free = {"product_pack": "0 cycles", "product_fork": "0 cycles", "inner_dispatch": "0 cycles"}
    rest = {"clock": "1 GHz", "cores": 4, "simd": "16 B", "simd_pipes": 1}
    settings = {f"costs__{name}": value for name, value in {**free, **costs}.items()} | rest
    rates = {"gemm_efficiency": "50 %", "gemm_efficiency_alone": "25 %"}
    return machine("cpu-only", **{f"cpu__{key}": v for key, v in {**settings, **rates}.items()}).cpu


def test_a_product_on_one_core_has_the_efficiency_of_a_core_alone():
    """BLAS splits beyond 4 x 65536 multiply-adds; 4 lanes at 25 % are one a cycle, at 50 % on 4
    cores eight.
    """
    macs = 4 * 65536
    assert product_ps(cpu(), 64, 64, 64) == macs * 1000
    assert product_ps(cpu(), 64, 64, 128) == 2 * macs * 1000 // 8


@pytest.mark.parametrize(("heads", "rounds"), [(1, 1), (4, 1), (5, 2), (8, 2)])
def test_the_heads_of_an_attention_go_over_the_cores(heads, rounds):
    """At half of 50 %, beside each other: 4 lanes make one multiply-add a cycle."""
    scores = Gemm(Role.OTHER, heads, 64, 64, 32, 0, 1, -1)
    found = products_ps(cpu(aside="50 %"), "aten._flash_attention_forward", (scores,), "float32")
    assert found == rounds * 64 * 64 * 32 * 1000
