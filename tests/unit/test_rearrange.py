"""The CPU's rearranging of weights: when it happens, how long it takes, what it moves."""

import pytest

from simulator.activity import Stage
from simulator.hardware.runtime import Rearrange
from simulator.hardware.unit import HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Op, OpKind, Phase, Role, convolution
from tests.builders import ACTIONS, StepBuilder, machine

CONV = Conv(2, 8, 16, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
WEIGHTS = 8 * 16 * 9
NS = {"forward": 10, "dgrad": 20, "wgrad": 30}


def training_step(passes=1):
    """A convolution forward, `passes` times with the same weights, and its backward."""
    builder = StepBuilder()
    x, w = builder.tensor(2, 8, 8, 8), builder.tensor(16, 8, 3, 3)
    y, dx, dw = builder.tensor(2, 16, 8, 8), builder.tensor(2, 8, 8, 8), builder.tensor(16, 8, 3, 3)
    forward = (convolution(CONV, Role.FORWARD),)
    for _ in range(passes):
        op = Op("conv", OpKind.GEMM, Phase.FORWARD, "conv", (x, w), (y,), forward)
        builder.ops.append(op)
    dgrad, wgrad = convolution(CONV, Role.DGRAD), convolution(CONV, Role.WGRAD)
    for gemm, other, out in ((dgrad, w, dx), (wgrad, x, dw)):
        op = Op("conv back", OpKind.GEMM, Phase.DGRAD, "conv", (y, other), (out,), (gemm,))
        builder.ops.append(op)
    return builder.step()


def lowered(step, precision="fp32", **each):
    hardware = machine(accelerator__precision=precision, cpu__llc__size="0 B")
    rearrange = Rearrange(**{role: f"{ns} ns" for role, ns in each.items()})
    runtime = hardware.runtime.model_copy(update={"rearrange": rearrange})
    hardware = hardware.model_copy(update={"runtime": runtime})
    tasks, _ = Lowering(hardware).lower(step, Carry())
    return tasks


def rearranging(tasks):
    return [task for task in tasks if task.work.stage is Stage.REARRANGE]


def test_weights_that_need_no_rearranging_get_none():
    assert rearranging(lowered(training_step())) == []


@pytest.mark.parametrize("role", NS)
def test_a_role_is_rearranged_for_so_long_per_weight(role):
    (task,) = rearranging(lowered(training_step(), **{role: NS[role]}))
    assert task.work.unit == HOST
    assert task.work.progress.duration_ps(WHOLE) == WEIGHTS * NS[role] * 1000
    counts = task.work.counts
    assert counts.dram_read_bytes == counts.dram_write_bytes == 4 * WEIGHTS
    assert counts[ACTIONS["interconnect_bytes"]] == 8 * WEIGHTS
    assert task.phase == role


def test_weights_are_rearranged_before_and_gradients_of_weights_after_their_product():
    tasks = lowered(training_step(), **NS)
    forward, dgrad, wgrad = rearranging(tasks)
    products = [task for task in tasks if task.work.stage is Stage.GEMM]
    for task, product in ((forward, products[0]), (dgrad, products[1])):
        assert tasks.index(task) in product.waits
    assert tasks.index(products[2]) in wgrad.waits


def test_weights_are_rearranged_once_while_they_do_not_change():
    assert len(rearranging(lowered(training_step(passes=3), forward=10))) == 1


def test_weights_are_rearranged_in_the_precision_of_the_array():
    forward, dgrad, wgrad = rearranging(lowered(training_step(), "int8", **NS))
    assert forward.work.counts.dram_read_bytes == dgrad.work.counts.dram_read_bytes == WEIGHTS
    assert wgrad.work.counts.dram_read_bytes == 4 * WEIGHTS  # sums, before they are scaled


def test_a_matrix_product_has_no_order_of_taps_to_rearrange():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    assert rearranging(lowered(builder.step(), **NS)) == []
