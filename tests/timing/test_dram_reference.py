"""Patterns against DRAMsim3, row by row."""

from collections import defaultdict
from statistics import mean

import pytest

from simulator.timing.dram.memory import Memory
from simulator.timing.dram.patterns import pattern
from tests.builders import machine
from tests.reference import rows
from tests.validation import dram_class

REFERENCE = rows("dram/dramsim3_patterns.csv")
BOUNDS = {
    "stream": 0.02, "stride": 0.01, "random": 0.03, "mixed": 0.05, "tile": 0.02,
    "several": 0.06, "accelerator": 0.06,
}  # fmt: skip


def errors(some):
    """Return by kind the errors of bandwidth and of energy per bit."""
    bandwidth, energy = defaultdict(list), []
    for row in some:
        spec = machine(dram__preset=row["config"]).dram.device
        what = pattern(spec, row["pattern"], row["params"])
        found = Memory(spec, what.streams, what.mapping, hashed=what.hashed).run()
        bandwidth[dram_class(row)].append(found.useful_gbps / float(row["useful_GBps"]) - 1)
        energy.append(found.pj_per_bit_bus / float(row["pJ_per_bit_bus"]) - 1)
    return bandwidth, energy


def sizes(values):
    return mean(abs(value) for value in values)


def check(some):
    bandwidth, energy = errors(some)
    off = {name: sizes(values) for name, values in bandwidth.items()}
    assert not {name: size for name, size in off.items() if size > BOUNDS.get(name, 0.05)}
    assert sizes(energy) < 0.05


def test_a_sample_of_all_kinds():
    check(REFERENCE[::58])


@pytest.mark.parametrize("config", ["LPDDR4-3200_x32_1ch", "DDR4-2400_x64_2ch"])
def test_reads_without_chance_agree_to_a_per_mille(config):
    some = [
        row
        for row in REFERENCE
        if row["config"] == config and row["pattern"] in ("stride_read", "seq_read_win")
    ]
    bandwidth, _ = errors(some[::4])
    assert max(abs(error) for values in bandwidth.values() for error in values) < 0.001


@pytest.mark.slow
def test_all_rows():
    check(REFERENCE)
