"""What a SoC is made of, and the process node that it is built in."""

from typing import Literal

from pydantic import Field

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.part import Part
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


class Hardware(Part):
    """One system-on-chip. Without an accelerator every operation stays on the CPU."""

    name: str
    description: str = ""
    cpu: Cpu
    accelerator: Accelerator | None = None
    interconnect: Interconnect
    dram: Dram
    runtime: Runtime
    technology: Technology
