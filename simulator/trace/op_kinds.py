"""Facts of the kinds of operations: one table for all rooms, one row per kind.

A new kind is a member of `OpKind` and a row here; `kinds` says which ops are of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from simulator.trace.colours import Colour
from simulator.trace.op import OpKind


@dataclass(frozen=True, slots=True)
class KindFacts:
    """The facts of one kind of operation.

    `cost` is the field of `hardware.core.Core` with the cost per element, None without arithmetic;
    `measured` the field of `hardware.cpu.Kernels` with the calibrated kernel, "" if only single
    ops are calibrated. `result` is the shape of the result where the kind determines it: that of
    all tensors broadcast, or of the first one. `fuses` says whether an op can follow another in one
    loop: each element of its results needs one element of that one's, or its row, or it sums them
    up. Figures pool the kinds without a `colour`, or tell them apart by markers.
    """

    cost: str | None = "elementwise"
    measured: str = ""
    serial: bool = False  # runs on one thread
    streams: bool = False  # is bound by memory traffic
    fills: bool = False  # may refill a buffer independent of other tensors
    in_networks: bool = False  # occurs in layers of networks only
    result: Literal["broadcast", "first", ""] = ""
    fuses: Literal["element", "row", "sum", ""] = ""
    colour: Colour | None = None


KIND_FACTS: Mapping[OpKind, KindFacts] = MappingProxyType(
    {
        OpKind.GEMM: KindFacts(in_networks=True, colour="vermillion"),
        OpKind.NORM: KindFacts(
            "norm", "norm", in_networks=True, result="first", fuses="row", colour="blue"
        ),
        OpKind.ELEMENTWISE: KindFacts(
            "elementwise",
            "elementwise",
            streams=True,
            result="broadcast",
            fuses="element",
            colour="green",
        ),
        OpKind.POOL: KindFacts("pool", "pool", colour="orange"),
        OpKind.SOFTMAX: KindFacts(
            "softmax", "softmax", result="first", fuses="row", colour="purple"
        ),
        OpKind.TRANSCENDENTAL: KindFacts(
            "exponential", "transcendental", result="broadcast", fuses="element", colour="sky"
        ),
        OpKind.VIEW: KindFacts(None, colour="grey"),
        OpKind.REDUCTION: KindFacts("reduction", "reduction", fuses="sum"),
        OpKind.COPY: KindFacts(
            "copies", "copies", streams=True, fills=True, result="first", fuses="element"
        ),
        OpKind.EMBEDDING: KindFacts("embedding", "embedding"),
        # Drawn in order: ATen/native/cpu/DistributionTemplates.h.
        OpKind.RANDOM: KindFacts("random", "random", serial=True, fills=True, result="first"),
        OpKind.SORT: KindFacts("sort", "sort"),
        OpKind.SYNC: KindFacts(None),
        OpKind.OTHER: KindFacts(),
    }
)
"""In the order of legends."""
