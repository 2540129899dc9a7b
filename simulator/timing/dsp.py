"""Time of products and elementwise work on a DSP: vector arithmetic, and a cache that misses.

A product keeps partial sums of some channels in a register and reads the batch for each register
and each tap: what the cache does not hold by then, it misses again. Where it reads and writes W
bytes in turn, and the cache has C, 1 - C / W of the accesses miss (cyclic reuse under random
replacement). W is the batch, its results, and the weights of one register: others stream past
once. Misses stall the vector unit, so that their time adds up. That all taps walk over the whole
batch is a guess, made for the cliff in table 4 of Mandheling (Xu et al., MobiCom 2022), which no
reuse within a row of pixels explains.
"""

from typing import NamedTuple

from simulator.hardware.dsp import VectorMachine
from simulator.memo import remember
from simulator.trace.op import Gemm, Op, Role
from simulator.units import Clock, ceil_div, transfer_ps

_TAPS = 4  # products that a vector instruction adds to each sum: vrmpy (Hexagon V66 HVX manual)
_SUM_BYTES = 4


class BatchedProduct(NamedTuple):
    """A product as a DSP cuts it, by `images`: sizes are of one image, `shared` ones of all.

    It multiplies `rows` x `n` x `k` an image, or sums over `rows` of k where results are `summed`:
    m x n x `rows`; in each of its `groups`. Operands have `each` bytes an image and `shared` ones,
    results are elements, both of all groups.
    """

    images: int
    rows: int
    m: int
    n: int
    k: int
    each: int
    shared: int
    results: int
    summed: bool
    bits: int
    groups: int = 1

    def of(self, images: int) -> tuple[int, int, int]:
        """Return m, n and k of so many images."""
        rows = images * self.rows
        return (self.m, self.n, rows) if self.summed else (rows, self.n, self.k)

    def result_elements(self, images: int) -> int:
        """Return the elements of the results of so many images."""
        return self.results if self.summed else images * self.results


class ProductTime(NamedTuple):
    """What products take: ps of arithmetic, of stalls and of calls; what they execute and move."""

    vector_ps: int
    stall_ps: int
    call_ps: int
    macs_issued: int
    cache_bytes: int
    missed_bytes: int

    def plus(self, other: "ProductTime") -> "ProductTime":
        """Return both, one after the other."""
        return ProductTime(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def ps(self) -> int:
        """The whole time."""
        return self.vector_ps + self.stall_ps + self.call_ps


def batched(op: Op, gemm: Gemm, bits: int) -> BatchedProduct:
    """Return a product of `op` by images: rows of m, or of k where a weight gradient is summed."""
    summed = gemm.role is Role.WGRAD
    along = gemm.k if summed else gemm.m
    images = gemm.conv.images if gemm.conv else along
    a, b = (op.inputs[which].elements if which >= 0 else 0 for which in (gemm.a, gemm.b))
    made = op.outputs[gemm.c].elements if gemm.c >= 0 else gemm.result_elements
    of_images = a + b if summed else a
    return BatchedProduct(
        images,
        along // images,
        gemm.m,
        gemm.n,
        gemm.k,
        ceil_div(of_images * bits, 8 * images),
        0 if summed else ceil_div(b * bits, 8),
        made if summed else made // images,
        summed,
        bits,
        gemm.batch,
    )


@remember("products on DSPs", most=4096)
def product_time(part: VectorMachine, product: BatchedProduct, rate: int) -> ProductTime:
    """Return the time of a product at `rate` MACs per cycle, its batch cut where that pays."""
    if not part.split:
        return _part_time(part, product, product.images, rate)
    cuts = (_in_parts(part, product, images, rate) for images in range(1, product.images + 1))
    return min(cuts, key=lambda time: time.ps)


def _in_parts(part: VectorMachine, product: BatchedProduct, images: int, rate: int) -> ProductTime:
    times, rest = divmod(product.images, images)
    each = _part_time(part, product, images, rate)
    time = ProductTime(*(times * value for value in each))
    return time.plus(_part_time(part, product, rest, rate)) if rest else time


def _part_time(part: VectorMachine, product: BatchedProduct, images: int, rate: int) -> ProductTime:
    """Return the time of `images` of a batch, with scales that are partly found anew."""
    share = part.rescaling.dynamic_share
    plain, twice = (_call_time(part, product, images, rate, dynamic=d) for d in (False, True))
    return ProductTime(
        *(((1000 - share) * p + share * t) // 1000 for p, t in zip(plain, twice, strict=True))
    )


def _call_time(
    part: VectorMachine, product: BatchedProduct, images: int, rate: int, *, dynamic: bool
) -> ProductTime:
    """Return the time of one call, with a second pass over its sums if it is `dynamic`."""
    computed = part.batch.filled(images)
    m, n, k = product.of(computed)
    registers = ceil_div(n, part.lanes)
    issued = product.groups * m * registers * part.lanes * ceil_div(k, _TAPS) * _TAPS
    results = product.result_elements(computed)
    narrow, sums = ceil_div(results * product.bits, 8), results * _SUM_BYTES
    out = sums if dynamic else narrow
    batch = computed * product.each
    again = ceil_div(product.groups * m * registers * k * product.bits, 8)
    read = max(batch + product.shared, again)
    in_use = batch + ceil_div(product.shared, registers) + (0 if product.summed else out)
    missed = missed_bytes(part, in_use, read + out)
    passed, rescale_ps, clock = read + out, 0, Clock(part.clock)
    if dynamic:  # a cycle a register to seek the largest sum, and one to scale it
        rescale_ps = clock.cycles_to_ps(2 * ceil_div(sums, part.vector))
        missed += missed_bytes(part, sums + narrow, sums + narrow)
        passed += sums + narrow
    multiply_ps = clock.cycles_to_ps(ceil_div(issued, rate))
    hit_ps = transfer_ps(passed - missed, part.cache.bandwidth)
    stall_ps = transfer_ps(missed, part.cache.miss_bandwidth)
    return ProductTime(
        max(multiply_ps, hit_ps) + rescale_ps, stall_ps, part.call, issued, passed, missed
    )


def missed_bytes(part: VectorMachine, working_set: int, size: int) -> int:
    """Return the bytes that miss of `size` that pass again and again within a working set."""
    beyond = working_set - part.cache.size
    return ceil_div(size * beyond, working_set) if beyond > 0 else 0


def elementwise_ps(part: VectorMachine, size: int) -> int:
    """Return the time of an op that passes `size` bytes once, as they are fetched ahead."""
    return part.call + Clock(part.clock).cycles_to_ps(ceil_div(size, part.vector))
