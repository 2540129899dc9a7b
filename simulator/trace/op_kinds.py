"""What tells the kinds of operations apart: one row for each, read by all who ask.

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

    `cost` names the cost per element in a class of cores (`hardware.core.Core`), None for what
    does no arithmetic; `measured` the kernel in a calibrated description (`hardware.cpu.Kernels`),
    "" where only the op itself can be measured. `result` is the shape of the result where the
    kind alone tells: that of all tensors together, or of the first one. Figures sum up the kinds
    without a `colour`, or tell them apart by marks.
    """

    cost: str | None = "elementwise"
    measured: str = ""
    serial: bool = False  # on one thread, whatever its size
    streams: bool = False  # takes as long as its memory traffic
    fills: bool = False  # may write a buffer anew without computing from tensors
    in_networks: bool = False  # only layers of a network are of it
    result: Literal["broadcast", "first", ""] = ""
    colour: Colour | None = None


KIND_FACTS: Mapping[OpKind, KindFacts] = MappingProxyType(
    {
        OpKind.GEMM: KindFacts(in_networks=True, colour="vermillion"),
        OpKind.NORM: KindFacts("norm", "norm", in_networks=True, result="first", colour="blue"),
        OpKind.ELEMENTWISE: KindFacts(
            "elementwise", "elementwise", streams=True, result="broadcast", colour="green"
        ),
        OpKind.POOL: KindFacts("pool", "pool", colour="orange"),
        OpKind.SOFTMAX: KindFacts("softmax", "softmax", result="first", colour="purple"),
        OpKind.TRANSCENDENTAL: KindFacts(
            "exponential", "transcendental", result="broadcast", colour="sky"
        ),
        OpKind.VIEW: KindFacts(None, colour="grey"),
        OpKind.REDUCTION: KindFacts("reduction", "reduction"),
        OpKind.COPY: KindFacts("copies", "copies", streams=True, fills=True, result="first"),
        OpKind.EMBEDDING: KindFacts("embedding", "embedding"),
        # Drawn in order: ATen/native/cpu/DistributionTemplates.h.
        OpKind.RANDOM: KindFacts("random", "random", serial=True, fills=True, result="first"),
        OpKind.SORT: KindFacts("sort", "sort"),
        OpKind.SYNC: KindFacts(None),
        OpKind.OTHER: KindFacts(),
    }
)
"""In the order of legends."""
