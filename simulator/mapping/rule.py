"""What a machine's own mapping rule is."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping

if TYPE_CHECKING:  # shapes call rules by this protocol
    from simulator.mapping.convolution import ConvShape
    from simulator.mapping.shape import GemmShape


class MappingRule(Protocol):
    """The mappings that a machine's library considers; the fastest of them runs.

    Where there are none, the mapper searches.
    """

    def gemm(self, array: Accelerator, shape: "GemmShape") -> Iterable[Mapping]:
        """Return the mappings of a matrix product."""

    def convolution(self, array: Accelerator, shape: "ConvShape") -> Iterable[Mapping]:
        """Return the mappings of a convolution that is computed tap by tap."""
