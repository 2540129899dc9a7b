"""The parts of a SoC and their parameters."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from simulator.hardware.dram import DramDevice
from simulator.hardware.part import Part
from simulator.units import (
    Attojoules,
    Bytes,
    BytesPerSecond,
    Cycles,
    Hertz,
    Microwatts,
    Nanometres,
    Permille,
    Picoseconds,
)

_FASTEST = 10**12  # Hz; more is a slip of the keyboard
Precision = Literal["int2", "int4", "int8", "int16", "fp16", "bf16", "fp32"]
PRECISION_BITS: dict[str, int] = {
    "int2": 2, "int4": 4, "int8": 8, "int16": 16, "int32": 32, "fp16": 16, "bf16": 16, "fp32": 32,
}  # fmt: skip


class Cpu(Part):
    """A cluster of equal cores running eager PyTorch, one operation at a time on all cores."""

    cores: PositiveInt
    clock: Hertz = Field(gt=0, le=_FASTEST)
    simd: Bytes = Field(gt=0, description="width of one vector register")
    simd_pipes: PositiveInt = Field(description="vector operations issued per cycle and core")
    gemm_efficiency: Permille = Field(gt=0, le=1000, description="of peak FMA rate in a GEMM")
    bandwidth_per_core: BytesPerSecond = Field(gt=0, description="limited by misses in flight")
    op_overhead: Cycles = Field(ge=0, description="dispatch of one eager operation, on one core")
    view_overhead: Cycles = Field(ge=0, description="dispatch of one view, on one core")
    energy_per_cycle: Attojoules = Field(ge=0, description="one active core, one cycle")
    static_power: Microwatts = Field(ge=0, description="leakage of all cores and caches")


class Accelerator(Part):
    """A systolic (or broadcast) array with scratchpads and a DMA engine."""

    rows: int = Field(gt=0, le=65536)
    cols: int = Field(gt=0, le=65536)
    clock: Hertz = Field(gt=0, le=_FASTEST)
    dataflow: Literal["ws", "os", "is"] = "ws"
    structure: Literal["systolic", "broadcast"] = "systolic"
    overlap: Literal["none", "preload", "full"] = "preload"
    precision: Precision = "int8"
    scratchpad: Bytes = Field(gt=0, description="operand memory, both halves of the double buffer")
    accumulator: Bytes = Field(gt=0, description="partial sums and outputs, both halves")
    dma_bandwidth: BytesPerSecond = Field(gt=0, description="peak of the DMA's memory port")
    im2col: Literal["hardware", "software"] = "hardware"
    dgrad: Literal["col2im", "direct"] = "direct"
    transposer: bool = True
    on_unsupported_precision: Literal["quantise", "cpu", "multipass", "error"] = "quantise"
    launch_latency: Picoseconds = Field(ge=0, default=0, description="command to first transfer")

    @property
    def accumulator_precision(self) -> str:
        """Products of integers are summed in int32, of floats in fp32."""
        return "int32" if self.precision.startswith("int") else "fp32"


class Interconnect(Part):
    """The bus between masters and memory: each port moves `width` bytes per `clock` cycle."""

    width: Bytes = Field(gt=0)
    clock: Hertz = Field(gt=0, le=_FASTEST)

    @property
    def bytes_per_s(self) -> int:
        """Peak rate of one port."""
        return self.width * self.clock


class Dram(Part):
    """The shared memory. `bandwidth` is read for the preset `ideal` alone."""

    preset: str
    capacity: Bytes = Field(gt=0)
    bandwidth: BytesPerSecond = Field(gt=0, default=12_800_000_000)
    device: DramDevice | None = None

    @model_validator(mode="after")
    def _bandwidth_is_the_devices(self) -> "Dram":
        if self.device is not None and "bandwidth" in self.model_fields_set:
            raise ValueError("bandwidth is that of the preset; only preset ideal takes another")
        return self

    def plain(self) -> dict[str, Any]:
        """Return the resolved values: the peak rate is the device's where there is one."""
        return super().plain() | {"bandwidth_bytes_per_s": self.peak_bytes_per_s}

    def as_text(self) -> dict[str, Any]:
        """Return the description as in a YAML file, where the preset names the device."""
        told = {"device"} | ({"bandwidth"} if self.device else set())
        return {key: value for key, value in super().as_text().items() if key not in told}

    @property
    def peak_bytes_per_s(self) -> int:
        """Peak rate in bytes per second."""
        return self.device.peak_bytes_per_s if self.device else self.bandwidth


class Runtime(Part):
    """How work is issued, and what handing a GEMM to the accelerator costs the CPU."""

    issue: Literal["synchronous", "in_order", "dataflow"] = "in_order"
    launch: Picoseconds = Field(ge=0, description="driver time of one offload, on the CPU")
    synchronise: Picoseconds = Field(ge=0, description="CPU time to notice a completion it awaits")
    first_call: Picoseconds = Field(ge=0, default=0, description="engine build, once per kernel")
    offload_min_macs: NonNegativeInt = Field(default=0, description="smaller GEMMs stay on the CPU")


class Technology(Part):
    """Process node and cell type that the energy tables are read at."""

    node: Nanometres = Field(ge=7, le=65)
    sram_cell: Literal["itrs-hp", "itrs-lop", "itrs-lstp"] = "itrs-lop"
    dram_typical: Permille = Field(gt=0, le=1000, default=1000, description="silicon / datasheet")


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
