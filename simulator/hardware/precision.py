"""Which number formats an array computes in, and how many bits each takes."""

from typing import Literal

Precision = Literal[
    "int2", "int4", "int8", "int16", "mx4", "mx6", "mx9", "fp16", "bf16", "fp32"
]  # fmt: skip
# MX formats share exponents within a block; these are their average bits per element
# (Rouhani et al., ISCA 2023, table 1).
PRECISION_BITS: dict[str, int] = {
    "int2": 2, "int4": 4, "int8": 8, "int16": 16, "int32": 32,
    "mx4": 4, "mx6": 6, "mx9": 9, "fp16": 16, "bf16": 16, "fp32": 32,
}  # fmt: skip
