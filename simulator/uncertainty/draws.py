"""The quantiles of its range that an uncertain constant takes, sample by sample."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from simulator.hardware.constant import Constant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def quantiles(constant: Constant, samples: int, seed: int) -> "NDArray[np.float64]":
    """Return the quantile that `constant` takes in each sample, one in each of equal strata.

    The columns of several constants form a Latin hypercube (McKay, Beckman and Conover,
    Technometrics 21, 1979), balanced for any number of samples. A column depends only on its
    constant, `samples` and `seed`: machines that share a constant share its draws, so that ratios
    can be taken sample by sample.
    """
    import numpy as np  # noqa: PLC0415 - scipy.stats takes a second to import
    from scipy.stats import qmc  # noqa: PLC0415

    words = np.frombuffer(_digest(constant), dtype="<u4")
    generator = np.random.default_rng([seed, *words.tolist()])
    column: NDArray[np.float64] = qmc.LatinHypercube(1, rng=generator).random(samples)[:, 0]
    return column


def draw_values(constants: Sequence[Constant], samples: int, seed: int) -> list[dict[str, int]]:
    """Return the value of each constant by its path, in internal units, for each sample."""
    columns = {
        each.path: [each.at(float(quantile)) for quantile in quantiles(each, samples, seed)]
        for each in constants
    }
    return [{path: column[i] for path, column in columns.items()} for i in range(samples)]


def _digest(constant: Constant) -> bytes:
    compared = [getattr(constant, each.name) for each in fields(constant) if each.compare]
    return hashlib.sha256(json.dumps(compared).encode()).digest()
