"""What two masters lose by disturbing each other: closed forms from what a sample of both takes.

They move as much in a sample: alone after each other in `apart` cycles, at once in
(1 + loss) x `apart`. Two that take shares d1 and d2 of the memory's time then have
(d1 + d2) / (d1 + d2 + loss x 2 min(d1, d2)) of it to divide.
"""

import pytest

from simulator import simulate
from simulator.timing.dram.cost import TrafficShape, Walk, samples_of
from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine, one_step_trace

# Masters start at once, and neither ports nor cores are slower than the memory.
PARTS = ("forward", "backward", "optimizer")
WIDE = dict.fromkeys((f"cpu__dispatch__{part}" for part in PARTS), "0 cycles") | {
    "dram__preset": "LPDDR5-6400_2x16b_2ch", "interconnect__width": "1 KiB",
    "runtime__issue": "dataflow", "runtime__launch": "0 us", "runtime__synchronise": "0 us",
    "cpu__op_overhead": "0 cycles", "cpu__llc__size": "0 B", "cpu__bandwidth": "1 TB/s",
    "accelerator__precision": "fp32", "accelerator__launch_latency": "0 ns",
    "accelerator__dma__bandwidth": "1 TB/s",
}  # fmt: skip
FAST, SLOW = ({"cpu__bandwidth_per_core": rate} for rate in ("1 TB/s", "1.5 GB/s"))
SEQUENCE = 64  # granules of a run that never ends


def product(builder):
    """Much output of little arithmetic: the accelerator writes in sequence."""
    builder.gemm(1 << 16, 64, 8)


def update(builder):
    """The CPU reads two tensors and writes one, in sequence."""
    weight, gradient = (
        builder.tensor(1 << 20, kind=kind, name=f"{kind}")
        for kind in (StorageKind.PARAMETER, StorageKind.GRADIENT)
    )
    inputs = (weight, gradient)
    op = Op("add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "w", inputs, (weight,))
    builder.ops.append(op)


def durations_s(*parts, **settings):
    """Return how long the task of each unit takes."""
    builder = StepBuilder()
    for part in parts:
        part(builder)
    ops = simulate(machine(**WIDE, **settings), one_step_trace(builder)).ops
    return {op["unit"]: op["end_s"] - op["start_s"] for op in ops if op["stage"] in ("gemm", "op")}


@pytest.fixture(scope="module")
def loss():
    """What two sequences lose, of which one writes and the other reads and writes."""
    samples = samples_of(machine(**WIDE).dram.device)
    writes = TrafficShape(Walk(SEQUENCE, SEQUENCE, True))
    both_ways = TrafficShape(Walk(SEQUENCE, SEQUENCE, False), mixed=True)
    first, second, both = samples.of(writes), samples.of(both_ways), samples.of(both_ways, writes)
    apart = first.cycles / first.granules + second.cycles / second.granules
    share = 2 * both.cycles / both.granules / apart - 1
    assert share > 0.1  # else this shows little
    return share


def test_two_masters_that_want_all_have_half_each_of_what_their_disturbance_leaves(loss):
    alone, both = durations_s(update, **FAST), durations_s(product, update, **FAST)
    assert both["cpu"] / alone["cpu"] == pytest.approx(2 * (1 + loss), rel=2e-3)


def test_the_less_one_master_wants_the_less_is_lost(loss):
    (wanted_s,), (slow_s,) = (durations_s(update, **rate).values() for rate in (FAST, SLOW))
    share = wanted_s / slow_s
    assert 0.1 < share < 0.4
    alone, both = durations_s(product, **SLOW), durations_s(product, update, **SLOW)
    assert both["cpu"] == pytest.approx(slow_s)
    left = 1 / (1 + loss * 2 * share) - share
    assert both["accelerator"] / alone["accelerator"] == pytest.approx(1 / left, rel=1e-2)
