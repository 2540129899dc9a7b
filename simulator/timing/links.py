"""What a message over a link takes: packets, bytes on the wire, time, energy at both ends."""

from typing import NamedTuple

from simulator.hardware.link import Link
from simulator.units import PS_PER_S, ceil_div

_BITS = 8


class Passage(NamedTuple):
    """A message on a link. `occupied_ps`: how long its sender and receiver are taken.

    It arrives `latency_ps` after that. `wire_bytes` are those with headers and repeats.
    """

    wire_bytes: int
    occupied_ps: int
    active_ps: int
    latency_ps: int
    send_aj: int
    receive_aj: int

    @property
    def duration_ps(self) -> int:
        """The time from the start to the arrival, on a link that nobody else uses."""
        return self.occupied_ps + self.latency_ps


def packets(link: Link, size: int) -> int:
    """Return the packets of a message of `size` bytes; an empty message is one, too."""
    return max(1, ceil_div(size, link.packet)) if link.packet else 1


def passage(link: Link, size: int, repeats: int = 0) -> Passage:
    """Return what a message of `size` bytes takes if so many of its packets are sent again."""
    largest = min(size, link.packet) if link.packet else size
    wire = size + packets(link, size) * link.header + repeats * (largest + link.header)
    active_ps = ceil_div(wire * _BITS * PS_PER_S, link.rate)
    occupied_ps = link.per_message + active_ps + repeats * link.retry
    spent = link.active * active_ps
    return Passage(
        wire,
        occupied_ps,
        active_ps,
        link.latency,
        wire * link.send + spent,
        wire * link.receive + spent,
    )
