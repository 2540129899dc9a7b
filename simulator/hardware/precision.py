"""Which number formats an array computes in, how many bits each takes, and what sums it."""

from typing import Literal

Precision = Literal[
    "int2", "int3", "int4", "int5", "int6", "int7", "int8", "int9", "int10", "int11", "int12",
    "int13", "int14", "int15", "int16", "mx4", "mx6", "mx9", "fp16", "bf16", "fp32",
]  # fmt: skip
# MX formats share exponents within a block; these are their average bits per element
# (Rouhani et al., ISCA 2023, table 1).
PRECISION_BITS: dict[str, int] = {
    **{f"int{bits}": bits for bits in (*range(2, 17), 32)},
    "mx4": 4, "mx6": 6, "mx9": 9, "fp16": 16, "bf16": 16, "fp32": 32,
}  # fmt: skip


def accumulator_of(precision: str) -> str:
    """Return what products are summed in: of integers int32, of floats fp32."""
    return "int32" if precision.startswith("int") else "fp32"
