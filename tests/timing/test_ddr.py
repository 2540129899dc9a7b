"""Closed forms of the DRAM against DRAMsim3."""

from statistics import mean

import pytest

from simulator.activity import AccessPattern, sequential
from simulator.timing.ddr import pattern_cost
from tests.builders import machine
from tests.reference import rows

SIZE = 1 << 24
RANDOM = AccessPattern(SIZE, 64, 1 << 22, False)
REFERENCE = rows("dram/dramsim3_closed_form.csv")


def useful_gbps(dram, pattern, write_permille=0):
    return SIZE / pattern_cost(dram, pattern, write_permille).channel_ps * 1000


def errors(name, pattern, write_permille=0):
    found = {}
    for row in REFERENCE:
        if row["pattern"] == name:
            dram = machine(dram__preset=row["config"]).dram
            ours = useful_gbps(dram, pattern, write_permille)
            found[row["config"]] = ours / float(row["useful_GBps"]) - 1
    return found


def test_sequential_reads():
    off = errors("seq_read", sequential(SIZE, write=False))
    assert len(off) >= 4
    assert mean(abs(error) for error in off.values()) < 0.01


def test_sequential_writes():
    off = errors("seq_write", sequential(SIZE, write=True), 1000)
    assert len(off) >= 4
    assert mean(abs(error) for error in off.values()) < 0.02


def test_random_reads_of_one_granule():
    off = errors("random_read", RANDOM)
    # the closed form knows no queue, which limits HBM2's eight channels and 32-byte granules
    ddr = {name: error for name, error in off.items() if "HBM2" not in name and "2x16b" not in name}
    assert ddr
    assert mean(abs(error) for error in ddr.values()) < 0.10


def test_ideal_memory_takes_bytes_over_bandwidth():
    dram = machine(dram__preset="ideal", dram__bandwidth="10 GB/s").dram
    assert pattern_cost(dram, sequential(10**9, write=False), 0).channel_ps == 10**11
    assert pattern_cost(dram, RANDOM, 500).channel_ps == -(-SIZE * 100 // 1)


@pytest.mark.parametrize("preset", ["LPDDR4-3200_x32_1ch", "DDR4-2400_x64_1ch", "HBM2_8ch"])
def test_shorter_runs_and_mixtures_never_cost_less(preset):
    dram = machine(dram__preset=preset).dram
    costs = [
        pattern_cost(dram, AccessPattern(SIZE, run, 1 << 16, False), 0).channel_ps
        for run in (32, 64, 256, 1024, 8192)
    ]
    assert costs == sorted(costs, reverse=True)
    whole = sequential(SIZE, write=False)
    pure, mixed = (pattern_cost(dram, whole, share).channel_ps for share in (0, 500))
    assert mixed > pure
