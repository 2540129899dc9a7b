"""What the DRAM is: ideal, or a device with organisation, JEDEC timing, energy per command."""

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from simulator.hardware.part import Part
from simulator.units import Attojoules, Bytes, BytesPerSecond, Femtoseconds, Microwatts


class DramTiming(Part):
    """Timing constraints in DRAM clock cycles, under their JEDEC names.

    `CL` includes tDQSCK where a standard has one; `burst` is the data-bus time of one granule.
    """

    burst: PositiveInt
    CL: PositiveInt
    CWL: PositiveInt
    tRCD: PositiveInt
    tRP: PositiveInt
    tRAS: PositiveInt
    tRFC: PositiveInt
    tREFI: PositiveInt
    tRRD_S: PositiveInt
    tRRD_L: PositiveInt
    tFAW: PositiveInt
    tWTR_S: PositiveInt
    tWTR_L: PositiveInt
    tWR: PositiveInt
    tRTP: PositiveInt
    tCCD_S: PositiveInt
    tCCD_L: PositiveInt
    tRTRS: PositiveInt
    tPPD: PositiveInt = 1


class DramEnergy(Part):
    """Energy of one channel's commands; `read` and `write` are per granule, `io_*` per bit."""

    activate: Attojoules = Field(ge=0)
    read: Attojoules = Field(ge=0)
    write: Attojoules = Field(ge=0)
    refresh: Attojoules = Field(ge=0)
    io_read: Attojoules = Field(ge=0)
    io_write: Attojoules = Field(ge=0)
    standby: Microwatts = Field(ge=0)


class DramDevice(Part):
    """One memory system: `channels` independent channels of `bus` bytes; sizes are per channel."""

    protocol: Literal["DDR4", "LPDDR4", "LPDDR5", "HBM2", "HBM3"]
    period: Femtoseconds = Field(gt=0)
    channels: PositiveInt
    bus: Bytes = Field(gt=0)
    granule: Bytes = Field(gt=0)
    row: Bytes = Field(gt=0)
    bank_groups: PositiveInt
    banks_per_group: PositiveInt
    mapping: str
    refresh: Literal["all_bank", "per_bank"] = "all_bank"
    timing: DramTiming
    energy: DramEnergy

    @property
    def banks(self) -> int:
        """Banks of one channel."""
        return self.bank_groups * self.banks_per_group

    @property
    def peak_bytes_per_s(self) -> int:
        """Peak rate of all channels, in bytes per second."""
        burst_fs = self.timing.burst * self.period
        return self.channels * self.granule * 10**15 // burst_fs


class Dram(Part):
    """The shared memory. `bandwidth` is read for the preset `ideal` alone.

    An ideal memory has no rows and, unless told otherwise, more bandwidth than any master uses.
    """

    preset: str
    capacity: Bytes = Field(gt=0)
    bandwidth: BytesPerSecond = Field(gt=0, default=100 * 10**12)
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
