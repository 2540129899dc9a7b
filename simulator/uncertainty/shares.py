"""Which uncertain constants decide an answer: their shares of the variance of its logarithm.

The samples are fitted by a sparse polynomial chaos expansion: polynomials of degree two of the
constants' logarithms, each orthonormal under the constant's own distribution, so that the squares
of their coefficients are parts of the variance and sum up to Sobol's indices without further
sampling (Sudret, Reliability Engineering and System Safety 93, 2008). Terms are taken one by one,
the one that explains most of what is left first, as long as the corrected leave-one-out error
falls (Blatman and Sudret, Journal of Computational Physics 230, 2011). A square or a product is
taken only after the constants themselves (effect heredity: Hamada and Wu, Journal of Quality
Technology 24, 1992), for among a thousand of them many fit by chance. So that error still flatters;
how good a fit is tell samples that had no part in it, the choice of its terms included.
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
_FOLDS = 8  # parts of the samples, each left out once
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
    """A column of constants, and which terms are taken before it."""

    constants: tuple[int, ...]
    column: "Floats"
    after: tuple[int, ...] = ()


class _Fit(NamedTuple):
    """The columns taken, and their weights behind that of the constant term."""

    taken: tuple[int, ...]
    weights: "Floats"

    def at(self, matrix: "Floats") -> "Floats":
        """Return what is predicted for the rows of a matrix of all columns."""
        found: Floats = self.weights[0] + matrix[:, list(self.taken)] @ self.weights[1:]
        return found


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
    terms = _terms(bases)
    matrix = np.column_stack([term.column for term in terms])
    after = [term.after for term in terms]
    fit = _fitted(matrix, logs, after)
    chosen = [terms[index] for index in fit.taken]
    r2 = max(0.0, 1 - _left_out_error(matrix, logs, after) / variance)
    return Shares(_shared(constants, chosen, fit.weights[1:]), r2)


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
    """Return the linear terms in the order of the constants, then squares and products."""
    linear = [_Term((i,), line) for i, (line, _) in enumerate(bases)]
    squares = [_Term((i,), square, (i,)) for i, (_, square) in enumerate(bases)]
    both = [
        _Term((i, j), one * other, (i, j))
        for (i, (one, _)), (j, (other, _)) in combinations(enumerate(bases), 2)
    ]
    return linear + squares + both


def _fitted(matrix: "Floats", logs: "Floats", after: Sequence[tuple[int, ...]]) -> _Fit:
    """Return the columns that are worth taking, each after those that explain more."""
    import numpy as np  # noqa: PLC0415

    lengths = np.linalg.norm(matrix - matrix.mean(axis=0), axis=0)
    lengths[lengths == 0] = np.inf
    fit = best = _Fit((), np.full(1, logs.mean()))
    least = float(logs.var())
    for _ in range(min(matrix.shape[1], len(logs) // _SAMPLES_PER_TERM)):
        explains = np.abs((logs - fit.at(matrix)) @ matrix) / lengths
        explains[list(fit.taken)] = -1
        explains[[i for i, terms in enumerate(after) if not {*terms} <= {*fit.taken}]] = -1
        taken = (*fit.taken, int(explains.argmax()))
        design = np.column_stack([np.ones(len(logs)), matrix[:, taken]])
        weights = np.linalg.lstsq(design, logs, rcond=None)[0].astype(np.float64)
        fit = _Fit(taken, weights)
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
    """Return the mean square error at samples that had no part in a fit."""
    import numpy as np  # noqa: PLC0415

    squares = 0.0
    for fold in range(min(_FOLDS, len(logs))):
        out = np.arange(len(logs)) % _FOLDS == fold
        fit = _fitted(matrix[~out], logs[~out], after)
        squares += float(((logs[out] - fit.at(matrix[out])) ** 2).sum())
    return squares / len(logs)


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
    return tuple(sorted(found, key=lambda share: -share.first))
