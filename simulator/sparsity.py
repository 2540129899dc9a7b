"""Patterns of zeros: as people write them, how much of a matrix they keep, and what indexes it."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

from pydantic import PlainSerializer, PlainValidator

from simulator.errors import shown
from simulator.units import RATIO, ceil_div


class GroupPattern(NamedTuple):
    """N:M: of every `m` neighbours along the rows of a matrix, `n` are not zero."""

    n: int
    m: int

    @property
    def text(self) -> str:
        """The pattern as a method file has it."""
        return f"{self.n}:{self.m}"


class BlockPattern(NamedTuple):
    """Blocks of `rows` x `cols`, each kept with probability `density`, wherever it is."""

    rows: int
    cols: int
    density: Fraction


SparsityPattern = GroupPattern | BlockPattern
"""Zeros of a matrix. Its rows are the reduction K of the product for whose sake it is pruned.

Of weights the matrix is K x N as the forward product reads it: inputs x outputs. A convolution has
K = in_channels x taps, the channels of a tap side by side; groups of channels have a matrix each.
Of a gradient it is outputs x pixels, since the reduction of a dgrad is over outputs. Zeros without
structure are blocks of 1 x 1.
"""

_GROUP = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")
_BLOCK = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")
_QUOTIENT = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")
_FIX = "write N:M such as 2:4, or {block: 16x16, density: 1/4}"


def pattern_of(value: Any) -> SparsityPattern:
    """Return the pattern that a person wrote as "2:4" or {block: 16x16, density: 1/4}.

    Raises ValueError with the fix.
    """
    if isinstance(value, GroupPattern | BlockPattern):
        return value
    if isinstance(value, Mapping):
        return _blocks(value)
    if isinstance(value, str) and ":" in value:
        return groups_of(value)
    raise ValueError(f"{shown(value)} is no pattern: {_FIX}")


def groups_of(text: str) -> GroupPattern:
    """Return the pattern "N:M". Raises ValueError with the fix."""
    match = _GROUP.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is no pattern N:M: write it as 2:4")
    pattern = GroupPattern(int(match[1]), int(match[2]))
    if pattern.n >= pattern.m:
        raise ValueError(f"{text} keeps all: keep fewer than {pattern.m}, or leave it out")
    return pattern


def _blocks(value: Mapping[str, Any]) -> BlockPattern:
    if value.keys() != {"block", "density"}:
        raise ValueError(f"{shown(dict(value))} is no pattern: {_FIX}")
    sides = _BLOCK.fullmatch(str(value["block"]))
    if sides is None:
        raise ValueError(f"block: {shown(value['block'])}: write rows x cols such as 16x16")
    return BlockPattern(int(sides[1]), int(sides[2]), _density(value["density"]))


def _density(value: Any) -> Fraction:
    match = _QUOTIENT.fullmatch(value) if isinstance(value, str) else None
    try:
        density = (
            Fraction(int(match[1]), int(match[2])) if match else Fraction(RATIO.parse(value), 1000)
        )
    except ValueError:
        raise ValueError(f"density: {shown(value)}: write a ratio such as 1/4 or 25 %") from None
    if not 0 < density <= 1:
        raise ValueError(f"density: {shown(value)}: keep something, at most all")
    return density


def _plain(pattern: SparsityPattern) -> str | dict[str, str]:
    if isinstance(pattern, GroupPattern):
        return pattern.text
    density = pattern.density
    return {
        "block": f"{pattern.rows}x{pattern.cols}",
        "density": f"{density.numerator}/{density.denominator}",
    }


PatternText = Annotated[Any, PlainValidator(pattern_of), PlainSerializer(_plain)]
"""A pattern in a file: text or a mapping there, a `SparsityPattern` here."""


def density_of(pattern: SparsityPattern, rows: int) -> Fraction:
    """Return the fraction of a matrix of so many rows that is kept; of the last group at most N."""
    if isinstance(pattern, BlockPattern):
        return pattern.density
    whole, rest = divmod(rows, pattern.m)
    return Fraction(pattern.n * whole + min(pattern.n, rest), max(1, rows))


def index_bits_of(pattern: SparsityPattern, rows: int, cols: int) -> Fraction:
    """Return the bits of index per kept value of a matrix of `rows` x `cols`.

    N:M has ceil(log2 M) bits for each value, as NVIDIA's sparse tensor cores have (Mishra et al.,
    "Accelerating sparse deep neural networks", arXiv:2104.08378, 2021). Blocks are stored in block
    CSR: each kept block has its column of blocks, ceil(log2 of the blocks in a row) bits. Where
    rows of blocks begin takes a word per row more, which is left out.
    """
    if isinstance(pattern, GroupPattern):
        return Fraction(_bits_for(pattern.m))
    columns = ceil_div(cols, pattern.cols)
    return Fraction(_bits_for(columns), min(pattern.rows, rows) * min(pattern.cols, cols))


def _bits_for(choices: int) -> int:
    return (choices - 1).bit_length()
