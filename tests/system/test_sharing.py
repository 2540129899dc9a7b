"""What the designs of a sweep share is made once, and changes no result. Counts, not times."""

import subprocess
import sys
from collections import Counter

import pytest

from simulator.files import yaml as yaml_file
from simulator.hardware import load_hardware
from simulator.lowering.lower import Carry, Lowering, Programs
from simulator.lowering.outline import outline_of
from simulator.lowering.works import Templates
from simulator.mapping.search import Search
from simulator.replay import Replay
from simulator.trace.op import Phase, Role
from tests.builders import StepBuilder, machine, one_step_trace


def small_trace():
    builder = StepBuilder()
    x = builder.gemm(96, 80, 72)
    x = builder.elementwise(x)
    builder.gemm(96, 64, 80, a=x, phase=Phase.DGRAD, role=Role.DGRAD)
    return one_step_trace(builder, 3)


@pytest.fixture
def made(monkeypatch):
    """Counts steps lowered, mappings searched and CPU work made."""
    found = Counter()
    for owner, name in ((Programs, "_lowered"), (Search, "best"), (Templates, "_cpu")):
        original = getattr(owner, name)

        def counted(self, *args, _original=original, _name=name, **named):
            found[_name] += 1
            return _original(self, *args, **named)

        monkeypatch.setattr(owner, name, counted)
    return found


def test_a_step_is_lowered_once_for_arrays_and_memories_of_all_sizes(made):
    trace = small_trace()
    Replay(machine(cpu__clock="1.01 GHz"), trace).run()
    lowered = made["_lowered"]
    assert lowered == 2  # cold and steady
    for changes in (
        {"accelerator__rows": "8"}, {"accelerator__scratchpad": "32 KiB"},
        {"accelerator__dataflow": "os"}, {"dram__preset": "DDR4-2400_x64_1ch"},
    ):  # fmt: skip
        Replay(machine(cpu__clock="1.01 GHz", **changes), trace).run()
    assert made["_lowered"] == lowered


def test_another_array_makes_no_cpu_work_again(made):
    trace = small_trace()
    Replay(machine(cpu__clock="1.02 GHz"), trace).run()
    on_cpu = made["_cpu"]
    assert on_cpu
    Replay(machine(cpu__clock="1.02 GHz", accelerator__cols="8"), trace).run()
    assert made["_cpu"] == on_cpu


def test_another_cpu_searches_no_mapping_again(made):
    trace = small_trace()
    Replay(machine(accelerator__clock="503 MHz"), trace).run()
    searched = made["best"]
    assert searched == 2
    Replay(machine(accelerator__clock="503 MHz", cpu__clock="1.03 GHz"), trace).run()
    assert made["best"] == searched
    Replay(machine(accelerator__clock="503 MHz", dram__preset="DDR4-2400_x64_1ch"), trace).run()
    assert made["best"] == 2 * searched


def test_files_are_parsed_once_until_they_change(tmp_path):
    source = tmp_path / "soc.yaml"
    text = machine_text()
    source.write_text(text, encoding="utf-8")
    before = yaml_file._document.cache_info().misses
    one = load_hardware(source, {"cpu.clock": "1.1 GHz", "accelerator.rows": 8})
    parsed = yaml_file._document.cache_info().misses
    two = load_hardware(source, {"accelerator.rows": 32})
    assert parsed > before
    assert yaml_file._document.cache_info().misses == parsed
    assert (one.accelerator.rows, two.accelerator.rows) == (8, 32)
    assert two.cpu.clock != one.cpu.clock  # an override is for its own design alone
    source.write_text(text.replace("  rows: 16", "  rows: 48"), encoding="utf-8")
    assert load_hardware(source).accelerator.rows == 48


def machine_text():
    from simulator.hardware.shipped import CONFIGS

    return (CONFIGS / "edge-16x16.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["rows", "scratchpad", "dataflow", "clock", "dma"])
def test_an_outline_has_no_sizes_to_depend_on(name):
    array = outline_of(machine()).units["accelerator"].interface
    with pytest.raises(AttributeError):
        getattr(array, name)


def test_outlines_differ_in_what_decides_on_tasks():
    trace = small_trace()
    tasks = [
        len(Lowering(machine(**changes)).lower(trace.steps[0], Carry())[0])
        for changes in (
            {},
            {"accelerator__precision": "fp32"},
            {"runtime__offload_min_macs": 10**9},
        )
    ]
    assert len(set(tasks)) == 3


_ALONE = """
from tests.builders import machine
from simulator.replay import Replay, as_trace
changes = dict(accelerator__rows="8", dram__preset="LPDDR4-4266_x32_1ch")
print(Replay(machine(**changes), as_trace("mlp_digits")).run().to_json(), end="")
"""


def test_a_design_after_others_costs_what_it_costs_alone():
    from simulator.replay import as_trace

    trace = as_trace("mlp_digits")
    alone = subprocess.run(
        [sys.executable, "-c", _ALONE], check=True, capture_output=True, encoding="utf-8"
    ).stdout
    for preset in ("DDR4-2400_x64_1ch", "LPDDR4-4266_x32_1ch"):
        for rows in ("16", "8"):
            hardware = machine(accelerator__rows=rows, dram__preset=preset)
            last = Replay(hardware, trace).run().to_json()
    assert last == alone
