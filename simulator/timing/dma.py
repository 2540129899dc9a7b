"""How a DMA engine splits accesses into requests, and the time that its port needs for them."""

from math import gcd
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Dma
from simulator.memo import remember
from simulator.timing.shared_cache import WayToMemory, translation_ps
from simulator.units import PS_PER_S, ceil_div, transfer_ps

_LEAST_REQUEST = 16  # bytes; requests are powers of two from here (Gemmini's DMA.scala)


class Streams(NamedTuple):
    """A value of `accelerator.dma.streams`: which transfers run side by side."""

    duplex: bool  # loads beside stores
    operands: bool = False  # each operand beside the others


STREAMS = {
    "shared": Streams(duplex=False),
    "duplex": Streams(duplex=True),
    "operand": Streams(duplex=True, operands=True),
}


class Split(NamedTuple):
    """Requests, beats on the port and cache lines of `rows` rows of the scratchpad."""

    requests: int
    beats: int
    lines: int
    rows: int


def port_ps(pattern: AccessPattern, dma: Dma, clock: int, way: WayToMemory) -> int:
    """Return the time in ps of `pattern` at the port of one stream, without contention.

    `clock`: of the accelerator, in Hz. `way`: what lies before the memory.
    """
    if not pattern.bytes:
        return 0
    least = transfer_ps(pattern.bytes, min(dma.bandwidth, way.fabric))
    apart = pattern.run < pattern.pitch
    runs = ceil_div(pattern.bytes, pattern.run) if apart else 1
    if dma.lines:
        least = max(least, way.fill_ps(pattern), _by_lines_ps(pattern, dma, clock, way))
    elif dma.outstanding:
        latency_ps = dma.latency + way.latency_ps(pattern)
        requests = runs * ceil_div(min(pattern.run, pattern.bytes), dma.request)
        least = max(least, ceil_div(requests * latency_ps, dma.outstanding))
    # A run that continues in the next transfer pays its restart in proportion.
    part = min(pattern.bytes, pattern.run) if not apart else pattern.run
    return least + ceil_div(runs * part * dma.restart * PS_PER_S, pattern.run * clock)


def _by_lines_ps(pattern: AccessPattern, dma: Dma, clock: int, way: WayToMemory) -> int:
    """Return the time in ps of one request per row: bound by issue, or by round trips in flight.

    A write takes a line twice: it is fetched before and written back after. It also holds the
    engine twice: while it is put together, and while it is sent (Gemmini's StreamWriter).
    """
    assert dma.outstanding is not None, "checked with the description"
    row = min(pattern.row or pattern.run, pattern.bytes)
    pitch = row if pattern.run > row else pattern.pitch
    split = split_rows(row, pitch, dma.request, dma.beat)
    rows = ceil_div(pattern.bytes, row)
    # A request holds its bank for a whole line: of several to one line, each waits for the others.
    line, again = ceil_div(dma.request, dma.beat), max(0, split.requests - split.lines)
    at_banks = line * again + ceil_div(line * (split.requests - again), way.banks)
    beats = split.beats * (2 if pattern.write else 1)
    cycles = ceil_div(rows * max(beats, at_banks), split.rows)
    issue_ps = ceil_div(cycles * PS_PER_S, clock)
    if dma.tlb:
        issue_ps += translation_ps(dma.tlb, pattern, dma.request)
    trips = ceil_div(rows * split.lines, split.rows) * (2 if pattern.write else 1)
    waiting_ps = ceil_div(trips * (dma.latency + way.latency_ps(pattern)), dma.outstanding)
    return max(issue_ps, waiting_ps)


@remember("rows split into requests", most=65536)
def split_rows(row: int, pitch: int, line: int, beat: int) -> Split:
    """Return the requests of rows of `row` bytes, summed over the alignments that `pitch` leads to.

    A row is cut every `line` bytes from its start. Each piece becomes aligned requests of powers
    of two, greedily the one with most useful bytes (Gemmini's DMA.scala).
    """
    alignments = line // gcd(pitch, line)
    requests = beats = lines = 0
    for index in range(alignments):
        offset = index * pitch % line
        lines += (offset + row - 1) // line + 1
        for start in range(0, row, line):
            pieces = _pieces((offset + start) % line, min(line, row - start), line)
            requests += len(pieces)
            beats += sum(ceil_div(size, beat) for size in pieces)
    if pitch < line:  # neighbours share lines
        lines = min(lines, max(1, alignments * pitch // line))
    return Split(requests, beats, lines, alignments)


def _pieces(start: int, left: int, line: int) -> list[int]:
    pieces = []
    while left > 0:
        useful, smaller, size = 0, 0, _LEAST_REQUEST
        while size <= line:
            useful, smaller = max((useful, smaller), (min(size - start % size, left), -size))
            size *= 2
        pieces.append(-smaller)
        start += useful
        left -= useful
    return pieces
