"""The bare Raspberry Pi 4 of the thermal model against dies that were measured.

Two rows fit its constants: the rise of the package when idle gives the resistance to ambient, the
first 300 s of one board under load all else. Everything else is held out.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.hardware import load_hardware
from simulator.hardware.thermal import Thermal
from simulator.thermal.network import ThermalNetwork, after, steady_rises
from tests.reference import rows

LOADED_S = 302.0
"""For so long `stressberry` was under load."""
NOVEMBER_W = 0.08
"""What firmware of November 2019 takes less than that of the launch between idle and load."""
Reals = npt.NDArray[np.float64]


class Course(NamedTuple):
    """Temperatures of a die, degC, over seconds; each the mean of so many samples."""

    s: tuple[float, ...]
    degc: tuple[float, ...]
    samples: tuple[int, ...]


@cache
def facts() -> dict[str, float]:
    """Return published figures by name, in the unit of their row."""
    return {row["fact"]: float(row["value"]) for row in rows("energy/rpi4_heat_facts.csv")}


@cache
def course(run: str, phase: str) -> Course:
    """Return what was measured in a phase of a run."""
    chosen = [
        row for row in rows("energy/rpi4_heat.csv") if (row["run"], row["phase"]) == (run, phase)
    ]
    return Course(
        tuple(float(row["s"]) for row in chosen),
        tuple(float(row["degc"]) for row in chosen),
        tuple(int(row["samples"]) for row in chosen),
    )


def step_w(run: str) -> float:
    """Return by how much `stress -c 4` raises the board's power under the firmware of a run."""
    launch = facts()["stress_power"] - facts()["idle_power"]
    return launch - NOVEMBER_W if run == "stressberry" else launch


@cache
def described() -> Thermal:
    """Return how `raspberry-pi-4-bare` cools."""
    thermal = load_hardware("raspberry-pi-4-bare").thermal
    assert thermal is not None
    return thermal


@cache
def network() -> ThermalNetwork:
    """Return its network."""
    return ThermalNetwork.of_part(described())


def warmed(net: ThermalNetwork, power_w: float, seconds: Sequence[float]) -> Reals:
    """Return the rise of a cold die, in kelvins, after each of these times under `power_w`."""
    cold = [0.0] * len(net.resistances)
    return np.array([after(net, cold, power_w, each).rises[0] for each in seconds])


def predicted_load(run: str) -> Reals:
    """Return the temperatures of a run under load; it begins at the idle one that was measured."""
    (idle,) = course(run, "idle").degc
    return idle + warmed(network(), step_w(run), course(run, "load").s)


def predicted_cooling() -> Reals:
    """Return the temperatures of `stressberry` after its load, by superposition of two steps."""
    (idle,) = course("stressberry", "idle").degc
    seconds = np.array(course("stressberry", "cooling").s)
    power = step_w("stressberry")
    on = warmed(network(), power, list(seconds + LOADED_S))
    return idle + on - warmed(network(), power, list(seconds))


def rms(predicted: Reals, measured: Course) -> float:
    """Return the root of the mean square of the misses, in kelvins, each sample alike."""
    misses = (predicted - np.array(measured.degc)) ** 2
    return float(np.sqrt(np.average(misses, weights=measured.samples)))


def seconds_to(degc: float, idle_degc: float, step_power_w: float) -> float:
    """Return after how long a die that was idle reaches a temperature; infinite if it never does.

    Throttling is left out: it starts there.
    """
    seconds = np.arange(1.0, 1200.0)
    reached = idle_degc + warmed(network(), step_power_w, list(seconds)) >= degc
    return float(seconds[np.argmax(reached)]) if reached.any() else float("inf")


def idle_degc(power_w: float, ambient_degc: float) -> float:
    """Return where the die rests under a constant power."""
    return ambient_degc + steady_rises(network(), power_w)[0]


def fitted() -> tuple[Reals, Reals]:
    """Return resistances in K/W and capacities in J/K that fit the two rows best."""
    from scipy.optimize import least_squares

    whole = facts()["package_idle_rise"] / facts()["idle_power"]
    (idle,) = course("stressberry", "idle").degc
    load = course("stressberry", "load")
    weights = np.sqrt(load.samples)

    def stages(logs: Reals) -> tuple[Reals, Reals]:
        first, second, *capacities = np.exp(logs)
        return np.array([first, second, whole - first - second]), np.array(capacities)

    def misses(logs: Reals) -> Reals:
        rise = warmed(ThermalNetwork.of(*stages(logs)), step_w("stressberry"), load.s)
        return weights * (idle + rise - np.array(load.degc))

    start = np.log([2.0, 3.0, 2.0, 10.0, 100.0])
    return stages(least_squares(misses, start, x_scale=0.3).x)
