"""The order of a sweep's points: memories of an accelerator from the largest to the smallest."""

from simulator.sweeps.arrangement import largest_memories_first
from simulator.sweeps.grid import Point
from simulator.sweeps.job import Job

BYTES = {"64 KiB": 65536, "8 KiB": 8192, "1 MiB": 1048576}
ROWS, SIZE = "accelerator.rows", "accelerator.scratchpad"


def job(rows, size, preset="ideal"):
    settings = {ROWS: rows, SIZE: size, "dram.preset": preset}
    return Job("", Point(settings, {}), {**settings, ROWS: int(rows), SIZE: BYTES[size]})


def order_of(jobs):
    return [tuple(each.point.settings.values()) for each in largest_memories_first(iter(jobs))]


def test_designs_come_in_order_and_their_memories_from_the_largest():
    jobs = [job(rows, size) for rows in ("8", "16") for size in BYTES]
    sizes = ("1 MiB", "64 KiB", "8 KiB")
    assert order_of(jobs) == [(rows, size, "ideal") for rows in ("8", "16") for size in sizes]


def test_memories_of_one_array_on_one_path_come_together():
    """Whatever the order of the axes."""
    presets = ("ideal", "HBM2_8ch")
    jobs = [job("8", size, preset) for size in BYTES for preset in presets]
    sizes = ("1 MiB", "64 KiB", "8 KiB")
    assert order_of(jobs) == [("8", size, preset) for preset in presets for size in sizes]


def test_no_point_of_a_long_sweep_is_lost_nor_waits_for_all():
    seen = []
    jobs = [job(str(rows), size) for rows in range(1, 401) for size in BYTES]
    source = (seen.append(each) or each for each in jobs)
    arranged = largest_memories_first(source)
    next(arranged)
    assert len(seen) < len(jobs)
    rest = [each.point.settings for each in arranged]
    assert len(rest) == len(jobs) - 1
    assert {tuple(each.values()) for each in rest} | {("1", "1 MiB", "ideal")} == {
        tuple(each.point.settings.values()) for each in jobs
    }
