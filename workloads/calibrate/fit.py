"""From samples to the numbers of a CPU description, by least squares with positive terms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from simulator.timing.cores import filled_macs, smallest
from simulator.trace.accesses import elements_of, moved_bytes
from simulator.trace.op import Op
from simulator.units import PS_PER_S
from workloads.calibrate.measure import TimedOp

_MOST_BYTES_PER_S = 10**13
_REWEIGHTED = 30
_LEAST_ERROR = 0.01  # below it a fit is as good as the measurement


@dataclass(frozen=True)
class ProductFit:
    """Terms of a product's time in ps: per call, per MAC, per MAC over the smallest dimension, per
    byte; and the gain per further thread, if measured.
    """

    call: float
    per_mac: float
    per_thin_mac: float
    per_byte: float
    parallel: float | None = None

    @property
    def half(self) -> int:
        """Smallest dimension at which a product reaches half its efficiency."""
        return round(self.per_thin_mac / self.per_mac)

    def at(self, share: float) -> "ProductFit":
        """Return the fit of a product that takes this share of the time."""
        terms = (self.call, self.per_mac, self.per_thin_mac, self.per_byte)
        call, per_mac, per_thin_mac, per_byte = (share * term for term in terms)
        return ProductFit(call, per_mac, per_thin_mac, per_byte, self.parallel)


@dataclass(frozen=True)
class KernelFit:
    """Terms of a kernel's time in ps: per call, per element, per byte if its own rate is higher
    than that of others; and the gain per further thread, if measured.
    """

    call: float
    element: float
    per_byte: float = 0.0
    parallel: float | None = None


def positive_least_squares(terms: Sequence[Sequence[float]], times: Sequence[float]) -> list[float]:
    """Return coefficients >= 0 of `terms` (one row per time) with the least relative errors.

    Terms whose coefficient would be negative are dropped, the most negative first.
    """
    matrix = np.array(terms, dtype=float) / np.array(times, dtype=float)[:, None]
    return [float(value) for value in _positive(matrix, np.ones(len(times)))]


def least_deviations(
    terms: Sequence[Sequence[float]], times: Sequence[float], fixed: Sequence[float] | None = None
) -> list[float]:
    """Return coefficients >= 0 of `terms` (one row per time) with the least absolute relative
    errors, so that a shape that a library handles unusually well or badly weighs no more than
    others.

    `fixed` is a part of each time outside the fit. Iteratively reweighted least squares
    (Schlossmacher 1973, J. Am. Stat. Assoc. 68:857).
    """
    whole = np.array(times, dtype=float)
    matrix = np.array(terms, dtype=float) / whole[:, None]
    target = 1 - (np.zeros(len(whole)) if fixed is None else np.array(fixed)) / whole
    weights = np.ones(len(whole))
    for _ in range(_REWEIGHTED):
        coefficients = _positive(matrix * weights[:, None], target * weights)
        weights = 1 / np.sqrt(np.maximum(np.abs(matrix @ coefficients - target), _LEAST_ERROR))
    return [float(value) for value in coefficients]


def _positive(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-300)
    left = list(range(matrix.shape[1]))
    coefficients = np.zeros(matrix.shape[1])
    while left:
        part, *_ = np.linalg.lstsq(matrix[:, left] / scale[left], target, rcond=None)
        if part.min() >= 0:
            coefficients[left] = part / scale[left]
            break
        left.pop(int(part.argmin()))
    return coefficients


def fit_stream(samples: Iterable[TimedOp], called_ps: int) -> float:
    """Return the ps per byte of operations bound by memory; `called_ps` is the time of a call."""
    large = [sample for sample in samples if moved_bytes(sample.op) > 2**17]
    terms = [(moved_bytes(sample.op),) for sample in large]
    (per_byte,) = positive_least_squares(terms, [max(1, s.ps - called_ps) for s in large])
    return max(per_byte, PS_PER_S / _MOST_BYTES_PER_S)


def fit_kernel(samples: Iterable[TimedOp], per_byte: float, called_ps: int) -> KernelFit:
    """Return the cost per call and element, beyond a call from Python and the traffic.

    Small operations determine the call, large ones the element: the median of each.
    """
    chosen = list(samples)
    rest = [(elements_of(sample.op), _beyond(sample, per_byte, called_ps)) for sample in chosen]
    small = min(count for count, _ in rest) * 2
    call = max(0.0, median(ps for count, ps in rest if count <= small))
    large = [(ps - call) / count for count, ps in rest if count > small]
    element = median(large) if large else 0.0
    if element >= 0:
        return KernelFit(call, element)
    streams = [s for s in chosen if elements_of(s.op) > small]
    own = median((s.ps - called_ps - call) / moved_bytes(s.op) for s in streams)
    return KernelFit(call, 0.0, max(own, PS_PER_S / _MOST_BYTES_PER_S))


def _beyond(sample: TimedOp, per_byte: float, called_ps: int) -> float:
    return sample.ps - called_ps - moved_bytes(sample.op) * per_byte


def fit_product(samples: Iterable[TimedOp], called_ps: int, lanes: int, floor: float) -> ProductFit:
    """Return the cost of products; vectors have `lanes`, and no MAC takes less than `floor` ps.

    If calls, bytes and the smallest dimension alone would explain the times, arithmetic takes
    `floor`, and the other terms explain the rest.
    """
    chosen = list(samples)
    rows = [_product_terms(sample.op, lanes) for sample in chosen]
    times = [float(max(1, sample.ps - called_ps)) for sample in chosen]
    call, per_mac, per_thin, per_byte = least_deviations(rows, times)
    if per_mac < floor:
        others = [(row[0], row[2], row[3]) for row in rows]
        fixed = [floor * row[1] for row in rows]
        call, per_thin, per_byte = least_deviations(others, times, fixed)
    return ProductFit(call, max(floor, per_mac), per_thin, per_byte)


def fastest_mac(samples: Iterable[TimedOp], called_ps: int, lanes: int) -> float:
    """Return the least ps per MAC of these products, of which one that hardly takes longer than a
    call says nothing.
    """
    chosen = list(samples)
    long = [sample for sample in chosen if sample.ps > 2 * called_ps] or chosen
    return min(
        max(1, sample.ps - called_ps) / _product_terms(sample.op, lanes)[1] for sample in long
    )


def _product_terms(op: Op, lanes: int) -> tuple[float, float, float, float]:
    """Return the factors of the terms; a fused operation counts as a call per role."""
    macs = [filled_macs(gemm, lanes) for gemm in op.gemms]
    thin = [each / smallest(gemm) for each, gemm in zip(macs, op.gemms, strict=True)]
    calls = len({gemm.role for gemm in op.gemms})
    return float(calls), sum(macs), sum(thin), calls * moved_bytes(op)
