"""What a SoC is made of, and the process node that it is built in."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, PrivateAttr

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.constant import Constant
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.part import Part, value_at
from simulator.hardware.runtime import Runtime
from simulator.units import Microwatts, Nanometres, Permille


class Technology(Part):
    """Process node and cell type that the energy tables are read at."""

    node: Nanometres = Field(ge=7, le=65)
    sram_cell: Literal["itrs-hp", "itrs-lop", "itrs-lstp"] = "itrs-lop"
    scaling: Literal["anchored", "stillmaker"] = Field(
        default="anchored",
        description="between nodes: by published figures at 45 and 7 nm, or by the equations of "
        "Stillmaker and Baas from 45 nm, which leave 3.7 times less at 7 nm",
    )
    dram_typical: Permille = Field(gt=0, le=1000, default=1000, description="silicon / datasheet")
    board_power: Microwatts | None = Field(
        gt=0, default=None, description="measured, of the whole board: x time is another account"
    )


class Hardware(Part):  # noqa: PLW1641 - pydantic hashes the fields of what is frozen
    """One system-on-chip. Without an accelerator every operation stays on the CPU.

    Beside its values it knows how sure they are, which changes neither `digest` nor equality.
    """

    name: str
    description: str = ""
    cpu: Cpu
    accelerator: Accelerator | None = None
    interconnect: Interconnect
    dram: Dram
    runtime: Runtime
    technology: Technology
    _constants: tuple[Constant, ...] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        """Whether all values are equal, however sure they are."""
        return isinstance(other, Hardware) and all(
            getattr(self, name) == getattr(other, name) for name in type(self).model_fields
        )

    @property
    def constants(self) -> tuple[Constant, ...]:
        """What the description says of its numbers; of one that was changed since, nothing."""
        return tuple(known for known in self._constants if self._has(known))

    def with_constants(self, constants: Iterable[Constant]) -> "Hardware":
        """Return this SoC with other knowledge of its numbers."""
        copy = self.model_copy()
        copy._constants = tuple(constants)
        return copy

    def _has(self, constant: Constant) -> bool:
        return bool(value_at(self, constant.path) == constant.value)
