"""What searches found out about an array's mappings on a memory path, for later searches in
memories of other sizes.
"""

from collections import deque
from typing import NamedTuple
from weakref import proxy

from simulator.mapping.bounds import Bounds
from simulator.mapping.loops import Mapping
from simulator.mapping.plan import Plan
from simulator.mapping.sums import MappingTraffic
from simulator.mapping.tiling import ArraySpace, Room, TileRow
from simulator.timing.pricing import Pricing

OF_TILE, AT_PEAK, BY_TRANSFERS, EXACT = range(4)
"""Where an estimate of time is from: the peak rate, for all mappings of a tile or for one, the
transfers, or a plan.
"""


class TimeEstimate(NamedTuple):
    """A time, exact or a lower bound of it, and where it is from."""

    time_ps: int
    stage: int


Candidate = tuple[TileRow, MappingTraffic]
"""A mapping of a tile."""


class Answer(NamedTuple):
    """The best of what there is `room` for.

    It is the best of less room, too, if that has the `fastest` of those that are known: the limit
    of time with slack is the same then, and no mapping of less traffic takes as little.
    """

    room: Room
    best: Candidate
    fastest: Candidate


_ROOMS = 8  # a guess: sizes of memories of one array in a sweep


class OnPath:
    """What searches found out about the mappings of an array on a memory path, whatever the sizes
    of its memories: the tightest estimates of their times, and the plans that were best.
    """

    def __init__(self, space: ArraySpace, pricing: Pricing) -> None:
        """Know nothing yet of the mappings of `space`, which owns this and is not kept by it."""
        self.bounds = Bounds(proxy(space), pricing)
        self.estimates: dict[tuple[int, int], TimeEstimate] = {}  # by places of tile and mapping
        self.best: dict[Mapping, Plan] = {}
        self.answers: deque[Answer] = deque(maxlen=_ROOMS)
