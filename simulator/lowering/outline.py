"""What lowering knows of hardware: all that decides which tasks there are, and in which order."""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator, ArrayInterface
from simulator.hardware.cpu import Cpu
from simulator.hardware.part import Part
from simulator.hardware.runtime import Driver, Runtime
from simulator.hardware.soc import Hardware
from simulator.hardware.unit import HOST, BoardUnit


class UnitOutline(NamedTuple):
    """A unit beside the host: its kind, its driver, and of an array its interface alone.

    A unit of another kind shows lowering its whole description.
    """

    kind: str
    interface: ArrayInterface | Part
    driver: Driver


class Outline(NamedTuple):
    """The part of a SoC that lowering reads. Machines of equal outlines share lowered steps."""

    cpu: Cpu
    runtime: Runtime
    units: Mapping[str, UnitOutline]

    @property
    def key(self) -> Hashable:
        """What tells it apart: digests and values, since measured CPUs have no hash."""
        units = tuple(
            (name, unit.kind, _key(unit.interface), unit.driver)
            for name, unit in self.units.items()
        )
        return self.cpu.digest, self.runtime, units


def outline_of(hardware: Hardware) -> Outline:
    """Return the outline of `hardware`."""
    drivers = hardware.drivers
    units = {
        name: UnitOutline(_kind(unit), _interface(unit), drivers[name])
        for name, unit in hardware.units.items()
        if name != HOST
    }
    return Outline(hardware.cpu, hardware.runtime, units)


def _kind(unit: Part) -> str:
    return unit.kind if isinstance(unit, BoardUnit) else "array"


def _interface(unit: Part) -> ArrayInterface | Part:
    return unit.interface if isinstance(unit, Accelerator) else unit


def _key(interface: ArrayInterface | Part) -> Hashable:
    return interface.digest if isinstance(interface, Part) else interface
