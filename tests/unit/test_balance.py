"""Shares of a batch that are found: parts end together, as brute force says."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.lowering.balance import balanced
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay
from simulator.timing.shares import WHOLE
from simulator.trace.batches import batch_of, cut
from simulator.trace.trace import Step
from tests.builders import StepBuilder, one_step_trace

DRIVER = {"launch": "10 us", "synchronise": "0 s"}
FURTHER = {"kind": "array", "port": {"width": "16 B"}, "driver": DRIVER, "clock": "250 MHz"}


UNITS = ("accelerator", "npu", "cpu")


def machine(folder, units=UNITS, share=None):
    """The default SoC with an ideal memory, and an array of its kind at a quarter of the clock:
    they share every product.
    """
    raw = load_hardware("edge-16x16", {"accelerator.precision": "fp32"}).as_text()
    raw["dram"] = {"preset": "ideal", "capacity": "2 GiB"}
    raw["units"] = {"npu": raw["accelerator"] | FURTHER}
    parts = [{"unit": unit} | ({"share": share} if share else {}) for unit in units]
    raw["runtime"]["split"] = [{"parts": parts, "shares": "given" if share else "fastest"}]
    path = folder / "soc.yaml"
    YAML().dump(raw, path)
    return load_hardware(path)


@st.composite
def rising_times(draw):
    """A batch, and the times of one to three units for 1, 2, ... of it, none ever less."""
    size = draw(st.integers(1, 9))
    steps = st.lists(st.integers(0, 20), min_size=size, max_size=size)
    units = draw(st.lists(steps, min_size=1, max_size=3))
    return size, [[sum(each[: i + 1]) for i in range(size)] for each in units]


def longest(times, parts):
    return max(each[part - 1] if part else 0 for each, part in zip(times, parts, strict=True))


@given(rising_times())
def test_no_other_parts_end_earlier(case):
    size, times = case
    found = balanced(size, [lambda part, each=each: each[part - 1] for each in times])
    assert sum(found) == size
    ways = product(range(size + 1), repeat=len(times))
    assert longest(times, found) == min(longest(times, w) for w in ways if sum(w) == size)


def test_few_parts_are_timed():
    """Some log2 of 4096 for each unit, not 4096."""
    asked = []
    found = balanced(4096, [lambda n: asked.append(n) or 3 * n, lambda n: asked.append(n) or n])
    assert found == (1024, 3072)
    assert len(asked) < 50


def test_a_product_is_shared_as_the_search_over_all_parts_says(tmp_path):
    """24 rows on three units, each part lowered and timed alone; a unit may stay idle."""
    builder = StepBuilder()
    builder.gemm(24, 512, 512)
    hardware, step = machine(tmp_path), builder.step()
    lowering, batch = Lowering(hardware), batch_of(step.ops[0])

    def alone_ps(unit, rows):
        (part,) = cut(step.ops[0], batch, (rows,))
        tasks = lowering.alone(Step(step.kind, (part,), step.storages), unit).tasks
        return sum(task.work.progress.duration_ps(WHOLE) for task in tasks)

    times = [[alone_ps(unit, n + 1) for n in range(24)] for unit in UNITS]
    lowered, _ = lowering.lower(step, Carry())
    rows = {task.work.unit: task.work.m for task in lowered if task.work.m}
    parts = [rows.get(unit, 0) for unit in UNITS]
    ways = ((a, b, 24 - a - b) for a in range(25) for b in range(25 - a))
    assert sum(parts) == 24
    assert longest(times, parts) == min(longest(times, way) for way in ways)
    assert parts[0] > parts[1]  # at four times the clock


def test_found_shares_beat_equal_ones(tmp_path):
    builder = StepBuilder()
    builder.gemm(1024, 256, 512)
    trace = one_step_trace(builder)
    machines = [machine(tmp_path, UNITS[:2], share) for share in (None, 1)]
    found, equal = (Replay(soc, trace).run().total["latency_ps"] for soc in machines)
    assert found < 0.7 * equal


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"parts": [{"unit": "cpu"}]}, "cpu has no share: add it, or shares: fastest"),
        (
            {"parts": [{"unit": "cpu", "share": 2}], "shares": "fastest"},
            "shares are fastest: remove the share of cpu",
        ),
    ],
)
def test_shares_are_given_or_found(split, told):
    with pytest.raises(InputError, match=told):
        load_hardware("edge-16x16", {"runtime.split": [split]})
