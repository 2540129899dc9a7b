"""What zeros save an array or a CPU: expected work, where blocks of zeros lie at random.

An array works in commands: a fold's part of a product, of so many rows, columns and vectors that
stream. It can skip a command whose part of a matrix is zero; a part with one kept block takes as
long as any. Blocks are kept independently of each other, which is an assumption: pruning may well
prefer some rows or columns. Whole blocks in whole tiles save what they leave out, smaller ones
less, single values next to nothing.
"""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from math import ceil, prod
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.memo import remember
from simulator.sparsity import BlockPattern
from simulator.timing.dataflows import Dataflow, Dims
from simulator.trace.op import Gemm
from simulator.trace.sparsity import SparseOperand
from simulator.units import ceil_div

ALL = Fraction(1)
_FINEST = 10**12  # probabilities of several blocks are rounded to one part in so many
_SCALE = 1 << 96  # fixed point of probabilities


class CommandShares(NamedTuple):
    """The expected fraction of an array's work that has something to do.

    `folds`: of its folds; `stream`: of the vectors that stream through one.
    """

    folds: Fraction = ALL
    stream: Fraction = ALL

    @property
    def commands(self) -> Fraction:
        """Of all commands."""
        return self.folds * self.stream


def shares_of(
    array: Accelerator, dataflow: Dataflow, dims: Dims, operands: Iterable[SparseOperand]
) -> CommandShares:
    """Return the work in a product of `dims` whose matrices have these zeros; each matrix leaves
    its commands independently of the others.
    """
    folds = stream = ALL
    for each in operands:
        if not isinstance(each.pattern, BlockPattern):
            continue
        axes = each.rows, each.cols
        extents = getattr(dims, each.rows), getattr(dims, each.cols)
        tile = command_side(array, dataflow, axes[0]), command_side(array, dataflow, axes[1])
        share = busy_share(each.pattern, extents, tile)
        if dataflow.axes.stream in axes:
            stream *= share
        else:
            folds *= share
    return CommandShares(folds, stream)


def command_side(array: Accelerator, dataflow: Dataflow, axis: str) -> int:
    """Return the extent of a command along "m", "n" or "k": rows or columns of the array where the
    dimension is unrolled, up to as many vectors as there are rows where it streams.
    """
    side: int = array.cols if axis == dataflow.axes.col else array.rows
    return side * array.dot_width if axis == "k" else side


@remember("tiles with something in them", most=1024)
def busy_share(pattern: BlockPattern, extents: tuple[int, int], tile: tuple[int, int]) -> Fraction:
    """Return the expected fraction of the tiles of a matrix in which some block is kept.

    A tile that touches b blocks is empty with probability (1 - d)^b at density d, so that its share
    is d where blocks cover tiles, and 1 - (1 - d)^b where b blocks make up a tile. Blocks and tiles
    both begin at the matrix's first row and column; where neither divides the other, tiles that
    straddle blocks touch more of them.
    """
    down = _touched(extents[0], pattern.rows, tile[0])
    across = _touched(extents[1], pattern.cols, tile[1])
    counts: Counter[int] = Counter()
    for rows, many in down.items():
        for cols, times in across.items():
            counts[rows * cols] += many * times
    if counts.keys() == {1}:
        return pattern.density
    busy = sum(n * _in_some(blocks, pattern.density) for blocks, n in counts.items())
    return Fraction(busy, counts.total() * _FINEST)


def _in_some(blocks: int, density: Fraction) -> int:
    """Return the probability that one of `blocks` is kept, in parts of `_FINEST`."""
    every: int = density.denominator**blocks
    empty: int = (density.denominator - density.numerator) ** blocks
    return _FINEST - (2 * empty * _FINEST + every) // (2 * every)


def _touched(extent: int, block: int, tile: int) -> Counter[int]:
    """Return how many tiles along a dimension touch how many blocks."""
    starts = range(0, extent, tile)
    ends = (min(start + tile, extent) for start in starts)
    return Counter(
        (end - 1) // block - start // block + 1 for start, end in zip(starts, ends, strict=True)
    )


def skipping_cycles(
    array: Accelerator, dims: Dims, dataflow: Dataflow, shares: CommandShares
) -> int:
    """Return the expected cycles of the folds of `dims`, as `systolic.tile_cycles` for all of them.

    Of several arrays each has as many folds of its own, and all wait for the one with the fullest.
    Or each streams its part through every fold, and none waits.
    """
    axes, count = dataflow.axes, dims._replace(k=ceil_div(dims.k, array.dot_width))
    folds = ceil_div(getattr(count, axes.row), array.rows)
    folds *= ceil_div(getattr(count, axes.col), array.cols)
    stream = ceil(getattr(count, axes.stream) * shares.stream)
    most = fullest(array.arrays, ceil_div(folds, array.arrays), shares.folds)
    dealt = ceil(most * dataflow.fold_cycles(array, stream))
    if array.arrays == 1:
        return dealt
    part = ceil_div(stream, array.arrays)
    return min(dealt, ceil(folds * shares.folds * dataflow.fold_cycles(array, part)))


@remember("fullest of several arrays", most=4096)
def fullest(arrays: int, folds: int, share: Fraction) -> Fraction:
    """Return the expected folds of the array that has most, of `arrays` with `folds` each, of
    which a fold has something to do with probability `share`, whatever the others have. Tiles of
    one block are alike, but neighbours, and so dealt to different arrays.

    The mean of the largest of A binomials, sum over j of 1 - F(j)^A (David and Nagaraja, Order
    Statistics, 3rd edition, 2003), in fixed point: the same on every machine.
    """
    if arrays == 1 or share in (0, 1):
        return folds * share
    weights = _binomial(folds, share)
    whole, below, expected = sum(weights), 0, 0
    for weight in weights[:-1]:
        below += weight
        at_most = power = below * _SCALE // whole
        for _ in range(arrays - 1):
            power = power * at_most // _SCALE
        expected += _SCALE - power
    return max(folds * share, Fraction(expected, _SCALE))


def _binomial(trials: int, share: Fraction) -> list[int]:
    """Return weights in proportion to the probabilities of 0 to `trials` successes, from the mode
    outwards: each neighbour is a quotient of small integers times the one before.
    """
    success, failure = share.numerator, share.denominator - share.numerator
    mode = int((trials + 1) * share)
    weights = [0] * (trials + 1)
    weights[mode] = weight = _SCALE
    for j in range(mode, trials):
        weight = weight * (trials - j) * success // ((j + 1) * failure)
        weights[j + 1] = weight
    weight = _SCALE
    for j in range(mode, 0, -1):
        weight = weight * j * failure // ((trials - j + 1) * success)
        weights[j - 1] = weight
    return weights


class KernelShares(NamedTuple):
    """What a kernel does over what a dense one does: time of arithmetic, and MACs."""

    time: Fraction = ALL
    macs: Fraction = ALL


def kernel_shares(cpu: Cpu, gemm: Gemm) -> KernelShares:
    """Return what a CPU does for a product with zeros.

    Kernels of blocks take the blocks that are kept at `cpu.sparse_efficiency` of the dense rate,
    where that pays; PyTorch's own products are dense, and multiply every zero.
    """
    blocks = [each for each in gemm.sparsity if each and isinstance(each.pattern, BlockPattern)]
    if cpu.sparse_efficiency is None or not blocks:
        return KernelShares()
    density = prod((each.density for each in blocks), start=ALL)
    time = density * 1000 / cpu.sparse_efficiency
    return KernelShares(time, density) if time < 1 else KernelShares()
