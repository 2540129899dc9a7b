"""What a DRAM device is: organisation, JEDEC timing in its own clock, energy per command."""

from typing import Literal

from pydantic import Field, PositiveInt

from simulator.hardware.part import Part
from simulator.units import Attojoules, Bytes, Femtoseconds, Microwatts


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
