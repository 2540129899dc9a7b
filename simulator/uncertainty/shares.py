"""Which uncertain constants decide an answer: their shares of the variance of its logarithm.

The samples are fitted by a sparse polynomial chaos expansion: polynomials of degree two of the
constants' logarithms, each orthonormal under the constant's own distribution, so that the squares
of their coefficients are parts of the variance and sum up to Sobol's indices without further
sampling (Sudret, Reliability Engineering and System Safety 93, 2008). Terms are taken one by one,
the one that explains most of what is left first, as long as the corrected leave-one-out error
falls (Blatman and Sudret, Journal of Computational Physics 230, 2011).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from simulator.hardware.constant import Constant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TRUSTED_R2 = 0.9
"""Shares of a worse fit are not told: a guess at what leaves the largest of them in their order."""
_GRID = 512  # midpoints of quantiles, over which a distribution is integrated
_SAMPLES_PER_TERM = 3  # at least: with fewer the leave-one-out error itself is not to be trusted
_NOTHING = 1e-12  # relative spread below which an answer does not vary


class Share(NamedTuple):
    """What one constant decides: `first` by itself, `total` with all that it does with others."""

    constant: Constant
    first: float
    total: float


@dataclass(frozen=True)
class Shares:
    """The shares of all constants, largest first, and how well the fit predicts left-out samples.

    `r2` is 1 where the answer does not vary at all.
    """

    shares: tuple[Share, ...]
    r2: float

    @property
    def is_trusted(self) -> bool:
        """Whether the fit is good enough for its shares to be told."""
        return self.r2 >= TRUSTED_R2


class _Term(NamedTuple):
    constants: tuple[int, ...]
    column: "Floats"


def shares(
    constants: Sequence[Constant], quantiles: Sequence["Floats"], values: Sequence[float]
) -> Shares:
    """Return the shares of `constants` in the variance of the logarithm of positive `values`.

    `quantiles` has a column of samples for each constant.
    """
    import numpy as np  # noqa: PLC0415 - only sampling needs it at the command line

    logs = np.log(np.asarray(values, dtype=np.float64))
    centred = logs - logs.mean()
    variance = float(centred @ centred) / len(logs)
    if not constants or math.sqrt(variance) < _NOTHING:
        return Shares((), 1.0)
    bases = [_basis(each, column) for each, column in zip(constants, quantiles, strict=True)]
    chosen, weights, error = _fitted(_terms(bases), logs)
    return Shares(_shared(constants, chosen, weights), max(0.0, 1 - error / variance))


def _basis(constant: Constant, column: "Floats") -> "tuple[Floats, Floats]":
    """Return two polynomials of a constant at its samples, orthonormal over its distribution."""
    import numpy as np  # noqa: PLC0415

    grid = _amounts(constant, (np.arange(_GRID) + 0.5) / _GRID)
    at = _amounts(constant, column)
    middle, spread = grid.mean(), grid.std()
    linear, at = (grid - middle) / spread, (at - middle) / spread
    skew = float((linear**3).mean())
    square = linear**2 - 1 - skew * linear
    size = float(np.sqrt((square**2).mean())) or 1.0
    return at, (at**2 - 1 - skew * at) / size


def _amounts(constant: Constant, quantiles: "Floats") -> "Floats":
    """Return the logarithms of a constant's values, or the values where they reach zero."""
    import numpy as np  # noqa: PLC0415

    values = np.array([constant.at(float(each)) for each in quantiles], dtype=np.float64)
    return np.log(values) if constant.low > 0 else values


def _terms(bases: "Sequence[tuple[Floats, Floats]]") -> list[_Term]:
    alone = [_Term((i,), column) for i, pair in enumerate(bases) for column in pair]
    both = [
        _Term((i, j), one[0] * other[0])
        for (i, one), (j, other) in combinations(enumerate(bases), 2)
    ]
    return alone + both


def _fitted(terms: Sequence[_Term], logs: "Floats") -> "tuple[list[_Term], Floats, float]":
    """Return the terms that predict left-out samples best, their weights, and the error then."""
    import numpy as np  # noqa: PLC0415

    matrix = np.column_stack([term.column for term in terms])
    lengths = np.linalg.norm(matrix - matrix.mean(axis=0), axis=0)
    lengths[lengths == 0] = np.inf
    taken: list[int] = []
    residual: Floats = np.asarray(logs - logs.mean(), dtype=np.float64)
    best: tuple[list[int], Floats, float] = ([], np.zeros(0), float(logs.var()))
    for _ in range(min(len(terms), len(logs) // _SAMPLES_PER_TERM)):
        fit = np.abs(residual @ matrix) / lengths
        fit[taken] = -1
        taken.append(int(fit.argmax()))
        design = np.column_stack([np.ones(len(logs)), matrix[:, taken]])
        weights, residual = _solved(design, logs)
        error = _left_out_error(design, residual)
        if error < best[2]:
            best = list(taken), weights[1:], error
    return [terms[i] for i in best[0]], best[1], best[2]


def _solved(design: "Floats", logs: "Floats") -> "tuple[Floats, Floats]":
    import numpy as np  # noqa: PLC0415

    weights = np.linalg.lstsq(design, logs, rcond=None)[0].astype(np.float64)
    residual: Floats = logs - design @ weights
    return weights, residual


def _left_out_error(design: "Floats", residual: "Floats") -> float:
    """Return the mean square error at samples left out of the fit, corrected for their number."""
    import numpy as np  # noqa: PLC0415

    samples, terms = design.shape
    inverse = np.linalg.pinv(design.T @ design)
    leverage = np.minimum(np.einsum("ij,jk,ik->i", design, inverse, design), 1 - 1e-9)
    plain = ((residual / (1 - leverage)) ** 2).mean()
    return float(plain * samples / (samples - terms) * (1 + np.trace(inverse)))


def _shared(
    constants: Sequence[Constant], chosen: Sequence[_Term], weights: "Floats"
) -> tuple[Share, ...]:
    parts = [float(weight) ** 2 for weight in weights]
    whole = sum(parts) or 1.0
    found = []
    for index, constant in enumerate(constants):
        alone = sum(p for term, p in zip(chosen, parts, strict=True) if term.constants == (index,))
        total = sum(p for term, p in zip(chosen, parts, strict=True) if index in term.constants)
        found.append(Share(constant, alone / whole, total / whole))
    return tuple(sorted(found, key=lambda share: -share.total))
