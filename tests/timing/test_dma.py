"""The port time of a DMA engine against closed forms and against its requests, one by one."""

from collections import deque
from fractions import Fraction
from math import lcm

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import AccessPattern, sequential
from simulator.hardware.accelerator import Dma
from simulator.timing.dma import Split, port_ps, split_rows
from simulator.timing.shared_cache import WayToMemory
from simulator.units import PS_PER_S

GHZ = 10**9
WIDE = WayToMemory(10**15)  # an interconnect that limits nothing, and no cache


def engine(**parameters) -> Dma:
    """Return a DMA engine of 16 bytes per nanosecond with these parameters."""
    return Dma(**{"bandwidth": "16 GB/s"} | parameters)


def strided(runs, run, gap, *, write=False, row=0) -> AccessPattern:
    return AccessPattern(runs * run, run, run + gap, write, row)


def issued(durations, outstanding, latency) -> Fraction:
    """Return when the engine can issue the request after these.

    Each holds the port for its duration, and one of the `outstanding` slots for a round trip.
    """
    flying, now = deque[Fraction](), Fraction(0)
    for duration in durations:
        if len(flying) == outstanding:
            now = max(now, flying.popleft() + latency)
        flying.append(now)
        now += duration
    return max(now, flying[0] + latency) if len(flying) == outstanding else now


def requests_of(pattern, most) -> list[int]:
    """Return the sizes of the requests that a pattern is split into."""
    sizes = []
    left = pattern.bytes
    while left:
        in_run = min(pattern.run, left)
        left -= in_run
        while in_run:
            sizes.append(min(most, in_run))
            in_run -= sizes[-1]
    return sizes


@pytest.mark.parametrize(
    ("size", "bandwidth", "fabric", "expected"),
    [
        (0, "16 GB/s", WIDE, 0),
        (4096, "16 GB/s", WIDE, 256_000),
        (4096, "16 GB/s", WayToMemory(4 * 10**9), 1_024_000),  # the interconnect is narrower
        (4096, "4 GB/s", WayToMemory(16 * 10**9), 1_024_000),
        (1, "16 GB/s", WIDE, 63),  # 62.5 ps, rounded up
    ],
)
def test_without_other_limits_bytes_over_bandwidth(size, bandwidth, fabric, expected):
    pattern = sequential(size, write=False)
    assert port_ps(pattern, engine(bandwidth=bandwidth, request="64 B"), GHZ, fabric) == expected


@pytest.mark.parametrize(
    ("outstanding", "request_size", "expected"),
    [
        (1, "64 B", 64 * 100_000),  # 64 requests, each waits for the one before
        (16, "64 B", 4 * 100_000),
        (16, "32 B", 8 * 100_000),
        (16, "4096 B", 256_000),  # one request: the port is slower
        (64, "64 B", 256_000),
    ],
)
def test_requests_in_flight_limit_what_a_round_trip_brings(outstanding, request_size, expected):
    dma = engine(request=request_size, outstanding=outstanding, latency="100 ns")
    assert port_ps(sequential(4096, write=False), dma, GHZ, WIDE) == expected


def test_short_runs_do_not_share_requests():
    dma = engine(request="64 B", outstanding=1, latency="100 ns")
    assert port_ps(strided(8, 16, 48), dma, GHZ, WIDE) == 8 * 100_000
    assert port_ps(sequential(8 * 16, write=False), dma, GHZ, WIDE) == 2 * 100_000


@given(st.integers(1, 40), st.integers(1, 500), st.integers(1, 99), st.integers(1, 2 * GHZ))
def test_every_run_begins_with_a_restart(runs, run, restart, clock):
    pattern = strided(runs, run, 1)
    plain, slow = (
        port_ps(pattern, engine(request="64 B", restart=f"{cycles} cycles"), clock, WIDE)
        for cycles in (0, restart)
    )
    assert slow - plain == -(-runs * restart * PS_PER_S // clock)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.integers(1, 99))
def test_the_pieces_of_one_run_pay_one_restart_together(pieces, restart):
    run = sum(pieces)
    paid = sum(
        port_ps(AccessPattern(size, run, run, False), dma, GHZ, WIDE) * sign
        for size in pieces
        for dma, sign in (
            (engine(restart=f"{restart} cycles"), 1),
            (engine(restart="0 cycles"), -1),
        )
    )
    assert 0 <= paid - restart * 1000 < len(pieces)


@settings(max_examples=70, deadline=None)
@given(
    runs=st.integers(1, 12),
    per_run=st.integers(1, 6),
    gap=st.integers(1, 100),
    request=st.sampled_from([16, 64, 100]),
    outstanding=st.integers(1, 9),
    latency=st.integers(1, 60_000),
    rate=st.integers(10**9, 40 * 10**9),
)
def test_equal_requests_one_by_one(runs, per_run, gap, request, outstanding, latency, rate):
    """Transfers back to back, so that the slots of one are still full when the next begins."""
    pattern = strided(runs, per_run * request, gap)
    dma = engine(
        bandwidth=f"{rate} B/s", request=f"{request} B",
        outstanding=outstanding, latency=f"{latency} ps",
    )  # fmt: skip
    sizes = requests_of(pattern, request)
    assert len(sizes) == runs * per_run
    durations = [Fraction(size * PS_PER_S, rate) for size in sizes] * outstanding
    exact = issued(durations, outstanding, latency) / outstanding
    assert 0 <= port_ps(pattern, dma, GHZ, WIDE) - exact < 1


@settings(max_examples=70, deadline=None)
@given(
    runs=st.integers(1, 12),
    run=st.integers(1, 300),
    cut=st.integers(0, 299),
    gap=st.integers(1, 100),
    outstanding=st.integers(1, 9),
    latency=st.integers(1, 60_000),
)
def test_unequal_requests_one_by_one(runs, run, cut, gap, outstanding, latency):
    """Port and slots may limit in turn: together they take at least the longer, at most both."""
    pattern = strided(runs, run, gap)._replace(bytes=runs * run - min(cut, run - 1))
    dma = engine(request="64 B", outstanding=outstanding, latency=f"{latency} ps")
    sizes = requests_of(pattern, 64)
    durations = [Fraction(size * PS_PER_S, dma.bandwidth) for size in sizes] * outstanding
    exact = issued(durations, outstanding, latency) / outstanding
    found = port_ps(pattern, dma, GHZ, WIDE)
    # the last run counts as a whole one
    more = (runs * -(-run // 64) - len(sizes)) * Fraction(latency, outstanding)
    assert found <= exact + more + 1
    assert exact <= sum(durations) / outstanding + found


def aligned_requests(row, line) -> list[int]:
    """Return the sizes of the requests for a row, each chosen by looking at every byte."""
    sizes = []
    for start in range(row.start, row.stop, line):
        missing = set(range(start, min(start + line, row.stop)))
        while missing:
            at, blocks, size = min(missing), [], 16
            while size <= line:
                block = range(at // size * size, at // size * size + size)
                blocks.append((-len(missing & set(block)), size, block))
                size *= 2
            _, size, block = min(blocks, key=lambda item: item[:2])
            missing -= set(block)
            sizes.append(size)
    return sizes


def split_by_byte(row, pitch, line, beat) -> Split:
    """Return what `split_rows` should, byte by byte, over the rows until alignments repeat."""
    around = lcm(pitch, line)
    rows = [range(start, start + row) for start in range(0, around, pitch)]
    sizes = [size for each in rows for size in aligned_requests(each, line)]
    lines = [{byte // line for byte in each} for each in rows]
    if pitch < line:  # one after the other: what the last row shares with the first comes around
        number = len({each % (around // line) for some in lines for each in some})
    else:
        number = sum(map(len, lines))
    return Split(len(sizes), sum(-(-size // beat) for size in sizes), number, len(rows))


shapes = st.tuples(
    st.integers(1, 200), st.integers(0, 150), st.sampled_from([16, 32, 64, 128]),
    st.sampled_from([8, 16, 32]),
)  # fmt: skip


@settings(max_examples=70, deadline=None)
@given(shapes)
def test_rows_are_split_as_byte_by_byte(shape):
    row, gap, line, beat = shape
    assert split_rows(row, row + gap, line, beat) == split_by_byte(row, row + gap, line, beat)


def test_rows_of_known_alignment():
    # 64 bytes at 0: one line, one request of four beats
    assert split_rows(64, 64, 64, 16) == (1, 4, 1, 1)
    # 64 bytes at 32 lie in two lines, half in each
    assert split_rows(64, 96, 64, 16) == (1 + 2, 4 + 4, 1 + 2, 2)
    # four rows of 16 bytes share a line
    assert split_rows(16, 16, 64, 16) == (4, 4, 1, 4)


@settings(max_examples=50, deadline=None)
@given(
    shape=shapes,
    times=st.integers(1, 3),
    write=st.booleans(),
    outstanding=st.integers(1, 8),
    latency=st.integers(1, 300_000),
)
def test_lines_are_limited_by_their_requests_or_their_round_trips(
    shape, times, write, outstanding, latency
):
    row, gap, line, beat = shape
    split = split_by_byte(row, row + gap, line, beat)
    pattern = strided(split.rows * times, row, gap, write=write)
    dma = engine(
        bandwidth="10 TB/s", lines=True, request=f"{line} B", beat=f"{beat} B",
        outstanding=outstanding, latency=f"{latency} ps",
    )  # fmt: skip
    beats = split.beats * (2 if write else 1)  # put together, then sent
    holding = max(split.requests * -(-line // beat), beats) * times * 1000
    trips = split.lines * times * (2 if write else 1)
    waiting = issued([0] * trips * outstanding, outstanding, latency) / outstanding
    assert 0 <= port_ps(pattern, dma, GHZ, WIDE) - max(holding, waiting) < 1


def test_a_long_run_is_requested_row_by_row():
    """4 KiB in rows of 16 bytes: 256 requests, each of them for a cycle per beat of a line."""
    dma = engine(lines=True, request="64 B", beat="16 B", outstanding=1000, latency="1 ns")
    rows = sequential(4096, write=False)._replace(row=16)
    assert port_ps(rows, dma, GHZ, WIDE) == 256 * 4 * 1000
    assert port_ps(sequential(4096, write=False), dma, GHZ, WIDE) == 64 * 4 * 1000
    slow = dma.model_copy(update={"bandwidth": 10**9})
    assert port_ps(rows, slow, GHZ, WIDE) == 4096 * 1000


limits = st.fixed_dictionaries(
    {
        "outstanding": st.integers(1, 9),
        "latency": st.integers(1, 90_000).map(lambda ps: f"{ps} ps"),
        "restart": st.integers(0, 20).map(lambda cycles: f"{cycles} cycles"),
        "lines": st.booleans(),
        "request": st.sampled_from(["16 B", "64 B"]),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(1, 200), st.integers(1, 99), limits)
def test_more_in_flight_and_more_bandwidth_are_never_slower(runs, run, gap, limit):
    pattern, dma = strided(runs, run, gap), engine(**limit)
    found = port_ps(pattern, dma, GHZ, WIDE)
    for better in (
        {"outstanding": dma.outstanding + 1},
        {"bandwidth": 2 * dma.bandwidth},
        {"latency": dma.latency // 2 + 1},
    ):
        assert port_ps(pattern, dma.model_copy(update=better), GHZ, WIDE) <= found
