"""The columns of a point's row, against a replay of its own and by hand."""

import json

import polars as pl
import pytest

from simulator import simulate
from simulator.sweeps.condition import holding
from simulator.sweeps.point_row import replay
from simulator.sweeps.sampled import SAMPLES, stays_best
from simulator.sweeps.study import study
from simulator.trace.op import Phase
from simulator.trace.trace import Segment, StepKind, Trace
from tests.builders import StepBuilder, machine


def trained_and_evaluated():
    """Return a trace of ten training steps and three that evaluate."""
    training, evaluation = StepBuilder(), StepBuilder()
    training.elementwise(training.gemm(64, 64, 64))
    evaluation.gemm(64, 64, 64, phase=Phase.EVAL)
    steps = training.step(), evaluation.step(StepKind.EVAL)
    return Trace("both", steps, (Segment(0, 0, 10), Segment(0, 1, 3)))


@pytest.mark.parametrize("name", ["latency_s", "energy_j", "cpu_busy_s", "accelerator_busy_s"])
def test_training_is_all_but_evaluation(name):
    hardware, trace = machine(), trained_and_evaluated()
    asked = study(hardware, (), trace)
    row = replay(asked.job(asked.space.point(0), {}), asked).row
    alone = Trace("training", trace.steps[:1], (Segment(0, 0, 10),))
    assert row[f"training_{name}"] == pytest.approx(simulate(hardware, alone).total[name])
    assert row[f"training_{name}"] + row[f"eval_{name}"] == pytest.approx(row[name])
    assert row[f"eval_{name}"] > 0


@pytest.mark.parametrize(
    ("first", "others", "share"),
    [
        ([1.0, 1.0, 3.0, 3.0], [[2.0, 2.0, 2.0, 2.0]], 0.5),
        ([2.0, 2.0, 3.0, 1.0], [[2.0, 2.0, 2.0, 2.0]], 0.75),  # as good is best, too
        ([1.0, 1.0, 1.0, None], [[2.0, 0.5, None, 2.0], [3.0, 3.0, 3.0, 3.0]], 0.5),
    ],
)
def test_the_first_candidate_stays_best_where_no_other_takes_less(first, others, share):
    """None is a sample that cannot run."""
    texts = [json.dumps({"latency_s": column}) for column in (first, *others)]
    assert stays_best(pl.DataFrame({SAMPLES: texts}), "latency_s") == share


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ("average_power_w", [0.4, 0.6], "power < 500 mW"),
        ("energy_j", [0.4, 0.6], "energy < 500 mJ"),
        ("latency_s", [0.4e-6, 0.6e-6], "latency < 500 ns"),
        ("dram_read_bytes", [400 * 1024, 600 * 1024], "dram_read < 500 KiB"),
        ("bandwidth_bytes_per_s", [400e6, 600e6], "bandwidth < 0.5 GB/s"),
        ("technology.node", [14, 16], "node < 15 nm"),
        ("cpu.voltage", [800, 900], "voltage < 0.85 V"),  # in mV
        ("cpu.clock", [10**9, 2 * 10**9], "cpu.clock < 1500 MHz"),
    ],
)
def test_units_of_a_condition_are_those_of_the_column(column, values, text):
    assert holding(pl.DataFrame({column: values}), [text]).to_list() == [True, False]
