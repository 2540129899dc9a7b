"""Fits the class of cores of a Raspberry Pi 4 to training steps of four networks.

`python -m tests.fit_raspberry_pi` prints each constant with the range that prior and measurement
leave together (nine in ten). Each is the most likely one given its prior, a guess from what the
kernel does, and the seconds of a forward pass and of the rest of a step of four networks, one of a
kind: plain (also 1x1 and strided convolutions), depthwise, transformer, large kernels. All others
are held out: `tests/system/test_raspberry_pi.py`.
"""

import sys
from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from tests.raspberry_pi import FITTED, measured, predicted, text_of

# Median and standard deviation of the logarithm, in inner units.
PRIORS = {
    "cpu.gemm_efficiency": (750, 0.1),  # HPL: 59 % in fp64 on this core; fp32 blocks better
    "cpu.bandwidth": (5_200_000_000, 0.12),  # STREAM: 5.6 GB/s, a long vector of doubles
    "cpu.costs.product_pack": (3_000, 0.5),  # load and store of a word, in panels
    "cpu.costs.aside": (800, 0.2),  # packed panels of four cores in one L2 of 1 MiB
    "cpu.costs.product_fork": (15_000, 0.5),  # 10 us
    "cpu.costs.inner_dispatch": (6_000, 0.5),  # 4 us
    "cpu.costs.fork": (9_000, 0.4),  # 6 us: futex wake-up of three threads
    "cpu.costs.unfold": (1_000, 0.5),  # memcpy or load and store of a word
    "cpu.costs.fold": (2_000, 0.5),  # load, load, add, store of a word
    "cpu.costs.row_start": (
        40_000,
        0.5,
    ),  # a call of memcpy or of an addition, and bounds
    "cpu.costs.pack": (6_000, 0.5),  # an indirect function call per eight elements
    "cpu.costs.packed_efficiency": (400, 0.3),  # 6 x 8 by intrinsics
    "cpu.costs.transform": (4_000, 0.4),  # a real FFT of 8 x 8: 5/2 N log N operations on 4 lanes
    "cpu.costs.tuple_efficiency": (400, 0.3),  # 2 x 2 and 3 x 3 tuples: a load per two FMAs
    "cpu.costs.page_walk": (40, 0.5),  # two levels of tables in L2
    "cpu.costs.erf": (80_000, 0.35),  # libm's scalar erff
    "cpu.costs.exponential": (25_000, 0.4),  # libm's scalar expf
    "cpu.costs.norm": (4_000, 0.4),  # scalar sum in double precision: latency of an addition
    "cpu.costs.pool": (20_000, 0.5),  # nine compares and index arithmetic
    "cpu.costs.first_touch": (2_000_000_000, 0.4),  # fault and clear of a page of 4 KiB: 2 us
}
_SPREAD = 0.07  # of what a model of these parts misses, as a standard deviation of logarithms
_NINE_IN_TEN = 1.645


def settings(x: Sequence[float]) -> dict[str, str | int]:
    """Return the constants so many standard deviations from their medians, as overrides."""
    return {
        path: text_of(path, round(median * np.exp(deviation * share)))
        for (path, (median, deviation)), share in zip(PRIORS.items(), x, strict=True)
    }


def residuals(shifted: np.ndarray) -> np.ndarray:
    """Return errors of forward pass and rest of each step, and of the constants themselves.

    Of 1 more than the deviations: a relative step of a number near zero is lost in integers.
    """
    x = shifted - 1
    overrides = settings(x)
    errors = [
        np.log(ours / theirs) / _SPREAD
        for network in FITTED
        for ours, theirs in zip(predicted(network, overrides), measured(network), strict=True)
    ]
    return np.array([*errors, *x])


def main() -> None:
    """Fit, and print what comes out."""
    found = least_squares(residuals, np.ones(len(PRIORS)), diff_step=0.05, max_nfev=8, verbose=2)
    deviations = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    for (path, (median, width)), x, left in zip(
        PRIORS.items(), found.x - 1, deviations, strict=True
    ):
        ends = (median * np.exp(width * (x + s * left)) for s in (-_NINE_IN_TEN, 0, _NINE_IN_TEN))
        low, value, high = (text_of(path, round(end)) for end in ends)
        sys.stdout.write(f"{path}: {{value: {value}, range: {low} .. {high}}}\n")


if __name__ == "__main__":
    main()
