"""Units beside the CPU and its accelerator: a description of some kind, a port, a driver."""

import re
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import Field, PositiveInt, model_validator

from simulator import extensions
from simulator.errors import InputError, join_names, shown
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dsp import VectorMachine
from simulator.hardware.kernel_file import read_kernels
from simulator.hardware.measured import KernelTimes
from simulator.hardware.part import Part
from simulator.hardware.runtime import Driver
from simulator.units import Bytes

HOST = "cpu"
"""The unit that runs the framework and the drivers."""

ACCELERATOR = "accelerator"
"""The unit that `accelerator:` describes."""

RESERVED = frozenset(
    [
        "cpu",
        "accelerator",
        "array",
        "scratchpad",
        "vector",
        "interconnect",
        "controller",
        "dram",
        "serial",
        "board",
        "regulators",
        "low",
        "high",
        "total",
    ]
)
"""Names that columns of results have: energy_dram_j, energy_low_j, cpu_busy_s."""

PARTS = frozenset(
    [
        "training",
        "forward",
        "dgrad",
        "wgrad",
        "optimizer",
        "loss",
        "data",
        "zero_grad",
        "recompute",
        "eval",
        "prefill",
        "decode",
        "other",
    ]
)
"""Parts of a run, with which columns of results begin: eval_cpu_busy_s."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_name(name: str) -> None:
    """Raise ValueError, with the fix, unless a further unit can have this name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"units: {shown(name)} is no name for a unit: use a to z, 0 to 9 and _")
    part = next((part for part in sorted(PARTS) if f"{name}_".startswith(f"{part}_")), None)
    if name in RESERVED or part:
        raise ValueError(f"units.{name}: {part or name} is a word of results: rename the unit")


GROUP = "trainsoc.units"
"""The group of entry points under which packages add kinds of unit, as backends."""


class Port(Part):
    """A unit's way to the memory."""

    width: Bytes | None = Field(gt=0, default=None, description="else that of the interconnect")
    weight: PositiveInt = Field(default=1, description="turns, with weighted arbitration")
    outstanding: PositiveInt | None = Field(default=None, description="requests in flight")


def _free_driver() -> Driver:
    return Driver.model_validate({"launch": "0 us", "synchronise": "0 us"})


class BoardUnit(Part):
    """Base of the descriptions under `units:`, one subclass per kind."""

    kind: str
    port: Port = Field(default_factory=Port)
    driver: Driver = Field(default_factory=_free_driver)

    @classmethod
    def with_files(cls, values: dict[str, Any], _folder: Path, /) -> dict[str, Any]:
        """Return the `values` of a description that stands in a folder, with those in the files
        beside it that they name. Raises InputError for a file that cannot be read.
        """
        return values


class Array(Accelerator, BoardUnit):
    """A further array of GEMMs."""


class CpuCluster(Cpu, BoardUnit):
    """A further cluster of cores, such as the small ones beside the large. It takes what a rule or
    a search of placements gives it, as the host's driver launches it; dispatch stays with the host.
    """

    @model_validator(mode="after")
    def _cache_is_its_own(self) -> Self:
        if self.llc and self.llc.shared:
            raise ValueError("llc.shared: units share the cache of `cpu`: leave it out")
        return self


class MeasuredUnit(KernelTimes, BoardUnit):
    """A unit that is known by a table of measured kernels, such as a GPU."""

    @classmethod
    def with_files(cls, values: dict[str, Any], folder: Path, /) -> dict[str, Any]:
        """Return `values` with the rows of the CSV file that `kernels` names, if it names one."""
        name = values.get("kernels")
        rows = {"kernels": read_kernels(folder / name)} if isinstance(name, str) else {}
        return values | rows


class Dsp(VectorMachine, BoardUnit):
    """A DSP with vector extensions. It takes products and ops whose numbers are integers that it
    knows; all others stay with the host, and `driver.switch` is paid where work changes sides.
    """


_KINDS: dict[str, type[BoardUnit]] = {
    "array": Array,
    "cpu": CpuCluster,
    "dsp": Dsp,
    "measured": MeasuredUnit,
}


def kinds() -> list[str]:
    """Return all kinds of units, built in or of installed packages."""
    return sorted((*_KINDS, *extensions.names(GROUP)))


def description_of(kind: str) -> type[BoardUnit]:
    """Return the description of units of a kind, built in or of an installed package.

    Raises InputError for a kind that nobody has.
    """
    if kind in _KINDS:
        return _KINDS[kind]
    backend = extensions.load(GROUP, kind)
    if backend is None:
        raise InputError(f"kind: no kind of unit {shown(kind)}; known: {join_names(kinds())}")
    description: type[BoardUnit] = backend.description
    return description


class MemoryPort(NamedTuple):
    """What the interconnect knows of a unit: peak rate, turns, whether it goes first, requests in
    flight (None: a read queue).
    """

    bytes_per_s: int
    weight: int = 1
    first: bool = False
    outstanding: int | None = None
