"""A vector unit and fusion over whole runs: never slower, never more memory, sums exact."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import simulate
from simulator.energy.price_file import EnergyTable
from simulator.energy.prices import prices
from simulator.replay import Replay
from simulator.results.recost import recost
from simulator.results.result import read_result
from simulator.run_folder import save_run
from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.trace import Segment, StorageKind, Trace
from tests.builders import StepBuilder, machine

NPU = "edge-16x16-npu"
KINDS = (OpKind.ELEMENTWISE, OpKind.TRANSCENDENTAL, OpKind.COPY, OpKind.SOFTMAX, OpKind.NORM)
OP_NAMES = {
    OpKind.ELEMENTWISE: "relu", OpKind.TRANSCENDENTAL: "gelu", OpKind.COPY: "_to_copy",
    OpKind.SOFTMAX: "_softmax", OpKind.NORM: "native_layer_norm",
}  # fmt: skip


@st.composite
def chained_steps(draw):
    """Products and what follows them: residuals, norms, saved and in-place results, views."""
    builder = StepBuilder()
    rows, cols = draw(st.sampled_from([(64, 48), (512, 96), (33, 1000)]))
    x = builder.tensor(rows, cols, kind=StorageKind.INPUT)
    saved = [x]
    phases = [Phase.FORWARD] * 6 + [Phase.DGRAD] * 6
    for phase in phases[: draw(st.integers(2, 12))]:
        what = draw(st.sampled_from(["gemm", "op", "op", "residual", "inplace", "sum", "view"]))
        if what == "gemm":
            x = builder.gemm(rows, cols, cols, a=x, phase=phase)
        elif what == "residual":
            x = builder.elementwise(x, draw(st.sampled_from(saved)), phase=phase)
        elif what == "view":
            builder.ops.append(Op("aten.view", OpKind.VIEW, phase, "", (x,), (x,)))
        elif what == "inplace":
            op = Op("aten.relu_", OpKind.ELEMENTWISE, phase, "act", (x,), (x,))
            builder.ops.append(op)
        elif what == "sum":
            total = builder.tensor(cols)
            builder.ops.append(Op("aten.sum", OpKind.REDUCTION, phase, "", (x,), (total,)))
        else:
            kind, out = draw(st.sampled_from(KINDS)), builder.tensor(rows, cols)
            builder.ops.append(Op(f"aten.{OP_NAMES[kind]}", kind, phase, "net", (x,), (out,)))
            x = out
        if draw(st.booleans()):
            saved.append(x)
    builder.gemm(rows, 8, cols, a=draw(st.sampled_from(saved)), phase=Phase.DGRAD)
    return Trace("chained", (builder.step(),), (Segment(0, 0, 3),))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    chained_steps(),
    st.sampled_from(["cpu-only", "edge-16x16", NPU]),
    st.sampled_from(["epilogue", "chains"]),
    st.sampled_from(["synchronous", "in_order"]),
)
def test_fusion_never_costs_time_or_memory(trace, soc, mode, issue):
    """Nor traffic, nor energy; what it saves is what the report says, caches aside."""
    apart = simulate(machine(soc, runtime__fusion="none", runtime__issue=issue), trace)
    fused = simulate(machine(soc, runtime__fusion=mode, runtime__issue=issue), trace)
    assert fused.total["latency_ps"] <= apart.total["latency_ps"]
    assert fused.total["energy_aj"] <= apart.total["energy_aj"]
    assert fused.memory["peak_bytes"] <= apart.memory["peak_bytes"]
    assert fused.total["macs"] == apart.total["macs"]


@pytest.mark.parametrize("trace", ["lenet_digits", "resnet20_digits"])
def test_none_is_a_run_without_a_vector_unit(trace):
    """A vector unit that takes nothing draws its leakage and changes no time and no byte."""
    idle = machine(
        NPU, runtime__fusion="none", runtime__conversions="fused",
        accelerator__vector__min_elements=10**12,
    )  # fmt: skip
    plain, other = simulate("edge-16x16", trace), simulate(idle, trace)
    keys = ("latency_ps", "dram_read_bytes", "dram_write_bytes", "macs", "cpu_busy_s")
    assert {key: plain.total[key] for key in keys} == {key: other.total[key] for key in keys}
    leakage = prices(idle).static_uw["vector"] * other.total["latency_ps"]
    assert other.total["energy_aj"] - plain.total["energy_aj"] == leakage


def test_a_saved_run_says_what_fused_and_recosts_to_the_attojoule(tmp_path):
    replay = Replay(machine(NPU), Trace("one", (_residual_block(),), (Segment(0, 0, 2),)))
    result = replay.run()
    save_run(replay, result, tmp_path)
    document = read_result(tmp_path)
    (row,) = document["fusion"]["groups"]
    assert (row["op"], row["parts"]) == ("aten.mm.default + relu + relu", ["mm", "relu", "relu"])
    tensor = 4 * 512 * 96
    assert row["saved_bytes"] == 4 * tensor
    assert document["fusion"]["saved_bytes"] == 2 * row["saved_bytes"]
    by_component = document["total"]["energy_by_component_j"]
    assert "vector" in by_component
    again = recost(tmp_path, EnergyTable()).as_dict()
    assert again["total"]["energy_aj"] == result.total["energy_aj"]
    assert again["fusion"] == document["fusion"]


def _residual_block():
    """A product, a sum and an activation, behind an op that holds more than they do at once."""
    builder = StepBuilder()
    builder.elementwise(builder.tensor(1024, 96))
    shortcut = builder.tensor(512, 96, kind=StorageKind.INPUT)
    builder.elementwise(builder.elementwise(builder.gemm(512, 96, 96), shortcut))
    return builder.step()


@pytest.mark.parametrize("launch", ["10 us", "100 ms"])
def test_a_fused_product_that_a_search_moves_to_the_host_is_not_fused(launch):
    """The rules, by which ops fuse, have it on the array; a launch of 100 ms drives it away."""
    hardware = machine(NPU, runtime__placement="fastest", runtime__launch=launch)
    result = Replay(hardware, Trace("one", (_residual_block(),), (Segment(0, 0, 1),))).run()
    fusion, macs_off = result.as_dict()["fusion"], result.total["accelerator_busy_s"]
    assert (macs_off > 0, fusion["ops"], fusion["ops_traced"]) == (
        (True, 2, 4) if launch == "10 us" else (False, 4, 4)
    )
    assert bool(fusion["groups"]) == bool(fusion["saved_bytes"]) == (macs_off > 0)


def test_a_bundled_run_takes_a_third_with_a_vector_unit_and_fusion():
    """As docs/offloading.md compares: conversions, ops and their launches leave the CPU."""
    plain, npu = simulate("edge-16x16", "resnet20_digits"), simulate(NPU, "resnet20_digits")
    assert 0.2 < npu.total["latency_ps"] / plain.total["latency_ps"] < 0.4
