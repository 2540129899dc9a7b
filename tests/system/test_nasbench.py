"""NAS-Bench-201 on a Raspberry Pi 4 and a Pixel 3: the order in which networks are fast."""

import pytest
from scipy.stats import spearmanr

from simulator.hardware import load_hardware
from simulator.replay import Replay
from tests.nasbench import inference
from tests.reference import rows

MEASURED = {"raspberry-pi-4": "raspi4_ms", "pixel-3": "pixel3_ms"}


def correlations(cells):
    """Spearman's rank correlation of predicted and measured latencies, by machine."""
    traces = [inference(row["cell"]) for row in cells]
    found = {}
    for machine, column in MEASURED.items():
        hardware = load_hardware(machine)
        ours = [Replay(hardware, trace).run().total["latency_s"] for trace in traces]
        found[machine] = spearmanr(ours, [float(row[column]) for row in cells]).statistic
    return found


def test_order_of_some_networks():
    assert all(value > 0.9 for value in correlations(ROWS[::30]).values())


@pytest.mark.slow
def test_order_of_all_networks():
    found = correlations(ROWS)
    assert found["raspberry-pi-4"] > 0.95
    assert found["pixel-3"] > 0.93


ROWS = rows("cpu/nasbench201_pi4_pixel3.csv")
