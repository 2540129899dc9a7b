"""How a DMA engine splits accesses into requests, and the time that its port needs for them."""

from math import gcd
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Dma
from simulator.memo import remember
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


def port_ps(pattern: AccessPattern, dma: Dma, clock: int, fabric: int) -> int:
    """Return the time in ps of `pattern` at the port of one stream, without contention.

    `clock`: of the accelerator, in Hz. `fabric`: peak rate of the interconnect, in bytes per
    second.
    """
    if not pattern.bytes:
        return 0
    least = transfer_ps(pattern.bytes, min(dma.bandwidth, fabric))
    apart = pattern.run < pattern.pitch
    runs = ceil_div(pattern.bytes, pattern.run) if apart else 1
    if dma.lines:
        least = max(least, _by_lines_ps(pattern, dma, clock))
    elif dma.outstanding:
        requests = runs * ceil_div(min(pattern.run, pattern.bytes), dma.request)
        least = max(least, ceil_div(requests * dma.latency, dma.outstanding))
    # A run that continues in the next transfer pays its restart in proportion.
    part = min(pattern.bytes, pattern.run) if not apart else pattern.run
    return least + ceil_div(runs * part * dma.restart * PS_PER_S, pattern.run * clock)


def _by_lines_ps(pattern: AccessPattern, dma: Dma, clock: int) -> int:
    """Return the time in ps of one request per row: bound by issue, or by round trips in flight.

    A write takes a line twice: it is fetched before and written back after.
    """
    assert dma.outstanding is not None, "checked with the description"
    row = min(pattern.row or pattern.run, pattern.bytes)
    pitch = row if pattern.run > row else pattern.pitch
    split = split_rows(row, pitch, dma.request, dma.beat)
    rows = ceil_div(pattern.bytes, row)
    issue = ceil_div(dma.request, dma.beat)  # a request holds the port for a whole line
    cycles = ceil_div(rows * max(split.beats, issue * split.requests), split.rows)
    trips = ceil_div(rows * split.lines, split.rows) * (2 if pattern.write else 1)
    waiting = ceil_div(trips * dma.latency, dma.outstanding)
    return max(ceil_div(cycles * PS_PER_S, clock), waiting)


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
