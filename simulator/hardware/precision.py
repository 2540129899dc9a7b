"""The number formats of arrays: one registry of their bits, sums and significands."""

from typing import TYPE_CHECKING, Literal, NamedTuple


class NumberFormat(NamedTuple):
    """A format in which units compute.

    `bits` is the mean per element in memory: MX formats share exponents within a block (Rouhani et
    al., ISCA 2023, table 1). `significand` is the bits that a product must keep, sign included
    (IEEE 754, bfloat16); `sums` the format of a product's sum, `dtype` torch's name of the format.
    Formats with a `block` have a scale of 8 bits for so many elements along the reduction (OCP
    Microscaling Formats 1.0, table 1), others of 8 bits or less one for the tensor.
    """

    bits: int
    significand: int
    sums: str = "int32"
    dtype: str = ""
    block: int = 0

    @property
    def takes_range(self) -> bool:
        """Whether the range of a whole tensor must be known before it is converted."""
        return not self.block and (self.is_integer or self.bits <= 8)

    def size(self, elements: int) -> int:
        """Return the whole bytes of so many elements in memory, with their scales."""
        scales = -(-elements // self.block) if self.block else 0
        return -(-elements * self.bits // 8) + scales

    @property
    def is_integer(self) -> bool:
        """Whether its sums are integers."""
        return self.sums == "int32"


FORMATS: dict[str, NumberFormat] = {
    **{f"int{bits}": NumberFormat(bits, bits, dtype=f"int{bits}") for bits in range(2, 17)},
    "mx4": NumberFormat(4, 4, "fp32"),
    "mx6": NumberFormat(6, 6, "fp32"),
    "mx9": NumberFormat(9, 9, "fp32"),
    "fp8_e4m3": NumberFormat(8, 5, "fp32", "float8_e4m3fn"),
    "fp8_e5m2": NumberFormat(8, 4, "fp32", "float8_e5m2"),
    "mxfp8": NumberFormat(8, 5, "fp32", block=32),
    "mxfp6": NumberFormat(6, 5, "fp32", block=32),
    "mxfp4": NumberFormat(4, 3, "fp32", block=32),
    "fp16": NumberFormat(16, 12, "fp32", "float16"),
    "bf16": NumberFormat(16, 9, "fp32", "bfloat16"),
    "fp32": NumberFormat(32, 25, "fp32", "float32"),
    "int32": NumberFormat(32, 32, dtype="int32"),
    "float64": NumberFormat(64, 54, "float64", "float64"),
}
"""Every format by name."""

ARRAY_FORMATS = tuple(name for name in FORMATS if name not in ("int32", "float64"))
"""The formats that an array can multiply."""

PRECISION_BITS: dict[str, int] = {name: each.bits for name, each in FORMATS.items()}

if TYPE_CHECKING:
    Precision = str
else:
    Precision = Literal[ARRAY_FORMATS]


def accumulator_of(precision: str) -> str:
    """Return the format of the sums of products: of integers int32, of floats fp32."""
    return FORMATS[precision].sums


def format_of(dtype: str) -> str:
    """Return the name of the format that torch calls `dtype`; its own where there is none."""
    return _OF_DTYPE.get(dtype, dtype)


_OF_DTYPE = {each.dtype: name for name, each in FORMATS.items() if each.dtype} | {"uint8": "int8"}
