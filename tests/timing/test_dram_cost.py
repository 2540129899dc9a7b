"""What patterns cost, against closed forms and against the device run on the very pattern."""

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.activity import AccessPattern, sequential
from simulator.hardware import load_hardware
from simulator.pattern_store import kept_samples
from simulator.timing.dram.cost import (
    TrafficShape,
    Walk,
    idle_ps,
    pattern_cost,
    samples_of,
    traffic_of,
    walk_of,
)
from simulator.timing.dram.memory import Memory
from simulator.timing.dram.traffic import Stream, Transaction
from tests.dram_samples import sampled_presets
from tests.reference import rows

GDDR6, DDR5 = "GDDR6-14000_2x16b_2ch", "DDR5-4800_2x32b_2ch"
PRESETS = ("LPDDR4-3200_x32_1ch", "DDR4-2400_x64_1ch", "DDR4-2400_x64_2ch", "LPDDR4-4266_x64_2ch")
MIB = 1 << 20


def dram(preset):
    return load_hardware("edge-16x16", {"dram.preset": preset}).dram


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "preset", [*PRESETS, "HBM2_8ch", "LPDDR5-6400_2x16b_2ch_REFpb", GDDR6, DDR5, f"{DDR5}_REFsb"]
)
def test_a_sequential_stream_takes_the_bus_but_for_refresh(preset, write):
    memory = dram(preset)
    t, device = memory.device.timing, memory.device
    turns = {"all_bank": 1, "per_bank": device.banks, "same_bank": device.banks_per_group}
    blocked = t.tRFC + t.tRP + (t.tRCD or t.tRCDRD)
    busy = 1 - blocked / (t.tREFI * turns[device.refresh])
    cost = pattern_cost(memory, sequential(MIB, write=write), 1000 * write)
    expected_ps = MIB * 10**12 / memory.peak_bytes_per_s / busy
    assert cost.channel_ps == pytest.approx(expected_ps, rel=0.035)
    assert cost.bursts == MIB // device.granule
    rows = MIB // (device.row * device.channels)
    assert rows * device.channels <= cost.activates <= 1.4 * rows * device.channels


@pytest.mark.parametrize("preset", sampled_presets())
def test_no_sample_is_faster_than_the_pins(preset):
    device = dram(preset).device
    with kept_samples(device):
        table = samples_of(device).table
    assert any(walk.write for masters in table for walk, _ in masters)
    for masters, sample in table.items():
        assert sample.cycles * device.channels >= sample.granules * device.timing.burst, masters


@pytest.mark.parametrize("preset", PRESETS)
def test_rows_visited_for_one_granule_are_limited_by_activations(preset):
    memory = dram(preset)
    t, device = memory.device.timing, memory.device
    row = device.row * device.channels * device.bank_groups
    pattern = AccessPattern(MIB, device.granule, row + device.granule, write=False)
    cost = pattern_cost(memory, pattern, 0)
    activate = max(t.tRRD_S, t.tFAW / 4, (t.tRAS + t.tRP) / device.banks, t.burst)
    cycles = cost.channel_ps * 1000 / device.period
    assert cost.activates >= 0.98 * cost.bursts
    assert cycles >= cost.bursts * activate / device.channels
    assert cycles <= 1.35 * cost.bursts * activate / device.channels


SATURATED = {
    "seq_read": (sequential(MIB, write=False), 0.015),
    "seq_write": (sequential(MIB, write=True), 0.015),
    "random_read": (AccessPattern(MIB, 64, (1 << 20) + 64 * 4097, write=False), 0.08),
}


@pytest.mark.parametrize("row", [
    row for row in rows("dram/dramsim3_patterns.csv") if row["pattern"] in SATURATED
], ids=lambda row: f"{row['config']} {row['pattern']}")  # fmt: skip
def test_what_saturates_the_memory_costs_what_it_costs_dramsim3(row):
    pattern, tolerance = SATURATED[row["pattern"]]
    cost = pattern_cost(dram(row["config"]), pattern, 1000 * pattern.write)
    found = MIB / cost.channel_ps * 1000
    assert found == pytest.approx(float(row["useful_GBps"]), rel=tolerance)


@pytest.mark.parametrize("preset", ["LPDDR4-3200_x32_1ch", "DDR4-2400_x64_1ch"])
def test_a_walk_stands_for_its_pattern(preset):
    draw, errors = random.Random(3), []
    samples = samples_of(dram(preset).device)
    for _ in range(40):
        run = draw.choice([1, 1, 2, 3, 4, 6, 8, 16])
        pitch, write = run + int(2 ** draw.uniform(0, 10)), draw.random() < 0.3
        pieces = [Transaction(i * pitch * 64, run * 64, write) for i in range(1024 // run)]
        direct = Memory(samples.device, (Stream(lambda p=pieces: p, outstanding=64),)).run()
        pattern = AccessPattern(1024 * 64, run * 64, pitch * 64, write)
        walk = samples.of(TrafficShape(walk_of(samples.device, pattern)))
        errors.append(walk.cycles / walk.granules / (direct.cycles / direct.bursts) - 1)
    assert mean(abs(error) for error in errors) < 0.03
    assert max(abs(error) for error in errors) < 0.4  # a pitch that hits one bank, or misses it


@given(st.integers(1, 4096), st.integers(0, 10**6), st.booleans())
def test_a_walk_keeps_what_decides_on_channels(run, gap, write):
    device = dram("DDR4-2400_x64_2ch").device
    pattern = AccessPattern(10**7, run * 64, (run + gap) * 64, write)
    walk = walk_of(device, pattern)
    assert walk.write == write
    assert walk.run <= max(run, 64)
    assert walk.pitch >= walk.run
    if gap and run < device.row // device.granule * device.channels:
        alike = (run + gap) & -(run + gap)
        assert walk.pitch % min(alike, device.row // device.granule * 2 * device.banks) == 0


@given(st.integers(1, 10**9), st.integers(0, 1000))
def test_cost_grows_with_bytes_and_with_turnarounds(size, permille):
    memory = dram(PRESETS[0])
    pattern = sequential(size, write=False)
    alone, mixed = (pattern_cost(memory, pattern, w) for w in (0, permille))
    assert mixed.channel_ps >= alone.channel_ps
    assert mixed.bursts == alone.bursts == -(-size // 64)
    more = pattern_cost(memory, sequential(size + 64, write=False), permille)
    assert more.channel_ps > mixed.channel_ps


def test_reads_and_writes_in_blocks_lose_what_they_lose_in_dramsim3():
    # copy_alternate of 4096-byte blocks on LPDDR4-3200 x32 (tests/reference/dram): 11.1077 GB/s
    memory = dram(PRESETS[0])
    costs = [pattern_cost(memory, sequential(MIB, write=w), 500) for w in (False, True)]
    assert 2 * MIB / sum(c.channel_ps for c in costs) * 1000 == pytest.approx(11.1077, rel=0.03)


def test_an_ideal_memory_has_no_rows():
    cost = pattern_cost(dram("ideal"), AccessPattern(6400, 64, 4096, write=False), 500)
    assert cost == (64, 0, 0)  # 6400 B at 100 TB/s
    assert idle_ps(dram("ideal")) == 0


def test_two_masters_in_sequence_stretch_each_other_little_and_scattered_ones_by_turning_around():
    samples = samples_of(dram(PRESETS[0]).device)
    read = traffic_of(samples.device, 1000, 0, 10)
    write = traffic_of(samples.device, 1000, 1000, 10)
    scattered = traffic_of(samples.device, 1000, 1000, 1000)
    assert 1000 <= samples.stretch_permille(read, read) <= 1020
    assert 1000 <= samples.stretch_permille(read, write) <= 1100
    assert samples.stretch_permille(read, scattered) > 1100
    assert samples.stretch_permille(write, read) == samples.stretch_permille(read, write)


@pytest.mark.parametrize(
    ("counts", "run", "write", "mixed"),
    [
        ((1000, 0, 10), 64, False, False),
        ((1000, 1000, 10), 64, True, False),
        ((1000, 500, 10), 64, False, True),
        ((1000, 100, 200), 4, False, False),
        ((1000, 900, 1000), 1, True, False),
    ],
)
def test_traffic_is_told_by_its_commands(counts, run, write, mixed):
    traffic = traffic_of(dram(PRESETS[0]).device, *counts)
    assert (traffic.walk.run, traffic.walk.write, traffic.mixed) == (run, write, mixed)
    assert traffic.walk.pitch >= Walk(run, run, write).run
