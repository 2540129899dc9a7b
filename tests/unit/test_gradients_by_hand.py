"""Gradients that a step computes beside its products, and what they pay once: by hand."""

from dataclasses import replace

import pytest

from simulator import simulate
from simulator.trace.op import Conv, Op, OpKind, Phase, Role, convolution
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine, one_step_trace

NO_CACHE = {"cpu__llc__size": "0 B"}
WIDE = {
    "dram__preset": "ideal", "cpu__bandwidth_per_core": "1 TB/s", "cpu__bandwidth": "1 TB/s",
    "interconnect__width": "1 KiB",
}  # fmt: skip
NATIVE = {**NO_CACHE, "accelerator__precision": "fp32"}


def backward(builder, inputs, made, products):
    """Append a convolution's backward that computes `products`."""
    name, phase = "aten.convolution_backward", Phase(products[0].role.value)
    builder.ops.append(Op(name, OpKind.GEMM, phase, "c", inputs, made, products))


def test_the_gradient_of_a_bias_is_the_sum_of_the_gradient_of_the_output():
    """A transposed convolution makes the larger map, whose gradient its product has second."""
    conv = Conv(2, 3, 4, (8, 8), (16, 16), (2, 2), (2, 2), (0, 0), (1, 1), transposed=True)
    builder = StepBuilder()
    x, gradient = builder.tensor(2, 3, 8, 8), builder.tensor(2, 4, 16, 16)
    made = builder.tensor(3, 4, 2, 2), builder.tensor(4)
    backward(builder, (x, gradient), made, (convolution(conv, Role.WGRAD),))
    ops = simulate(machine(**NATIVE), one_step_trace(builder)).ops
    (bias,) = [op for op in ops if op["stage"] == "op"]
    assert bias["phase"] == "wgrad"
    assert bias["dram_read_bytes"] == gradient.bytes > x.bytes


def test_new_memory_of_an_op_with_two_gradients_is_fetched_once():
    """A map of 41 MB, larger than what the heap keeps, at 1 GB/s; kernels are 1 x 1, so that
    nothing else is new.
    """
    conv = Conv(16, 64, 8, (100, 100), (100, 100), (1, 1), (1, 1), (0, 0), (1, 1))
    builder = StepBuilder()
    gradient = builder.tensor(16, 8, 100, 100)
    x = builder.tensor(16, 64, 100, 100, kind=StorageKind.INPUT)
    weight = builder.tensor(8, 64, 1, 1, kind=StorageKind.PARAMETER)
    made = builder.tensor(16, 64, 100, 100), builder.tensor(8, 64, 1, 1)
    products = (
        replace(convolution(conv, Role.DGRAD), a=0, b=2, c=0),
        replace(convolution(conv, Role.WGRAD), a=0, b=1, c=1),
    )
    backward(builder, (gradient, x, weight), made, products)
    slow_s, fast_s = (
        simulate(
            machine("cpu-only", **NO_CACHE, **WIDE, cpu__costs__first_touch=rate),
            one_step_trace(builder),
        ).total["latency_s"]
        for rate in ("1 GB/s", "1000 TB/s")
    )
    assert slow_s - fast_s == pytest.approx(4 * 16 * 64 * 10**4 / 1e9, rel=2e-3)


def test_a_replicated_gradient_is_written_at_the_rate_of_its_copies():
    """A copy of 8 kB for each of 8 channels, at 0.1 GB/s."""
    conv = Conv(2, 8, 16, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
    builder = StepBuilder()
    gradient, x = builder.tensor(2, 16, 8, 8), builder.tensor(2, 8, 8, 8)
    backward(
        builder, (gradient, x), (builder.tensor(16, 8, 3, 3),), (convolution(conv, Role.WGRAD),)
    )
    settings = {"accelerator__wgrad": "replicated", "runtime__reshape__rate": "0.1 GB/s"}
    ops = simulate(machine(**NATIVE, **settings), one_step_trace(builder)).ops
    (copies,) = [op for op in ops if op["stage"] == "replicate"]
    assert copies["end_s"] - copies["start_s"] == pytest.approx(8 * gradient.bytes / 1e8)
