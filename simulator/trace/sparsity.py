"""Which matrices of a product have zeros to skip."""

from fractions import Fraction
from math import prod
from typing import NamedTuple

from simulator.sparsity import SparsityPattern


class SparseOperand(NamedTuple):
    """A matrix of a product with a pattern of zeros.

    `rows` and `cols` are the dimensions of the product, "m", "n" or "k", along which the rows and
    columns of the pattern run. `density` is the fraction of values that is not zero, each with
    `index_bits` beside it in memory, in the storage `index_at`; -1: where they are is known.
    """

    pattern: SparsityPattern
    rows: str
    cols: str
    density: Fraction
    index_bits: Fraction = Fraction(0)
    index_at: int = -1

    def stored(self, bits: int) -> Fraction:
        """Return the bytes of it in memory over those of the dense matrix, at `bits` a value."""
        return self.density * (bits + self.index_bits) / bits


class SparseOperands(NamedTuple):
    """Which matrices of a product have zeros to skip: its operands, and its result."""

    a: SparseOperand | None = None
    b: SparseOperand | None = None
    c: SparseOperand | None = None

    @property
    def by_name(self) -> dict[str, SparseOperand]:
        """The sparse ones, by "a", "b" and "c"."""
        return {name: each for name, each in self._asdict().items() if each is not None}

    @property
    def density(self) -> Fraction:
        """The fraction of MACs that multiply no zero and are wanted; zeros are independent."""
        return prod((each.density for each in self if each is not None), start=Fraction(1))

    @property
    def anywhere(self) -> "SparseOperands":
        """The same, wherever the indices lie: products that are equal so cost the same."""
        return SparseOperands(*(each and each._replace(index_at=-1) for each in self))

    @property
    def indices(self) -> frozenset[int]:
        """The storages of the indices."""
        return frozenset(each.index_at for each in self if each is not None and each.index_at >= 0)


DENSE = SparseOperands()
"""No matrix has zeros to skip."""
