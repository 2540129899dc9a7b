"""A CPU whose kernels were measured: closed forms of its times; without measurements, the ideal."""

from dataclasses import replace

import pytest

from simulator.activity import Stage
from simulator.hardware import load_hardware
from simulator.hardware.cpu import Begin, Dispatch, Kernel, Kernels, ProductSpeed, ProductSpeeds
from simulator.lowering.heap import new_bytes
from simulator.lowering.lower import Carry, Lowering
from simulator.timing.cores import (
    dispatch_ps,
    is_timed_whole,
    measured_compute,
    measured_kernel,
    product_compute,
    product_of,
    threads_of,
)
from simulator.trace.op import (
    Gemm,
    Op,
    OpKind,
    Phase,
    Role,
    Tensor,
    convolution,
    valid_convolution,
)
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine

BARE = machine("cpu-only", cpu__op_overhead="28 kcycles").cpu.model_copy(update={"dispatch": None})


def cpu(cores=1, **kernels):
    return BARE.model_copy(update={"cores": cores, "kernels": Kernels(**kernels)})


def op(name="aten.exp.default", kind=OpKind.TRANSCENDENTAL):
    return Op(name, kind, Phase.FORWARD, "", (), ())


def product(gemm, name="aten.mm.default", dtype="float32"):
    operand = Tensor(0, dtype, (8,), (1,))
    return Op(name, OpKind.GEMM, Phase.FORWARD, "", (operand, operand), (operand,), (gemm,)), gemm


def ps(value):
    return f"{value} ps"


def test_a_cpu_without_measurements_has_none():
    assert BARE.kernels is None
    assert measured_kernel(BARE, op()) is None
    assert product_of(BARE, *product(Gemm(Role.FORWARD, 1, 8, 8, 8, 0, 1, 0))) is None
    assert {dispatch_ps(BARE, phase) for phase in Phase} == {20_000_000}


def test_an_operation_goes_before_its_kind():
    own, kind = Kernel(call="1 us"), Kernel(call="2 us")
    host = cpu(transcendental=kind, operations={"exp": own})
    assert measured_kernel(host, op()) == own
    assert measured_kernel(host, op("aten.tanh.default")) == kind
    assert measured_kernel(host, op("aten.sum.default", OpKind.REDUCTION)) is None


def test_a_kernel_takes_call_elements_traffic_and_new_memory():
    host = cpu(stream="10 GB/s", first_touch="1 GB/s")
    kernel = Kernel(call="3 us", element="50 ps")
    found = measured_compute(host, kernel, 1000, 8000, 4000, 1)
    assert found.ps == 3_000_000 + 50_000 + 800_000 + 4_000_000
    assert found.threads == 1


def test_threads_start_together_and_further_ones_add_less():
    host = cpu(cores=2, parallel_overhead="14 kcycles", parallel_efficiency="50 %")
    found = measured_compute(
        host, Kernel(element="60 ps"), 100_000, 0, 0, threads_of(host, 100_000)
    )
    assert found.threads == 2
    assert found.ps == 10_000_000 + 4_000_000  # 14 kcycles at 1.4 GHz; 6 us over 1.5


def test_a_kernel_may_stream_at_a_rate_of_its_own():
    host = cpu(stream="10 GB/s")
    assert measured_compute(host, Kernel(stream="20 GB/s"), 1000, 8000, 0, 1).ps == 400_000


def test_each_part_of_a_step_begins_once():
    builder = StepBuilder()
    x = builder.elementwise(builder.gemm(8, 8, 8))
    y = builder.gemm(8, 8, 8, a=x, phase=Phase.DGRAD)
    builder.elementwise(y, phase=Phase.WGRAD)
    builder.elementwise(y, phase=Phase.OPTIMIZER)
    builder.elementwise(y, phase=Phase.ZERO_GRAD)
    begin = Begin(forward="14 kcycles", backward="28 kcycles", optimizer="42 kcycles")
    soc = machine("cpu-only")
    dispatch = Dispatch(begin=begin)
    host = soc.model_copy(update={"cpu": soc.cpu.model_copy(update={"dispatch": dispatch})})
    tasks, _ = Lowering(host).lower(builder.step(), Carry())
    begun = [(t.phase, t.work.overhead_ps) for t in tasks if t.work.stage is Stage.BEGIN]
    assert begun == [
        (Phase.FORWARD, 10_000_000), (Phase.DGRAD, 20_000_000), (Phase.OPTIMIZER, 30_000_000)
    ]  # fmt: skip


def test_random_numbers_are_drawn_by_one_thread():
    assert threads_of(cpu(cores=4), 10**6) == 4
    assert threads_of(cpu(cores=4), 10**6, OpKind.RANDOM) == 1


def test_a_product_is_slower_where_a_dimension_is_small():
    host = cpu()
    product = ProductSpeed(call="1 us", efficiency="50 %", half=16)
    gemm = Gemm(Role.FORWARD, 2, 64, 16, 32, 0, 1, 0)
    macs_per_s = 1_400_000_000 * 4 * 0.5
    slow = product_compute(host, product, [gemm], 32, 0, 0).ps
    assert slow == pytest.approx(1e6 + 2 * gemm.macs / macs_per_s * 1e12, abs=2)


def test_channels_fill_whole_vectors():
    product = ProductSpeed(efficiency="100 %")
    three, four = (
        convolution(valid_convolution(8, filters, (9, 9), (3, 3), 1)) for filters in (3, 4)
    )
    times = {product_compute(cpu(), product, [gemm], 32, 0, 0).ps for gemm in (three, four)}
    assert len(times) == 1


def test_gradients_of_convolutions_have_their_own_speed():
    host = cpu(
        convolution=ProductSpeed(efficiency="10 %"),
        convolution_wgrad=ProductSpeed(efficiency="20 %"),
    )
    shape = valid_convolution(8, 8, (9, 9), (3, 3), 1)
    assert product_of(host, *product(convolution(shape))).efficiency == 100
    assert product_of(host, *product(convolution(shape, Role.WGRAD))).efficiency == 200
    assert product_of(host, *product(convolution(shape, Role.DGRAD))) is None


def shape(channels, filters, kernel=3, groups=1):
    return valid_convolution(channels, filters, (9, 9), (kernel, kernel), 1, groups=groups)


@pytest.mark.parametrize(
    ("made", "name", "efficiency"),
    [
        (convolution(shape(8, 8)), "aten.convolution.default", 1),
        (convolution(shape(8, 16, 1), Role.DGRAD), "aten.convolution_backward.default", 3),
        (convolution(shape(8, 16, groups=4)), "aten.convolution.default", 4),
        (convolution(shape(8, 8, 1, groups=8)), "aten.convolution.default", 5),
        (convolution(shape(8, 16, groups=8), Role.WGRAD), "aten.convolution_backward.default", 6),
        (Gemm(Role.FORWARD, 1, 8, 8, 8, 0, 1, 0), "aten.mm.default", 7),
        (Gemm(Role.FORWARD, 3, 8, 8, 8, 0, 1, 0), "aten.bmm.default", 8),
        (Gemm(Role.FORWARD, 3, 8, 8, 8, 0, 1, 0), "aten._scaled_dot_product_flash_attention", 9),
        (Gemm(Role.FORWARD, 3, 8, 8, 8, 0, 1, 0), "aten._flash_attention_backward", 10),
    ],
)
def test_each_kind_of_product_has_its_own_speed(made, name, efficiency):
    names = (
        "convolution", "convolution_wgrad", "pointwise_dgrad", "grouped", "depthwise",
        "depthwise_wgrad", "gemm", "batched", "attention", "attention_backward",
    )  # fmt: skip
    host = cpu(**{name: ProductSpeed(efficiency=f"{i} %") for i, name in enumerate(names, start=1)})
    assert product_of(host, *product(made, name)).efficiency == 10 * efficiency


def test_what_was_not_measured_goes_by_what_is_more_general():
    host = cpu(
        gemm=ProductSpeed(efficiency="1 %"),
        convolution_wgrad=ProductSpeed(efficiency="2 %"),
        batched=ProductSpeed(efficiency="3 %"),
        dtypes={"bfloat16": ProductSpeeds(gemm=ProductSpeed(efficiency="4 %"))},
    )
    many = Gemm(Role.FORWARD, 3, 8, 8, 8, 0, 1, 0)
    assert product_of(host, *product(many, "aten._flash_attention_forward")).efficiency == 10
    assert product_of(host, *product(convolution(shape(8, 8, 1), Role.WGRAD))).efficiency == 20
    assert product_of(host, *product(many, dtype="float16")).efficiency == 30
    assert product_of(host, *product(many, dtype="bfloat16")).efficiency == 40


def test_depthwise_kernels_fill_vectors_across_channels():
    deep, dense = ProductSpeed(efficiency="50 %"), shape(64, 64, groups=64)
    found = product_compute(cpu(), deep, [convolution(dense)], 32, 0, 0).ps
    macs_per_s = 1_400_000_000 * 4 * 0.5
    assert found == pytest.approx(7 * 7 * 64 * 9 / macs_per_s * 1e12, abs=2)


@pytest.mark.parametrize(("own", "speed"), [(None, 1.5), ("0 %", 1), ("100 %", 2)])
def test_a_kernel_scales_as_itself_or_as_all(own, speed):
    host = cpu(2, parallel_efficiency="50 %")
    kernel = Kernel(element="100 ps", parallel_efficiency=own)
    assert measured_compute(host, kernel, 60_000, 0, 0, 2).ps == 6_000_000 / speed


def test_a_dtype_goes_before_what_holds_for_all():
    wide = ProductSpeed(efficiency="600 %")  # a matrix unit
    dtypes = {"bfloat16": ProductSpeeds(gemm=wide)}
    host = cpu(gemm=ProductSpeed(efficiency="50 %"), dtypes=dtypes)
    gemm = Gemm(Role.FORWARD, 1, 64, 64, 64, 0, 1, 0)
    own = product_of(host, *product(gemm, dtype="bfloat16"))
    assert own is host.kernels.dtypes["bfloat16"].gemm
    assert product_of(host, *product(gemm, dtype="float16")).efficiency == 500
    speed = product_compute(host, wide, [gemm], 16, 0, 0).ps
    assert speed == pytest.approx(gemm.macs / (1.4e9 * 8 * 6) * 1e12, abs=2)


def test_dispatch_differs_by_what_issues_it():
    host = BARE.model_copy(update={"dispatch": Dispatch(backward="14 kcycles")})
    assert dispatch_ps(host, Phase.WGRAD) == 10_000_000
    assert dispatch_ps(host, Phase.FORWARD) == 20_000_000


def test_a_description_with_measurements_survives_being_overridden():
    kernels = {"stream": "10 GB/s", "operations": {"exp": {"call": "1 us"}}}
    host = load_hardware("cpu-only")
    raw = host.as_text()
    raw["cpu"]["kernels"] = kernels
    measured = type(host).model_validate(raw | {"dram": {"preset": "ideal", "capacity": "1 GiB"}})
    again = load_hardware(measured, {"cpu.cores": 2})
    assert again.cpu.kernels == measured.cpu.kernels
    assert again.plain()["cpu"]["kernels"]["operations"] == {
        "exp": {"call_ps": 10**6, "element_ps": 0}
    }


def test_a_small_working_set_stays_with_the_process():
    builder = StepBuilder()
    x = builder.tensor(1000, kind=StorageKind.INPUT)
    for _ in range(4):
        x = builder.elementwise(x)
    assert set(new_bytes(builder.step())) == {0}


def test_a_settled_heap_keeps_what_is_freed():
    builder = StepBuilder()
    x = builder.tensor(250_000, kind=StorageKind.INPUT)
    kept = [builder.elementwise(x) for _ in range(6)]
    builder.elementwise(*kept)  # they live at once, and are freed at once
    assert sum(new_bytes(builder.step())) == 0


def test_a_block_too_large_for_the_heap_is_always_new():
    builder = StepBuilder()
    builder.elementwise(builder.tensor(10_000_000, kind=StorageKind.INPUT))
    assert new_bytes(builder.step()) == (40_000_000,)


def attention():
    x = Tensor(0, "float32", (2, 3, 16, 8), (384, 128, 8, 1))
    scores = Gemm(Role.FORWARD, 6, 16, 16, 8, 0, 1, -1)
    values = Gemm(Role.FORWARD, 6, 16, 8, 16, -1, 2, 0)
    name = "aten._scaled_dot_product_flash_attention_for_cpu.default"
    return Op(name, OpKind.GEMM, Phase.FORWARD, "", (x, x, x), (x,), (scores, values))


@pytest.mark.parametrize(
    ("measured", "stages"),
    [
        ({"attention": ProductSpeed(efficiency="50 %")}, [Stage.GEMM]),
        ({"gemm": ProductSpeed(efficiency="50 %")}, [Stage.GEMM, Stage.OP]),
        ({}, [Stage.GEMM, Stage.OP]),
    ],
)
def test_attention_that_was_timed_whole_pays_no_softmax_beside(measured, stages):
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    step = builder.step()
    soc = machine("cpu-only").model_copy(update={"cpu": cpu(**measured)})
    step = replace(step, ops=(attention(),))
    tasks, _ = Lowering(soc).lower(step, Carry())
    assert [t.work.stage for t in tasks if t.work.stage is not Stage.BEGIN] == stages
    assert is_timed_whole(soc.cpu, attention(), attention().gemms[0]) is (len(stages) == 1)
