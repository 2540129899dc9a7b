"""What is known of a unit by measurement alone: times of kernels, and the power that they take."""

from collections.abc import Hashable, Iterable
from typing import Self

from pydantic import Field, PositiveInt, model_validator

from simulator.errors import join_names, shown
from simulator.hardware.cpu import ProductSpeeds
from simulator.hardware.part import Part
from simulator.hardware.precision import Precision
from simulator.units import Microwatts, Permille, Picoseconds

PRODUCTS = tuple(name for name in ProductSpeeds.model_fields if not name.startswith("attention"))
"""Names of products in a table, as measured CPUs have them: "gemm", "convolution_dgrad", ...

Fused attention is no product: what it computes between its two is nowhere in m, n and k.
"""

_PLAIN = ("gemm", "batched")  # no convolutions


class KernelTime(Part):
    """One kernel that was measured: `batch` products of m x n x k, or an op on so many elements.

    Convolutions have the sizes of their im2col product, `batch` their groups.
    """

    op: str = Field(description="a product's name; else torch's of an op, such as relu, or a kind")
    format: Precision = Field(default="fp32", description="of operands and results in memory")
    stride: PositiveInt | None = Field(
        default=None, description="of a convolution, for which libraries have other algorithms"
    )
    batch: PositiveInt = 1
    m: PositiveInt | None = None
    n: PositiveInt | None = None
    k: PositiveInt | None = None
    elements: PositiveInt | None = Field(default=None, description="of an op's largest tensor")
    time: Picoseconds = Field(gt=0, description="on the unit, without its launch by the host")
    source: str = Field(default="", description="who measured it, and how")

    @model_validator(mode="after")
    def _sizes_are_of_its_kind(self) -> Self:
        if self.op not in PRODUCTS and self.m is not None:
            raise ValueError(f"op: no product {shown(self.op)}; known: {join_names(PRODUCTS)}")
        needs = ("m", "n", "k") if self.op in PRODUCTS else ("elements",)
        takes = {*needs, *(("batch",) if self.op in PRODUCTS else ())}
        takes |= {"stride"} if self.op in PRODUCTS and self.op not in _PLAIN else set()
        for name in ("m", "n", "k", "elements", "batch", "stride"):
            is_stated = getattr(self, name) != type(self).model_fields[name].default
            if name in needs and not is_stated:
                raise ValueError(f"{name}: {self.op} is measured by {', '.join(needs)}: add it")
            if is_stated and name not in takes:
                raise ValueError(f"{name}: {self.op} has none: leave it out")
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """What it was measured by: (batch, m, n, k), or (elements,)."""
        sizes = (self.batch, self.m, self.n, self.k) if self.elements is None else (self.elements,)
        return tuple(size for size in sizes if size is not None)

    @property
    def identity(self) -> Hashable:
        """What two rows of a table may not have in common."""
        return self.op, self.format, self.stride, self.sizes


def first_repeat(kernels: Iterable[KernelTime]) -> tuple[int, int] | None:
    """Return the positions of two rows for one kernel, the earlier one first; None without any."""
    first: dict[Hashable, int] = {}
    for position, kernel in enumerate(kernels):
        earlier = first.setdefault(kernel.identity, position)
        if earlier != position:
            return earlier, position
    return None


class KernelTimes(Part):
    """Measured times of kernels, and the power that they take.

    The times hold on a memory that is at least as fast as the one beside which they were measured;
    on a slower one a kernel takes as long as its operands and results take to move.
    """

    kernels: tuple[KernelTime, ...] = Field(
        min_length=1, strict=False, description="a CSV file beside the YAML, or its rows"
    )
    time_scale: Permille = Field(gt=0, default=1000, description="of all times in the table")
    busy_power: Microwatts = Field(ge=0, description="while a kernel runs, beside static_power")
    static_power: Microwatts = Field(ge=0, description="all the time")

    @model_validator(mode="after")
    def _kernels_differ(self) -> Self:
        repeat = first_repeat(self.kernels)
        if repeat:
            earlier, later = repeat
            raise ValueError(f"kernels.{later}: repeats kernels.{earlier}: leave one out")
        return self
