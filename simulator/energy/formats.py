"""How fast an array's element can be clocked in its number format, by node and pipeline stages.

The delay of a multiply-accumulate is counted in FO4, that of an inverter that drives four of its
size; stages share it, and each adds a register. So an fp32 array at an int8 array's clock needs
more stages, which `accelerator.pipeline_depth` charges to every pass.
"""

from collections.abc import Iterator

from simulator.energy import tables
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.settings import UNITS
from simulator.hardware.soc import Hardware
from simulator.hardware.unit import ACCELERATOR
from simulator.memo import remember
from simulator.si import si

PS_PER_NM = 1.0
"""A guess, 0.6 to 1.5: 0.36 to 0.5 ps per nm of node (Ho, Mai and Horowitz, Proc. IEEE 89, 2001,
recalled), twice for the slow corner, low-power cells and margins of synthesis."""
_REGISTER_FO4 = 3  # guess: setup and clock to output
_MX_LIKE = {"mx4": "int4", "mx6": "int8", "mx9": "int8", "mxfp4": "fp8_e5m2",
            "mxfp6": "fp8_e4m3", "mxfp8": "fp8_e4m3"}  # fmt: skip


@remember("delays of formats", most=64)
def delay_fo4(precision: str) -> float:
    """Return the delay of a multiply-accumulate, a register included; of integers between rows that
    of the next wider one.
    """
    name = _MX_LIKE.get(precision) or tables.multiplies_like(precision)
    return float(next(r["fo4"] for r in tables.read_rows("formats") if r["precision"] == name))


def fastest_hz(precision: str, node_nm: int, stages: int = 1) -> int:
    """Return the clock that an element of so many pipeline stages reaches in a format."""
    logic = delay_fo4(precision) - _REGISTER_FO4
    period_ps = (logic / max(1, stages) + _REGISTER_FO4) * PS_PER_NM * node_nm
    return round(10**12 / period_ps)


def stages_for(precision: str, node_nm: int, clock_hz: int) -> int | None:
    """Return the fewest stages that reach a clock, None where no number of them does."""
    stages = (n for n in range(1, 33) if fastest_hz(precision, node_nm, n) >= clock_hz)
    return next(stages, None)


def format_notes(hardware: Hardware) -> Iterator[str]:
    """Yield a sentence for each array whose clock its widest format does not reach."""
    node = hardware.technology.node
    for name, part in hardware.units.items():
        if isinstance(part, Accelerator) and clock_ratio(part, node) > 1:
            yield _note(name, part, node)


def clock_ratio(part: Accelerator, node_nm: int) -> float:
    """Return the clock of an array over the fastest that its slowest format reaches."""
    slowest = max((part.precision, *part.precisions), key=delay_fo4)
    return part.clock / fastest_hz(slowest, node_nm, part.pipeline_depth)


def _setting(unit: str) -> str:
    return unit if unit == ACCELERATOR else f"{UNITS}{unit}"


def _note(name: str, part: Accelerator, node_nm: int) -> str:
    slowest = max((part.precision, *part.precisions), key=delay_fo4)
    reached = si(fastest_hz(slowest, node_nm, part.pipeline_depth), "Hz")
    needed = stages_for(slowest, node_nm, part.clock)
    fix = (
        f"set {_setting(name)}.pipeline_depth to {needed} cycles, or a slower clock"
        if needed
        else "clock it slower"
    )
    stages = max(1, part.pipeline_depth)
    return (
        f"{name}: an {slowest} element of {stages} stage{'s' * (stages > 1)} reaches about "
        f"{reached} at {node_nm} nm, below its clock of {si(part.clock, 'Hz')}: {fix}."
    )
