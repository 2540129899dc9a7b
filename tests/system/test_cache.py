"""The last-level cache in whole steps: what fits stays, what the accelerator touches does not."""

import pytest

from simulator import simulate
from simulator.activity import Stage
from simulator.lowering.lower import Carry, Lowering
from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine, one_step_trace

LLC = {"cpu__llc__size": "512 KiB", "cpu__llc__bandwidth": "24 GB/s"}


def elementwise_chain(elements, length=8):
    builder = StepBuilder()
    tensor = builder.tensor(elements)
    for _ in range(length):
        op = Op("relu_", OpKind.ELEMENTWISE, Phase.FORWARD, "act", (tensor,), (tensor,))
        builder.ops.append(op)
    return builder


@pytest.mark.parametrize(("elements", "times"), [(128 * 1024, 1), (128 * 1024 + 1, 8)])
def test_a_chain_over_a_tensor_pays_dram_once_if_it_fits_and_every_time_if_not(elements, times):
    result = simulate(machine("cpu-only", **LLC), one_step_trace(elementwise_chain(elements)))
    assert result.total["dram_read_bytes"] == times * 4 * elements
    assert result.total["dram_write_bytes"] == (0 if times == 1 else times * 4 * elements)


def test_what_fits_is_faster_and_costs_less():
    trace = one_step_trace(elementwise_chain(64 * 1024))
    bare, cached = machine("cpu-only", cpu__llc__size="0 B"), machine("cpu-only", **LLC)
    without, with_ = simulate(bare, trace).total, simulate(cached, trace).total
    assert with_["latency_ps"] < without["latency_ps"]
    assert with_["energy_aj"] < without["energy_aj"]


def test_parameters_that_fit_stay_from_step_to_step():
    builder = StepBuilder()
    weight = builder.tensor(1000, kind=StorageKind.PARAMETER, name="w")
    builder.elementwise(weight)
    lowering = Lowering(machine("cpu-only", **LLC))
    first, carry = lowering.lower(builder.step(), Carry())
    again, _ = lowering.lower(builder.step(), carry)
    read = [sum(task.work.counts.dram_read_bytes for task in tasks) for tasks in (first, again)]
    assert read == [4000, 0]


def test_activations_of_the_last_step_are_only_in_the_way():
    builder = StepBuilder()
    builder.elementwise(builder.tensor(100_000))  # 400 kB in, 400 kB out: the second evicts
    lowering = Lowering(machine("cpu-only", cpu__llc__size="1 MiB", cpu__llc__bandwidth="24 GB/s"))
    _, carry = lowering.lower(builder.step(), Carry())
    tasks, _ = lowering.lower(builder.step(), carry)
    counts = tasks[0].work.counts
    assert counts.dram_read_bytes == 400_000
    assert counts.dram_write_bytes == 400_000  # the earlier step's result


def test_what_the_cache_alone_has_is_written_back_before_the_accelerator_reads_it():
    builder = StepBuilder()
    made = builder.elementwise(builder.tensor(64, 64, dtype="float32"))
    builder.gemm(64, 64, 64, a=made)
    hardware = machine(**LLC, accelerator__precision="fp32")
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    (flush,) = [i for i, task in enumerate(tasks) if task.work.stage is Stage.FLUSH]
    (gemm,) = [i for i, task in enumerate(tasks) if task.work.stage is Stage.GEMM]
    assert tasks[flush].work.counts.dram_write_bytes == 64 * 64 * 4
    assert flush in tasks[gemm].waits


def test_what_the_accelerator_wrote_is_read_from_memory():
    builder = StepBuilder()
    result = builder.gemm(64, 64, 64)
    builder.elementwise(result)
    hardware = machine(**LLC, accelerator__precision="fp32")
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    last = tasks[-1].work
    assert last.stage is Stage.OP
    assert last.counts.dram_read_bytes == 64 * 64 * 4


def shared(**settings):
    return machine(cpu__llc__shared="true", accelerator__precision="fp32", **settings)


def test_an_accelerator_that_shares_the_cache_finds_what_the_cpu_left_and_leaves_its_results():
    builder = StepBuilder()
    made = builder.elementwise(builder.tensor(64, 64))
    result = builder.gemm(64, 64, 64, a=made)
    builder.elementwise(result)
    tasks, _ = Lowering(shared()).lower(builder.step(), Carry())
    assert Stage.FLUSH not in {task.work.stage for task in tasks}
    (gemm,) = (task.work.counts for task in tasks if task.work.stage is Stage.GEMM)
    assert gemm.dram_read_bytes == 64 * 64 * 4  # the weights alone
    assert gemm.dram_write_bytes == 0
    assert tasks[-1].work.counts.dram_read_bytes == 0


def test_weights_in_a_shared_cache_are_found_in_the_next_step():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    lowering = Lowering(shared())
    _, carry = lowering.lower(builder.step(), Carry())
    tasks, _ = lowering.lower(builder.step(), carry)
    (gemm,) = (task.work.counts for task in tasks if task.work.stage is Stage.GEMM)
    assert gemm.dram_read_bytes == 64 * 64 * 4  # the input; weights stay


def test_operands_beyond_a_shared_cache_come_from_memory():
    builder = StepBuilder()
    builder.gemm(512, 512, 512, a=builder.elementwise(builder.tensor(512, 512)))
    tasks, _ = Lowering(shared()).lower(builder.step(), Carry())
    (gemm,) = (task.work.counts for task in tasks if task.work.stage is Stage.GEMM)
    assert gemm.dram_read_bytes >= 2 * 512 * 512 * 4
    assert gemm.dram_write_bytes == 512 * 512 * 4


def test_sharing_the_cache_never_costs_time_or_traffic():
    for trace in ("mlp_digits", "lenet_digits"):
        apart, together = (
            simulate(machine(cpu__llc__shared=shared_), trace).total
            for shared_ in ("false", "true")
        )
        assert together["latency_ps"] <= apart["latency_ps"]
        assert together["dram_read_bytes"] <= apart["dram_read_bytes"]
