"""More of anything never makes a single op or a dependent chain slower."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import simulate
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Role
from tests.builders import StepBuilder, array_work, machine, one_step_trace

sizes = st.integers(1, 300)
dataflows = st.sampled_from(["ws", "os", "is"])
ARRAYS = (8, 16, 32, 64)
overlaps = st.sampled_from(["none", "preload", "full"])


def alone_ps(dims, **settings_):
    hardware = machine(**{f"accelerator__{k}": v for k, v in settings_.items() if k != "dram"},
                       **settings_.get("dram", {}))  # fmt: skip
    gemm = Gemm(Role.FORWARD, 1, *dims, 0, 1, 0)
    work = array_work(hardware, gemm, 32)
    return work.progress.duration_ps(WHOLE)


@settings(max_examples=20, deadline=None)
@given(sizes, sizes, sizes, dataflows, overlaps)
def test_more_bandwidth(m, n, k, dataflow, overlap):
    times = [
        alone_ps(
            (m, n, k),
            dataflow=dataflow,
            overlap=overlap,
            dram={"dram__preset": "ideal", "dram__bandwidth": f"{rate} GB/s"},
        )
        for rate in (1, 2, 5, 12, 50)
    ]
    assert times == sorted(times, reverse=True)


@settings(max_examples=20, deadline=None)
@given(sizes, sizes, sizes, dataflows, overlaps)
def test_a_faster_clock(m, n, k, dataflow, overlap):
    times = [
        alone_ps((m, n, k), dataflow=dataflow, overlap=overlap, clock=clock)
        for clock in ("100 MHz", "333 MHz", "1 GHz", "1.2 GHz", "3 GHz")
    ]
    assert times == sorted(times, reverse=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), dataflows, overlaps)
def test_a_larger_array_over_dividing_shapes(m, n, k, dataflow, overlap):
    memory = {"dram__preset": "ideal", "dram__bandwidth": "1 TB/s"}
    times = [
        alone_ps(
            (64 * m, 64 * n, 64 * k),
            rows=size, cols=size, dataflow=dataflow, overlap=overlap,
            scratchpad="4 MiB", accumulator="4 MiB", dma__bandwidth="1 TB/s", dram=memory,
        )
        for size in ARRAYS
    ]  # fmt: skip
    for small, large, slow, fast in zip(ARRAYS, ARRAYS[1:], times, times[1:], strict=False):
        # Where memory hides the computation all but its end, the longer fill of the larger array
        # remains; without overlap a GEMM that fits is one tile, and nothing of it is hidden.
        fill_ps = 0 if overlap == "none" else 3 * (large - small) * 1000
        assert fast <= slow + fill_ps


@pytest.fixture
def chain():
    builder = StepBuilder()
    x = builder.gemm(64, 128, 64)
    for _ in range(3):
        x = builder.elementwise(x)
        x = builder.gemm(64, 128, 128, a=x)
    return one_step_trace(builder, 3)


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("accelerator.clock", ["250 MHz", "500 MHz", "1 GHz", "2 GHz"]),
        ("cpu.clock", ["700 MHz", "1.4 GHz", "2.8 GHz"]),
        ("cpu.cores", [1, 2, 4, 8]),
        ("dram.bandwidth", ["1 GB/s", "4 GB/s", "16 GB/s"]),
        ("accelerator.rows", [8, 16, 32, 64]),
        ("runtime.launch", ["100 us", "10 us", "0 us"]),
    ],
)
@pytest.mark.parametrize("issue", ["synchronous", "in_order", "dataflow"])
def test_a_chain(chain, setting, values, issue):
    fixed = {"runtime.issue": issue, "dram.preset": "ideal"}
    times = [
        simulate("edge-16x16", chain, fixed | {setting: value}).total["latency_ps"]
        for value in values
    ]
    assert times == sorted(times, reverse=True)


def test_a_step_larger_than_the_dram_is_infeasible(chain):
    from simulator.errors import Infeasible

    with pytest.raises(Infeasible, match="DRAM has") as caught:
        simulate("edge-16x16", chain, {"dram.capacity": "64 KiB"})
    assert caught.value.demand > caught.value.bound == 65536


@pytest.mark.parametrize(
    ("setting", "memory"),
    [
        ({"accelerator.scratchpad": "16 B"}, "scratchpad"),
        ({"accelerator.accumulator": "8 B"}, "accumulator"),
    ],
)
def test_memories_too_small_for_any_tile_are_infeasible(chain, setting, memory):
    from simulator.errors import Infeasible

    with pytest.raises(Infeasible, match=f"accelerator.{memory} of .* too small for any tile"):
        simulate("edge-16x16", chain, setting)
