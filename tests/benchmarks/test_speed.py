"""How fast the simulator is. Run by `make bench`; only ratios and counts are asserted elsewhere."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.lowering.lower import Carry, Lowering
from simulator.machine.soc import run_step
from simulator.replay import Replay, as_trace
from simulator.trace.trace import Segment, Trace
from tests.builders import machine

ROOT = Path(__file__).parents[2]
WORKS_PER_SECOND = 20_000


@pytest.fixture(scope="module")
def trace():
    return as_trace("resnet20_digits")


def test_works_per_second_of_cpu_time(benchmark, trace):
    """Everything but mapping each shape once: lowering, simulation, attribution, sums."""
    replay = Replay(machine(), trace)
    works = sum(len(record.tasks) for record in replay.run().records)
    start = time.process_time()
    benchmark.pedantic(replay.run, rounds=10)
    rate = 10 * works / (time.process_time() - start)
    benchmark.extra_info["works_per_cpu_second"] = rate
    print(f"\n{rate:,.0f} works per second of CPU time ({works} works)")
    assert rate >= WORKS_PER_SECOND


def test_simulation_alone(benchmark, trace):
    tasks, _ = Lowering(machine()).lower(trace.steps[trace.typical_step], Carry())
    benchmark(run_step, tasks, "dataflow")


def test_a_run_answers_within_two_seconds(benchmark):
    command = [sys.executable, "-m", "simulator.cli", "run", "edge-16x16", "resnet20_digits"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def answer():
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=ROOT)

    benchmark.pedantic(answer, rounds=5)
    assert benchmark.stats.stats.median < 2


def test_many_equal_steps_cost_what_two_do(benchmark, trace):
    step = trace.steps[trace.typical_step]

    def seconds(count):
        run = Trace("equal", (step,), (Segment(0, 0, count),))
        best = []
        for _ in range(5):
            start = time.process_time()
            Replay(machine(), run).run()
            best.append(time.process_time() - start)
        return min(best)

    two, many = seconds(2), seconds(10_000)
    benchmark.extra_info["ratio"] = many / two
    print(f"\n10,000 steps / 2 steps = {many / two:.3f}")
    benchmark.pedantic(seconds, (10_000,), rounds=1)
    assert many <= 1.2 * two


def test_capture_costs_little_over_an_epoch(benchmark):
    """Plain and captured epochs in turn, so that a drifting machine slows both."""
    pytest.importorskip("torch")
    from workloads.capture import capture
    from workloads.recipes import resnet20_digits

    def epoch():
        start = time.perf_counter()
        resnet20_digits.train(epochs=1)
        return time.perf_counter() - start

    def captured_epoch():
        start = time.perf_counter()
        with capture():
            resnet20_digits.train(epochs=1)
        return time.perf_counter() - start

    epoch()
    pairs = [(epoch(), captured_epoch()) for _ in range(4)]
    plain, captured = (min(times) for times in zip(*pairs, strict=True))
    benchmark.extra_info["ratio"] = captured / plain
    print(f"\ncaptured / plain = {captured / plain:.3f} ({plain:.2f} s plain)")
    benchmark.pedantic(captured_epoch, rounds=1)
    assert captured <= 1.3 * plain
