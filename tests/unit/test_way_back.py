"""What a compiled driver does around a product: arithmetic of the way back, copies that stay."""

import pytest

from simulator import simulate
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, convolution
from tests.builders import StepBuilder, machine, one_step_trace

M, N, K = 32, 16, 24
LANES = 4  # floats in a vector of 16 B

# One core is enough for so few elements, and nothing but its arithmetic takes time.
ARITHMETIC_ONLY = {
    "cpu__clock": "1 GHz", "cpu__simd": "16 B", "cpu__simd_pipes": "1", "cpu__llc__size": "0 B",
    "cpu__bandwidth_per_core": "1 TB/s", "cpu__bandwidth": "1 TB/s", "interconnect__width": "1 KiB",
    "dram__preset": "ideal",
}  # fmt: skip


def linear(*, bias):
    builder = StepBuilder()
    inputs = [builder.tensor(M, K), builder.tensor(K, N), *([builder.tensor(N)] if bias else [])]
    product = Gemm(Role.FORWARD, 1, M, N, K, 0, 1, 0)
    name, out = "aten.addmm", (builder.tensor(M, N),)
    builder.ops.append(Op(name, OpKind.GEMM, Phase.FORWARD, "fc", tuple(inputs), out, (product,)))
    return builder


def durations_ns(builder, stage, **settings):
    """Return how long each task of a stage takes, in ns."""
    ops = simulate(machine(**ARITHMETIC_ONLY, **settings), one_step_trace(builder)).ops
    return [round(1e9 * (op["end_s"] - op["start_s"])) for op in ops if op["stage"] == stage]


@pytest.mark.parametrize(("bias", "operations"), [(False, 1), (True, 2)])
def test_a_result_is_scaled_in_one_operation_and_its_bias_added_in_another(bias, operations):
    """Per vector of results, at one vector operation per ns."""
    assert durations_ns(linear(bias=bias), "dequantise") == [operations * M * N // LANES]


@pytest.mark.parametrize(("bias", "operations"), [(False, 16), (True, 17)])
def test_further_passes_are_multiply_adds(bias, operations):
    """25 bits of an fp32 significand and its sign in slices of 8: 4 x 4 passes."""
    several = {"accelerator__on_unsupported_precision": "multipass"}
    durations = durations_ns(linear(bias=bias), "dequantise", **several)
    assert durations == [operations * M * N // LANES]


def test_a_tensor_is_converted_in_a_pass_for_its_range_and_one_that_scales_rounds_and_clamps():
    assert durations_ns(linear(bias=False), "quantise") == [4 * x // LANES for x in (M * K, K * N)]


def gemms(cache):
    """Return the bytes that the array reads in the first step of five, and in the others."""
    builder = StepBuilder()
    builder.gemm(M, N, K)  # the right operand is a parameter that no one updates
    hardware = machine(cpu__llc__size=cache, cpu__llc__shared="true")
    ops = simulate(hardware, one_step_trace(builder, 5)).ops
    return {op["count"]: op["dram_read_bytes"] for op in ops if op["stage"] == "gemm"}


def test_a_copy_of_weights_that_an_earlier_step_made_is_found_in_a_shared_cache():
    assert gemms("512 KiB") == {1: 0, 4: 0}


def test_a_copy_that_the_way_back_drove_out_of_the_cache_is_read_from_memory():
    """The cache holds the conversion of either operand (5 B an element) and the product's buffers,
    but not the 8 B an element of the way back.
    """
    size = 5 * M * K
    assert M * K + K * N + 4 * M * N < size < 8 * M * N
    assert gemms(f"{size} B") == {1: 0, 4: K * N}


UP = Conv(2, 3, 4, (8, 8), (16, 16), (2, 2), (2, 2), (0, 0), (1, 1), transposed=True)
MADE, BIAS = 4 * 2 * 4 * 16 * 16, 4 * 4  # bytes of the output, whose taps do not overlap


@pytest.mark.parametrize(
    ("driver", "traffic"),
    [
        ("fused", [("col2im", MADE + BIAS, MADE)]),  # sums begin with it
        ("eager", [("dequantise", MADE, MADE)] * 2
            + [("col2im", MADE, MADE), ("dequantise", MADE + BIAS, MADE)]),
    ],
)  # fmt: skip
def test_outputs_that_the_cpu_folds_back_have_their_bias(driver, traffic):
    builder = StepBuilder()
    x, w, bias = builder.tensor(2, 3, 8, 8), builder.tensor(3, 4, 2, 2), builder.tensor(4)
    out, product = (builder.tensor(2, 4, 16, 16),), convolution(UP, Role.FORWARD)
    name = "aten.convolution"
    builder.ops.append(Op(name, OpKind.GEMM, Phase.FORWARD, "up", (x, w, bias), out, (product,)))
    settings = {"runtime__conversions": driver, "accelerator__im2col": "software"}
    ops = simulate(machine(**settings, cpu__llc__size="0 B"), one_step_trace(builder)).ops
    back = [op for op in ops if op["stage"] in ("dequantise", "col2im")]
    rows = [(op["stage"], op["dram_read_bytes"], op["dram_write_bytes"]) for op in back]
    assert rows == traffic
