"""A DSP: a vector machine of integers with a cache, between which and the host work changes."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from simulator.hardware.part import FASTEST_HZ, Part
from simulator.units import (
    Attojoules,
    Bytes,
    BytesPerSecond,
    Hertz,
    Microwatts,
    Permille,
    Picoseconds,
    ceil_div,
)

IntegerKind = Literal["elementwise", "reduction", "pool", "copy", "embedding"]
"""Kinds of ops that need no float: normalisation and transcendental functions do."""


class MacRates(Part):
    """MACs per cycle by the format of both operands; formats without a rate stay on the host."""

    int8: int | None = Field(gt=0, default=None)
    int16: int | None = Field(gt=0, default=None)

    @model_validator(mode="after")
    def _has_a_rate(self) -> "MacRates":
        if not any(self.of(name) for name in type(self).model_fields):
            raise ValueError("macs: no format has a rate: give one, such as int8: 256")
        return self

    def of(self, number_format: str) -> int | None:
        """Return the MACs per cycle in a format, None if the unit has none."""
        return dict(self).get(number_format)


class VectorCache(Part):
    """The cache behind the vector unit. Loads that miss stall it, so that their rate is that of
    lines in flight over a round trip, far below the memory's.
    """

    size: Bytes = Field(gt=0)
    bandwidth: BytesPerSecond = Field(gt=0, description="of vector accesses that hit")
    miss_bandwidth: BytesPerSecond = Field(gt=0, description="of those that miss")


class BatchGranule(Part):
    """Images that a product takes at a time: batches above `free` are filled up to whole ones."""

    images: PositiveInt = 1
    free: int = Field(ge=0, default=0, description="batches of so many images are not filled up")

    def filled(self, images: int) -> int:
        """Return the images that are computed for so many."""
        if images <= self.free:
            return images
        return ceil_div(images, self.images) * self.images


class Rescaling(Part):
    """How sums become narrow integers again. Scales that are known (`static`) cost nothing beside
    the product. `dynamic` ones follow from the largest sum: sums go out in 32 bits, and a second
    pass reads and scales them. `adaptive` scales are found anew in some steps only.
    """

    mode: Literal["static", "dynamic", "adaptive"] = "static"
    passes: Permille = Field(
        ge=0, le=1000, default=0, description="products that adaptive scales still pass over twice"
    )

    @property
    def dynamic_share(self) -> int:
        """Products with a second pass, in permille."""
        return {"static": 0, "dynamic": 1000, "adaptive": self.passes}[self.mode]


class LayoutSpeed(Part):
    """Time per element to bring a tensor into another order, on the unit and on a host core."""

    unit: Picoseconds = Field(ge=0, default=0, description="its scalar core moves the elements")
    host: Picoseconds = Field(ge=0, default=0, description="one core of the host does")


class Layouts(Part):
    """Orders that products of convolutions need: an input gradient rotated weights, a weight
    gradient transposed activations. Each is made on the unit or by the host beside it.
    """

    rotate: LayoutSpeed = Field(default_factory=LayoutSpeed)
    transpose: LayoutSpeed = Field(default_factory=LayoutSpeed)
    rotate_on: Literal["unit", "host"] = "unit"
    transpose_on: Literal["unit", "host"] = "unit"


class VectorMachine(Part):
    """A DSP with vector extensions: integers only, one kernel of its library after another."""

    clock: Hertz = Field(gt=0, le=FASTEST_HZ)
    vector: Bytes = Field(gt=0, description="width of one register: elementwise work per cycle")
    macs: MacRates
    cache: VectorCache
    call: Picoseconds = Field(ge=0, default=0, description="of each kernel, whatever its size")
    batch: BatchGranule = Field(default_factory=BatchGranule)
    split: bool = Field(
        default=False, description="cut batches where parts that fit the cache take less time"
    )
    rescaling: Rescaling = Field(default_factory=Rescaling)
    graphs: Literal["kept", "each_step"] = Field(
        default="kept",
        description="driver.first_call: once per kernel, or each step anew for every call",
    )
    layouts: Layouts = Field(default_factory=Layouts)
    kinds: tuple[IntegerKind, ...] = Field(
        default=(), strict=False, description="of ops on integers that it takes beside products"
    )
    energy_per_mac: Attojoules = Field(ge=0)
    energy_per_byte: Attojoules = Field(ge=0, description="between cache and vector registers")
    active_power: Microwatts = Field(ge=0, description="further, while it works")
    static_power: Microwatts = Field(ge=0)
    polls: int = Field(ge=0, default=0, description="host cores that spin while it works")

    @property
    def lanes(self) -> int:
        """Sums of 32 bits in one register."""
        return max(1, self.vector // 4)
