"""What a dataflow is: how an array computes a product, and what that costs."""

from typing import NamedTuple, Protocol

from simulator.hardware.accelerator import Accelerator


class Dims(NamedTuple):
    """Sizes of a GEMM or of a tile of one."""

    m: int
    n: int
    k: int


class Axes(NamedTuple):
    """Which dimension is unrolled over the rows, which over the columns, and which streams."""

    row: str
    col: str
    stream: str


class Accesses(NamedTuple):
    """Words moved between the array and its memories by one GEMM.

    Each partial sum is written once and read once: to be added to, or on its way to memory.
    """

    a_reads: int
    b_reads: int
    partial_sums: int


class Dataflow(Protocol):
    """How an array computes a product C[m, n] = A[m, k] B[k, n].

    A fold is the part of a product that the array computes without a change of what is stationary:
    `array.rows` x `array.cols` of the unrolled dimensions and all of the streamed one. A dataflow
    of another package implements this protocol (`timing.dataflows.phases` has what most of them
    share) and is registered as an entry point; see `hardware.dataflow.GROUP`.
    """

    @property
    def name(self) -> str:
        """The value of `accelerator.dataflow`."""

    @property
    def axes(self) -> Axes:
        """Where each dimension of a product goes."""

    def fold_cycles(self, array: Accelerator, stream: int) -> int:
        """Return the cycles from one fold to the next, with `stream` vectors in each."""

    def fill_cycles(self, array: Accelerator) -> int:
        """Return the cycles that an operation adds once, whatever its folds."""

    def accesses(self, array: Accelerator, dims: Dims) -> Accesses:
        """Return the words between the array and its memories for a product of `dims`."""

    def weight_gradient(self, filters: int, channels: int, pixels: int) -> Dims:
        """Return the product that one kernel tap of a weight gradient is, summed over pixels."""
