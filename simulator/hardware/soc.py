"""What a SoC is made of, and the process node that it is built in."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, SerializeAsAny, model_validator

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.constant import Constant
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram
from simulator.hardware.fpga import Fpga
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.part import Part, canonical_json, quantity_at, value_at
from simulator.hardware.runtime import Driver, Runtime
from simulator.hardware.thermal import Battery, Thermal
from simulator.hardware.unit import ACCELERATOR, HOST, BoardUnit, MemoryPort, check_name
from simulator.html import html_table
from simulator.units import BitsPerSecond, Microwatts, Nanometres, Permille


class Technology(Part):
    """Process node and cell type that the energy tables are read at."""

    node: Nanometres = Field(ge=7, le=65)
    sram_cell: Literal["itrs-hp", "itrs-lop", "itrs-lstp"] = "itrs-lop"
    scaling: Literal["anchored", "stillmaker"] = Field(
        default="anchored",
        description="between nodes: by published figures at 45 and 7 nm, or by the equations of "
        "Stillmaker and Baas from 45 nm, which leave 3.7 times less at 7 nm",
    )
    dram_typical: Permille | None = Field(
        gt=0,
        le=1000,
        default=None,
        description="silicon / datasheet for every current of the memory; else each as measured",
    )
    board_static: Microwatts = Field(
        ge=0, default=0, description="what the board draws beside chip and memory, always"
    )
    serial: BitsPerSecond | None = Field(
        gt=0, default=None, description="rate of all serial links of the chip, both ways, always on"
    )
    board_power: Microwatts | None = Field(
        gt=0, default=None, description="measured, of the whole board: x time is another account"
    )
    fpga: Fpga | None = Field(default=None, description="that the arrays are made in")


def joined(texts: Mapping[str, str]) -> str:
    """Return entries that are JSON already as a JSON object, keys sorted."""
    return "{" + ",".join([f'"{key}":{texts[key]}' for key in sorted(texts)]) + "}"


class Hardware(Part):
    """One system-on-chip: a board of named units that share a memory.

    `cpu` and `accelerator` are units of these names; `units:` adds others, of any kind. Without any
    of them every operation stays on the CPU. Beside its values it knows how sure they are, which
    changes neither `digest` nor equality.
    """

    name: str
    description: str = ""
    cpu: Cpu
    accelerator: Accelerator | None = None
    interconnect: Interconnect
    dram: Dram
    runtime: Runtime
    technology: Technology
    thermal: Thermal | None = Field(default=None, description="else temperature has no effect")
    battery: Battery | None = Field(default=None, description="else the supply has no end")
    further: dict[str, SerializeAsAny[BoardUnit]] | None = Field(default=None, alias="units")
    _constants: tuple[Constant, ...] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        """Whether all values are equal, however sure they are."""
        return isinstance(other, Hardware) and all(
            getattr(self, name) == getattr(other, name) for name in type(self).model_fields
        )

    __hash__ = Part.__hash__  # a class with an __eq__ of its own has none else

    def __repr__(self) -> str:
        """Return the name and what the board is made of on one line."""
        return f"Hardware({self._headline})"

    def __str__(self) -> str:
        """Return the same: pydantic would print every number."""
        return repr(self)

    def _repr_html_(self) -> str:
        rows = [(name, part.summary) for name, part in self.units.items()]
        rows += [("dram", self.dram.summary)]
        return html_table(self._headline, (), rows)

    @property
    def _headline(self) -> str:
        units = ", ".join(f"{name} {part.summary}" for name, part in self.units.items())
        return f"{self.name}: {units}, {self.dram.summary}"

    def having(self, settings: Mapping[str, Any] | None = None, /, **short: Any) -> "Hardware":
        """Return this SoC with other values of some settings.

        `settings` are by dotted path, {"cpu.clock": "1.8 GHz"}; keywords by the last part of one,
        where no other setting ends so: `having(rows=32)`. Raises InputError with what is meant.
        """
        from simulator.hardware.load import load_hardware  # noqa: PLC0415 - which imports this
        from simulator.hardware.settings import settings_of  # noqa: PLC0415 - likewise

        return load_hardware(self, settings_of(self, dict(settings or {}) | short))

    @cached_property
    def canonical(self) -> str:
        """The view in plain numbers as JSON, made of those of its parts: machines share parts."""
        return joined(self.texts)

    @property
    def texts(self) -> dict[str, str]:
        """The entries of the view in plain numbers, each as JSON."""
        of_parts = {name: part.canonical for name, part in self if isinstance(part, Part)}
        others = self.model_copy(update=dict.fromkeys(of_parts)).plain()
        return {key: canonical_json(value) for key, value in others.items()} | of_parts

    @model_validator(mode="after")
    def _names_are_of_units(self) -> Self:
        for path, name in self._named_units():
            if name not in (HOST, ACCELERATOR, *(self.further or ())):
                raise ValueError(f"{path}: no unit {name!r}: describe it under units")
        for name in self.further or ():
            check_name(name)
        return self

    @model_validator(mode="after")
    def _converters_are_there(self) -> Self:
        for name, driver in self.drivers.items():
            part = self.units[name]
            vector = part.vector if isinstance(part, Accelerator) else None
            if driver.conversions == "vector" and vector is None:
                path = "runtime" if name == ACCELERATOR else f"units.{name}.driver"
                raise ValueError(
                    f"{path}.conversions: {name} has no vector unit: describe one under "
                    f"{name}.vector, or choose fused, eager or unit"
                )
        return self

    def _named_units(self) -> Iterable[tuple[str, str]]:
        yield "interconnect.first", self.interconnect.first
        for index, rule in enumerate(self.runtime.rules):
            yield f"runtime.rules.{index}.unit", rule.unit
        for index, split in enumerate(self.runtime.split or ()):
            for number, part in enumerate(split.parts):
                yield f"runtime.split.{index}.parts.{number}.unit", part.unit

    @property
    def units(self) -> Mapping[str, Part]:
        """The description of every unit by name, the host first."""
        array = {ACCELERATOR: self.accelerator} if self.accelerator else {}
        return {HOST: self.cpu} | array | (self.further or {})

    @property
    def ports(self) -> Mapping[str, MemoryPort]:
        """Every unit's port to the memory, by name."""
        fabric = self.interconnect
        array = self.accelerator
        own = {
            HOST: MemoryPort(fabric.cpu_bytes_per_s, fabric.cpu_weight),
            ACCELERATOR: MemoryPort(
                fabric.accelerator_bytes_per_s,
                fabric.accelerator_weight,
                outstanding=array.dma.outstanding if array else None,
            ),
        }
        further = {
            name: MemoryPort(
                (unit.port.width or fabric.width) * fabric.clock,
                unit.port.weight,
                outstanding=unit.port.outstanding,
            )
            for name, unit in (self.further or {}).items()
        }
        ports = own | further
        return {name: ports[name]._replace(first=name == fabric.first) for name in self.units}

    @property
    def drivers(self) -> Mapping[str, Driver]:
        """The driver of every unit but the host, by name."""
        array: dict[str, Driver] = {ACCELERATOR: self.runtime} if self.accelerator else {}
        return array | {name: unit.driver for name, unit in (self.further or {}).items()}

    @property
    def constants(self) -> tuple[Constant, ...]:
        """What the description says of its numbers; of one that was changed since, nothing."""
        return tuple(each for each in self._constants if self._has(each))

    def with_constants(self, constants: Iterable[Constant]) -> "Hardware":
        """Return this SoC with other knowledge of its numbers."""
        copy = self.model_copy()
        copy._constants = tuple(
            [each if each.unit is not None else self._with_unit(each) for each in constants]
        )
        return copy

    def _with_unit(self, constant: Constant) -> Constant:
        quantity = quantity_at(self, constant.path)
        return replace(constant, unit=quantity.unit if quantity else "")

    def _has(self, constant: Constant) -> bool:
        return bool(value_at(self, constant.path) == constant.value)
