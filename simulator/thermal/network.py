"""A Cauer network of a package under constant power: exact over any time, and at rest.

C_i dT_i/dt = (T_(i-1) - T_i) / R_(i-1) - (T_i - T_(i+1)) / R_i, the die with the power for inflow,
the last stage towards ambient. Scaled by the roots of the capacities the system is symmetric, so
its eigenvectors decouple it and each mode decays exponentially: no step of time is approximated.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from simulator.hardware.thermal import Thermal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HOTTEST_C = 400.0
"""Beyond any silicon: whoever gets there has no steady state below it."""


class ThermalNetwork(NamedTuple):
    """Stages from the die on: K/W to the next one, J/K, and the modes of the whole."""

    resistances: tuple[float, ...]
    capacities: tuple[float, ...]
    rates: "npt.NDArray[np.float64]"  # of decay, 1/s
    modes: "npt.NDArray[np.float64]"  # columns: eigenvectors of the scaled system

    @classmethod
    def of(cls, resistances: Sequence[float], capacities: Sequence[float]) -> Self:
        """Return the network of stages with these K/W and J/K, the die first."""
        import numpy as np  # noqa: PLC0415 - numpy takes 0.1 s, and few SoCs heat up

        outward = 1 / np.asarray(resistances, dtype=float)
        diagonal = outward + np.concatenate(([0.0], outward[:-1]))
        conductance = np.diag(diagonal) - np.diag(outward[:-1], 1) - np.diag(outward[:-1], -1)
        roots = np.sqrt(np.asarray(capacities, dtype=float))
        rates, modes = np.linalg.eigh(conductance / np.outer(roots, roots))
        return cls(tuple(resistances), tuple(capacities), rates, modes)

    @classmethod
    def of_part(cls, thermal: Thermal) -> Self:
        """Return the network that a SoC describes."""
        return cls.of(
            [stage.resistance / 1000 for stage in thermal.stages],
            [stage.capacity / 1000 for stage in thermal.stages],
        )

    @property
    def to_ambient(self) -> float:
        """Resistance from die to ambient, K/W."""
        return sum(self.resistances)


class Warming(NamedTuple):
    """What constant power leaves behind: kelvins over ambient of each stage, joules given off."""

    rises: tuple[float, ...]
    given_off_j: float


def steady_rises(network: ThermalNetwork, power_w: float) -> tuple[float, ...]:
    """Return the kelvins over ambient of each stage in the end: power x what lies outwards."""
    return tuple(
        power_w * sum(network.resistances[stage:]) for stage in range(len(network.resistances))
    )


def after(
    network: ThermalNetwork, rises: Sequence[float], power_w: float, seconds: float
) -> Warming:
    """Return the state after `seconds` of constant power, and the heat that reached ambient."""
    import numpy as np  # noqa: PLC0415

    rest = np.asarray(steady_rises(network, power_w))
    roots = np.sqrt(np.asarray(network.capacities))
    amplitudes = network.modes.T @ (roots * (np.asarray(rises) - rest))
    decayed = np.exp(-network.rates * seconds)
    areas = amplitudes * -np.expm1(-network.rates * seconds) / network.rates  # of each mode
    end = rest + network.modes @ (amplitudes * decayed) / roots
    last_area = rest[-1] * seconds + (network.modes @ areas / roots)[-1]
    return Warming(tuple(float(each) for each in end), last_area / network.resistances[-1])


def stored_j(network: ThermalNetwork, rises: Sequence[float]) -> float:
    """Return the heat in the stages over that at ambient temperature."""
    return sum(c * rise for c, rise in zip(network.capacities, rises, strict=True))


def leakage_factor(die_c: float, reference_c: float, doubling_k: float) -> float:
    """Return leakage at a die temperature over that at the reference: it doubles every so often."""
    return float(2 ** ((die_c - reference_c) / doubling_k))


def steady_die_c(
    to_ambient: float, fixed_w: float, leakage_w: float, ambient_c: float, law: tuple[float, float]
) -> float | None:
    """Return the die temperature at which power and cooling balance; None when it runs away.

    `law` is reference temperature and doubling of leakage. Power is convex in temperature, so
    iterating from ambient rises to the lowest balance, or past `HOTTEST_C` where there is none.
    """
    die_c = ambient_c
    for _ in range(100_000):
        power_w = fixed_w + leakage_w * leakage_factor(die_c, *law)
        following = ambient_c + to_ambient * power_w
        if following > HOTTEST_C:
            return None
        if abs(following - die_c) < 1e-9:
            return following
        die_c = following
    return None
