"""Do predicted energies meet chips and boards as closely as the table says?"""

import pytest

from tests.silicon import (
    blocks,
    chips,
    eyeriss,
    eyeriss_traffic,
    hpl,
    idle_chips,
    lpddr4,
    rails,
    tiny,
    training_step,
    ungated_chips,
)
from tests.silicon_row import ENERGY, SiliconRow, read_table
from tests.silicon_tiny import gap9_asleep

MISSES = {
    ("TPU v3", "at its peak"): -0.31,
    ("TPU v4", "at its peak"): 0.31,
    ("Simba chiplet", "at its peak"): -0.33,
    ("TPU v1", "idle"): -0.67,
    ("TPU v3", "idle"): -0.71,
    ("TPU v4", "idle"): -0.52,
    ("TPU v4i", "idle"): -0.58,
    ("Jetson AGX Xavier", "memory rail, idle"): -0.22,
    ("Jetson TX2", "memory rail, 14 % of 51 GB/s"): -0.49,
    ("Jetson TX2", "memory rail, awake"): -0.77,
    ("Jetson TX2", "memory rail, idle"): -0.37,
    ("syntiant_9120_0v9_30mhz", "ic, MLPerf Tiny"): 0.37,
    ("syntiant_9120_1v1_98mhz", "ic, MLPerf Tiny"): 0.48,
}
"""Rows beyond their goal, and by how much: what is missing of them stands in the row."""


def _rows() -> list[SiliconRow]:
    of_chips = [*chips(), *idle_chips(), *eyeriss(), *eyeriss_traffic()]
    return [*of_chips, hpl(), *lpddr4(), *rails(), *tiny()]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row.chip} {row.what}")
def test_a_chip_takes_what_is_predicted_or_misses_as_the_table_says(row):
    miss = MISSES.get((row.chip, row.what))
    if miss is None:
        assert abs(row.error) <= row.goal
    else:
        assert row.error == pytest.approx(miss, abs=0.02)
        assert row.why
    assert row.low <= row.predicted <= row.high


def test_every_miss_is_of_a_row():
    assert set(MISSES) <= {(row.chip, row.what) for row in _rows()}


def test_the_ranges_of_prices_reach_every_chip_at_its_peak():
    """The Edge TPU, "2 W", lies at the least of its range."""
    for row in chips():
        assert row.low * 0.98 <= row.measured <= row.high


def test_the_blocks_of_a_chip_sum_to_its_row():
    for row in chips():
        assert sum(blocks(row.chip).values()) == pytest.approx(row.predicted, rel=1e-6)


def test_a_limit_is_no_measurement():
    """TPU v1 and v3 were measured to draw 1.9 and 1.7 times less, at most, than their TDP of 75 and
    450 W; by that the prediction of TPU v4i, whose TDP alone is known, is 20 to 32 % high.
    """
    measured = {row.chip: row for row in chips()}
    ratios = [tdp / measured[chip].measured for chip, tdp in (("TPU v1", 75), ("TPU v3", 450))]
    assert ratios == pytest.approx([1.9, 1.7], abs=0.05)
    limit = measured["TPU v4i"]
    errors = [limit.predicted * ratio / limit.measured - 1 for ratio in ratios]
    assert errors == pytest.approx([0.32, 0.20], abs=0.02)


def test_clocks_of_arrays_that_run_on_are_not_all_that_an_idle_chip_lacks():
    errors = [row.error for row in ungated_chips()]
    assert (max(errors), min(errors)) == pytest.approx((-0.39, -0.65), abs=0.02)


def test_cores_that_sleep_would_leave_most_of_gap9_missing():
    """That they work is not public: without it convolutional networks are 50 to 73 % short."""
    errors = [row.error for row in gap9_asleep() if not row.what.startswith("ad,")]
    assert (max(errors), min(errors)) == pytest.approx((-0.50, -0.73), abs=0.02)


@pytest.mark.slow
def test_a_training_step_on_a_board_takes_what_is_derived():
    row = training_step()
    assert abs(row.error) <= row.goal


def test_every_reference_names_its_source():
    for name in ("silicon_chips", "mlperf_tiny", "lpddr4_rails"):
        assert all(len(row["source"]) > 20 for row in read_table(name))
        assert (ENERGY / f"{name}.csv").read_text().endswith("\n")
