"""How costs grow: from short steps to a million ops, from known memories to new ones.

Each measurement is a process of its own. Run by `make bench`.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPS = (10_000, 1_000_000)
GROWTH = 1.2
GIB_AT_MOST = 2
COLD_OVER_WARM = 1.5

_LONG = """
import resource, sys, time
from simulator.replay import Replay
from simulator.trace.trace import Segment, Trace
from tests.benchmarks.long_step import mlp_step
from tests.builders import machine

def cpu_seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start

def loop():
    x = 0
    for i in range(2_000_000): x += i & 7

hardware, short, count = machine(dram__capacity="2 TiB"), mlp_step(1000), int(sys.argv[1])
Replay(hardware, Trace("short", (short,), (Segment(0, 0, 3),))).run().total
step = mlp_step(count)
trace = Trace("long", (step,), (Segment(0, 0, 3),))
before = cpu_seconds(loop)
seconds = cpu_seconds(lambda: Replay(hardware, trace).run().total)
ratio = seconds / len(step.ops) / (before + cpu_seconds(loop)) * 2
print(ratio, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""

_MACHINES = """
import itertools, time
from simulator.hardware import load_hardware
from simulator.replay import Replay, as_trace

sizes = (4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
presets = (
    "LPDDR4-3200_x32_1ch", "LPDDR4-4266_x32_1ch", "DDR4-2400_x64_1ch", "LPDDR5-6400_2x16b_2ch",
    "HBM2_8ch",
)
run, base = as_trace("resnet20_digits"), load_hardware("edge-16x16")
names = ("accelerator.rows", "accelerator.cols", "accelerator.dataflow", "dram.preset")
start = time.process_time()
for values in itertools.product(sizes, sizes, ("ws", "os"), presets):
    assert Replay(load_hardware(base, dict(zip(names, values))), run).run().total
print(time.process_time() - start)
"""


def figures(code, *arguments, **environment):
    """Return the numbers that a process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    return [float(number) for number in done.stdout.split()]


def test_an_op_of_a_long_step_costs_what_one_of_a_short_step_does(benchmark):
    short, _ = figures(_LONG, OPS[0])
    long, gib = benchmark.pedantic(figures, (_LONG, OPS[1]), rounds=1)
    benchmark.extra_info |= {"growth": long / short, "gib": gib}
    print(f"\n{OPS[1]:,} ops / {OPS[0]:,} ops = {long / short:.2f} per op, {gib:.2f} GiB")
    assert gib <= GIB_AT_MOST
    assert long <= GROWTH * short


def test_new_memories_cost_little_more_than_known_ones(benchmark, tmp_path):
    """CPU time of 1,000 machines with five memories, on a whole run: no pattern known, and all."""
    cache = {"TRAINSOC_CACHE": str(tmp_path)}
    (cold,) = figures(_MACHINES, **cache)
    (warm,) = benchmark.pedantic(figures, (_MACHINES,), cache, rounds=1)
    benchmark.extra_info["ratio"] = cold / warm
    print(f"\n1,000 machines: cold / warm = {cold / warm:.2f} ({warm:.0f} s warm)")
    assert cold <= COLD_OVER_WARM * warm
