"""Time of kernels on a unit that is known by a table of measured ones: at its rows and elsewhere.

Of a kernel between the rows two things are taken for granted. It takes no less than one that is
smaller in every size. And it takes at most as many times longer than a measured one as its sizes
are larger, since it could be computed by that many calls of it. With times t_i measured at sizes
x_i, a kernel of sizes x then takes

    at most   min over i of  t_i x prod over d of max(1, x_d / x_id)
    at least  max over i of  t_i x prod over d of min(1, x_d / x_id),

also no less than the shortest kernel that was measured, and at no better rate (work, the product of
the sizes, over time) than the best. The estimate is the geometric mean of both bounds: in
logarithms the middle of all functions with slopes from 0 to 1 through the rows (McShane, 1934;
recalled), so that no rule which knows no more has a smaller greatest error. It is the measured time
at a row, does not fall where a size grows, and needs no parameter.

Below all rows that makes the shortest time a floor, above all of them the best rate a limit. Beyond
the row of most work it is, besides, no faster than at that row's own rate.

Where a row contradicts a larger one that took less time, its own time stands for its own sizes, and
the shorter time for those around it.
"""

from collections.abc import Hashable, Iterable, Sequence
from enum import StrEnum
from math import isqrt, prod
from typing import NamedTuple

from simulator.hardware.measured import PRODUCTS, KernelTime, KernelTimes
from simulator.hardware.precision import format_of
from simulator.timing.cores import product_names
from simulator.trace.accesses import elements_of
from simulator.trace.op import Gemm, Op
from simulator.units import ceil_div

KernelSizes = tuple[int, ...]
"""What a kernel is measured by: (batch, m, n, k) of products, (elements,) of an op."""


class Basis(StrEnum):
    """What a time rests on: a row of the table, rows on all sides, or none on some side."""

    ROW = "measured"
    BETWEEN = "between"
    OUTSIDE = "outside"


class Estimate(NamedTuple):
    """The time of a kernel, with its bounds, in ps."""

    ps: int
    least_ps: int
    most_ps: int
    basis: Basis


class _MeasuredRow(NamedTuple):
    sizes: KernelSizes
    work: int
    ps: int


class MeasuredTimes:
    """Times of kernels of one kind by their sizes."""

    def __init__(self, rows: Iterable[tuple[KernelSizes, int]]) -> None:
        """Take sizes with times in ps; of rows of equal sizes the shortest time counts."""
        times: dict[KernelSizes, int] = {}
        for sizes, ps in rows:
            times[sizes] = min(ps, times.get(sizes, ps))
        self._measured = times
        self._rows = [
            _MeasuredRow(
                sizes, prod(sizes), min(ps for other, ps in times.items() if _fits(sizes, other))
            )
            for sizes in times
        ]
        self._floor_ps = min(times.values())
        self._best = min(self._rows, key=lambda row: (row.ps / row.work, row.sizes))
        self._largest = max(self._rows, key=lambda row: (row.work, row.ps, row.sizes))
        self._least = tuple(map(min, zip(*times, strict=True)))
        self._most = tuple(map(max, zip(*times, strict=True)))

    def at(self, sizes: KernelSizes) -> Estimate:
        """Return the time of a kernel of these sizes."""
        measured_ps = self._measured.get(sizes)
        if measured_ps is not None:
            return Estimate(measured_ps, measured_ps, measured_ps, Basis.ROW)
        work = prod(sizes)
        most_ps = min(_scaled_up(row, sizes) for row in self._rows)
        least_ps = max(
            self._floor_ps,
            ceil_div(work * self._best.ps, self._best.work),
            *(_scaled_down(row, sizes) for row in self._rows),
        )
        # Where a larger row is slower than in proportion, the bounds cross; rows go before both.
        smaller = [row.ps for row in self._rows if _fits(row.sizes, sizes)]
        larger = [row.ps for row in self._rows if _fits(sizes, row.sizes)]
        ps = min([max([isqrt(least_ps * most_ps), *smaller]), *larger])
        if work > self._largest.work:
            ps = max(ps, ceil_div(work * self._largest.ps, self._largest.work))
        inside = _fits(self._least, sizes) and _fits(sizes, self._most)
        basis = Basis.BETWEEN if inside else Basis.OUTSIDE
        return Estimate(ps, min(least_ps, ps), max(most_ps, ps), basis)


def _fits(inner: KernelSizes, outer: KernelSizes) -> bool:
    """Return whether a kernel is part of another: no larger in any size."""
    return all(a <= b for a, b in zip(inner, outer, strict=True))


def _scaled_up(row: _MeasuredRow, sizes: KernelSizes) -> int:
    """Return the time of as many calls of a row as cover `sizes`, parts of calls in proportion."""
    covering = prod(map(max, sizes, row.sizes))
    return ceil_div(row.ps * covering, row.work)


def _scaled_down(row: _MeasuredRow, sizes: KernelSizes) -> int:
    """Return the time in proportion of what a row has in common with `sizes`."""
    return ceil_div(row.ps * prod(map(min, sizes, row.sizes)), row.work)


class KernelBook:
    """The kernels of a unit by kind, and which of them an op or a product is."""

    def __init__(self, table: KernelTimes) -> None:
        """Take the rows of `table`."""
        self._scale = table.time_scale
        groups: dict[Hashable, list[KernelTime]] = {}
        for kernel in table.kernels:
            groups.setdefault((kernel.op, kernel.format), []).append(kernel)
        self._times = {
            (*_pair(group[0]), stride): _times(group, stride)
            for group in groups.values()
            for stride in {None, *(kernel.stride for kernel in group)}
        }

    def product(self, op: Op, gemm: Gemm, number_format: str) -> Estimate | None:
        """Return the time of `gemm` of `op` in this format; None where the table has none like it.

        Rows of a convolution's own stride go before all others of its name.
        """
        names = [name for name in product_names(op, gemm) if name in PRODUCTS]
        strides = dict.fromkeys((_stride(gemm), None))
        sizes = (gemm.batch, gemm.m, gemm.n, gemm.k)
        return self._first([(n, number_format, s) for n in names for s in strides], sizes)

    def operation(self, op: Op) -> Estimate | None:
        """Return the time of an op without products; None where the table has none like it.

        Its own name goes before its kind; an op in place is like the one with a result of its own.
        """
        tensors = (*op.outputs, *op.inputs)
        elements = elements_of(op) if tensors else 0
        if not elements:
            return None
        number_format = format_of(tensors[0].dtype)
        names = (op.base_name.removesuffix("_"), op.kind.value)
        return self._first([(name, number_format, None) for name in names], (elements,))

    def _first(self, keys: Sequence[Hashable], sizes: KernelSizes) -> Estimate | None:
        times = next((self._times[key] for key in keys if key in self._times), None)
        if times is None or not all(sizes):
            return None
        ps, least_ps, most_ps, basis = times.at(sizes)
        return Estimate(self._scaled(ps), self._scaled(least_ps), self._scaled(most_ps), basis)

    def _scaled(self, ps: int) -> int:
        return ceil_div(ps * self._scale, 1000)


def _pair(kernel: KernelTime) -> tuple[str, str]:
    return kernel.op, kernel.format


def _times(kernels: Iterable[KernelTime], stride: int | None) -> MeasuredTimes:
    """Return the times of kernels of one stride, or of any; rows that state none are of each."""
    rows = (each for each in kernels if stride is None or each.stride in (None, stride))
    return MeasuredTimes((each.sizes, each.time) for each in rows)


def _stride(gemm: Gemm) -> int | None:
    """Return the stride of a convolution where it is the same in all dimensions."""
    strides = set(gemm.conv.stride) if gemm.conv else set()
    return strides.pop() if len(strides) == 1 else None
