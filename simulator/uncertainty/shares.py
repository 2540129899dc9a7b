"""Which uncertain constants decide an answer: their shares of the variance of its logarithm.

The samples are fitted by a sparse polynomial chaos expansion: polynomials of degree two in the
constants' logarithms, each orthonormal under the constant's own distribution, so that the squares
of their coefficients are parts of the variance and add up to Sobol's indices without further
samples (Sudret, Reliability Engineering and System Safety 93, 2008). Terms are added one by one,
the one that explains most of the residual first, while the corrected leave-one-out error falls
(Blatman and Sudret, Journal of Computational Physics 230, 2011). A square or a product comes only
after the constants in it (effect heredity: Hamada and Wu, Journal of Quality Technology 24, 1992),
because among a thousand of them many fit by chance. The leave-one-out error is still optimistic, as
it chose the terms; R2 is therefore taken on folds that had no part in the fit, the choice of terms
included.
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
"""Below it shares are not reported. A guess: the largest shares should keep their order."""
_GRID = 512  # midpoints of quantiles: the grid to integrate a distribution
_SAMPLES_PER_TERM = 3  # at least: with fewer the leave-one-out error is unreliable
_FOLDS = 8  # parts of the samples, each left out once
_NOTHING = 1e-12  # relative spread below which an answer does not vary


class VarianceShare(NamedTuple):
    """The share of one constant: `first` by itself, `total` with its interactions."""

    constant: Constant
    first: float
    total: float


@dataclass(frozen=True)
class VarianceShares:
    """The shares of all constants, largest first, and the R2 of the fit on left-out samples.

    `r2` is 1 if the answer does not vary.
    """

    shares: tuple[VarianceShare, ...]
    r2: float

    @property
    def is_trusted(self) -> bool:
        """Whether the fit is good enough to report its shares."""
        return self.r2 >= TRUSTED_R2


class _Term(NamedTuple):
    """A column of the design matrix, its constants, and the terms that come before it."""

    constants: tuple[int, ...]
    column: "Floats"
    after: tuple[int, ...] = ()


class _Fit(NamedTuple):
    """The columns of a fit and their weights, behind that of the constant term."""

    columns: tuple[int, ...]
    weights: "Floats"

    def at(self, matrix: "Floats") -> "Floats":
        """Return the prediction for the rows of a matrix of all columns."""
        predicted: Floats = self.weights[0] + matrix[:, list(self.columns)] @ self.weights[1:]
        return predicted


def shares(
    constants: Sequence[Constant], quantiles: Sequence["Floats"], values: Sequence[float]
) -> VarianceShares:
    """Return the shares of `constants` in the variance of the logarithm of positive `values`.

    `quantiles` has a column of samples for each constant.
    """
    import numpy as np  # noqa: PLC0415 - only sampling needs it at the command line

    logs = np.log(np.asarray(values, dtype=np.float64))
    centred = logs - logs.mean()
    variance = float(centred @ centred) / len(logs)
    if not constants or math.sqrt(variance) < _NOTHING:
        return VarianceShares((), 1.0)
    bases = [_basis(each, column) for each, column in zip(constants, quantiles, strict=True)]
    terms = _terms(bases)
    matrix = np.column_stack([term.column for term in terms])
    after = [term.after for term in terms]
    fit = _best_fit(matrix, logs, after)
    chosen = [terms[index] for index in fit.columns]
    r2 = max(0.0, 1 - _left_out_error(matrix, logs, after) / variance)
    return VarianceShares(_shares_of(constants, chosen, fit.weights[1:]), r2)


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
    """Return the logarithms of a constant's values, or the values if they reach zero."""
    import numpy as np  # noqa: PLC0415

    values = np.array([constant.at(float(each)) for each in quantiles], dtype=np.float64)
    return np.log(values) if constant.low > 0 else values


def _terms(bases: "Sequence[tuple[Floats, Floats]]") -> list[_Term]:
    """Return the linear terms in the order of the constants, then squares and products."""
    linear = [_Term((i,), line) for i, (line, _) in enumerate(bases)]
    squares = [_Term((i,), square, (i,)) for i, (_, square) in enumerate(bases)]
    both = [
        _Term((i, j), one * other, (i, j))
        for (i, (one, _)), (j, (other, _)) in combinations(enumerate(bases), 2)
    ]
    return linear + squares + both


def _best_fit(matrix: "Floats", logs: "Floats", after: Sequence[tuple[int, ...]]) -> _Fit:
    """Return the fit with the least corrected error, adding the most explanatory column
    each time.
    """
    import numpy as np  # noqa: PLC0415

    lengths = np.linalg.norm(matrix - matrix.mean(axis=0), axis=0)
    lengths[lengths == 0] = np.inf
    fit = best = _Fit((), np.full(1, logs.mean()))
    least = float(logs.var())
    for _ in range(min(matrix.shape[1], len(logs) // _SAMPLES_PER_TERM)):
        explains = np.abs((logs - fit.at(matrix)) @ matrix) / lengths
        explains[list(fit.columns)] = -1
        explains[[i for i, terms in enumerate(after) if not {*terms} <= {*fit.columns}]] = -1
        columns = (*fit.columns, int(explains.argmax()))
        design = np.column_stack([np.ones(len(logs)), matrix[:, columns]])
        weights = np.linalg.lstsq(design, logs, rcond=None)[0].astype(np.float64)
        fit = _Fit(columns, weights)
        error = _corrected_error(design, logs - fit.at(matrix))
        if error < least:
            best, least = fit, error
    return best


def _corrected_error(design: "Floats", residual: "Floats") -> float:
    """Return the leave-one-out error of a linear fit, corrected for its number of terms."""
    import numpy as np  # noqa: PLC0415

    samples, terms = design.shape
    inverse = np.linalg.pinv(design.T @ design)
    leverage = np.minimum(np.einsum("ij,jk,ik->i", design, inverse, design), 1 - 1e-9)
    plain = ((residual / (1 - leverage)) ** 2).mean()
    return float(plain * samples / (samples - terms) * (1 + np.trace(inverse)))


def _left_out_error(matrix: "Floats", logs: "Floats", after: Sequence[tuple[int, ...]]) -> float:
    """Return the mean square error on folds that had no part in the fit."""
    import numpy as np  # noqa: PLC0415

    squares = 0.0
    for fold in range(min(_FOLDS, len(logs))):
        out = np.arange(len(logs)) % _FOLDS == fold
        fit = _best_fit(matrix[~out], logs[~out], after)
        squares += float(((logs[out] - fit.at(matrix[out])) ** 2).sum())
    return squares / len(logs)


def _shares_of(
    constants: Sequence[Constant], chosen: Sequence[_Term], weights: "Floats"
) -> tuple[VarianceShare, ...]:
    parts = [float(weight) ** 2 for weight in weights]
    whole = sum(parts) or 1.0
    rows = []
    for index, constant in enumerate(constants):
        alone = sum(p for term, p in zip(chosen, parts, strict=True) if term.constants == (index,))
        total = sum(p for term, p in zip(chosen, parts, strict=True) if index in term.constants)
        rows.append(VarianceShare(constant, alone / whole, total / whole))
    return tuple(sorted(rows, key=lambda share: -share.first))
