"""The shared DRAM: ideal, or a device with organisation, JEDEC timing and energy per command."""

from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from simulator.errors import shown
from simulator.hardware.dram_standards import STANDARDS, RefreshMode, Standard
from simulator.hardware.part import Part
from simulator.units import (
    SIZE,
    Attojoules,
    Bytes,
    BytesPerSecond,
    Femtoseconds,
    Microwatts,
    Picoseconds,
)


class DramTiming(Part):
    """Timing constraints in DRAM clock cycles, under their JEDEC names.

    `CL` includes tDQSCK where a standard has one; `burst` is the data-bus time of one granule.
    Names that not every standard has are optional; the table of the standard says which it reads.
    """

    burst: PositiveInt
    CL: PositiveInt
    CWL: PositiveInt
    tRCD: PositiveInt | None = None
    tRCDRD: PositiveInt | None = None
    tRCDWR: PositiveInt | None = None
    tRP: PositiveInt
    tRAS: PositiveInt
    tRFC: PositiveInt
    tREFI: PositiveInt
    tREFSBRD: PositiveInt | None = None
    tRRD_S: PositiveInt
    tRRD_L: PositiveInt
    tFAW: PositiveInt
    tWTR_S: PositiveInt
    tWTR_L: PositiveInt
    tWR: PositiveInt
    tRTP: PositiveInt
    tCCD_S: PositiveInt
    tCCD_L: PositiveInt
    tCCD_L_WR: PositiveInt | None = None
    tRTRS: PositiveInt
    tPPD: PositiveInt = 1


class DramEnergy(Part):
    """Energy of one channel's commands; `read` and `write` are per granule, `io_*` per bit.

    `standby` is drawn with a row open and the clock on, `power_down` with the clock off, beside
    refresh; `self_refresh` is all that the memory draws when it refreshes itself. `figures` are the
    most that a datasheet allows, of which silicon takes a part, or what silicon takes.
    """

    figures: Literal["datasheet", "typical"] = "datasheet"

    activate: Attojoules = Field(ge=0)
    read: Attojoules = Field(ge=0)
    write: Attojoules = Field(ge=0)
    refresh: Attojoules = Field(ge=0)
    io_read: Attojoules = Field(ge=0)
    io_write: Attojoules = Field(ge=0)
    standby: Microwatts = Field(ge=0)
    power_down: Microwatts | None = Field(ge=0, default=None, description="else as standby")
    self_refresh: Microwatts | None = Field(ge=0, default=None, description="else as power_down")


class IdlePolicy(Part):
    """When a controller puts an idle memory to sleep; waking is not charged to time.

    The defaults are those of RK3399 Chromebooks (rk3399-gru: pd_idle of 160 ns, sr_idle of 10.24
    us; recalled). A run knows when tasks use the memory, not the misses of the code that issues
    them: in long dispatches a real memory sleeps less.
    """

    power_down: Picoseconds | None = Field(
        ge=0, default=160_000, description="after so long without a request; else never"
    )
    self_refresh: Picoseconds | None = Field(
        ge=0, default=10_240_000, description="likewise, later"
    )

    @model_validator(mode="after")
    def _sleep_deepens(self) -> "IdlePolicy":
        first, second = self.power_down, self.self_refresh
        if second is not None and (first is None or second < first):
            raise ValueError("self_refresh comes after power_down: give power_down a shorter time")
        return self


class DramDevice(Part):
    """One memory system: `channels` independent channels of `bus` bytes; sizes are per channel.

    `protocol` names its table in `STANDARDS`. With `refresh` "all_bank" a refresh command takes
    all banks, with "per_bank" one, with "same_bank" one of every bank group; tRFC and tREFI are
    those of this command.
    """

    protocol: str
    period: Femtoseconds = Field(gt=0)
    channels: PositiveInt
    bus: Bytes = Field(gt=0)
    granule: Bytes = Field(gt=0)
    row: Bytes = Field(gt=0)
    bank_groups: PositiveInt
    banks_per_group: PositiveInt
    mapping: str
    refresh: RefreshMode = "all_bank"
    timing: DramTiming
    energy: DramEnergy

    @field_validator("protocol")
    @classmethod
    def _standard_is_known(cls, name: str) -> str:
        if name not in STANDARDS:
            raise ValueError(f"no DRAM standard {shown(name)}; known: {', '.join(STANDARDS)}")
        return name

    @model_validator(mode="after")
    def _timing_is_that_of_the_standard(self) -> "DramDevice":
        modes = STANDARDS[self.protocol].refresh
        if self.refresh not in modes:
            raise ValueError(f"{self.protocol} has no {self.refresh} refresh: {' or '.join(modes)}")
        names = {name for name, value in self.timing if value is not None}
        needs = self.standard.timings(self.refresh)
        if missing := sorted(needs - names):
            raise ValueError(f"timing: {self.protocol} needs {', '.join(missing)}: add it")
        if unread := sorted(names - needs):
            raise ValueError(f"timing: {self.protocol} has no {', '.join(unread)}: remove it")
        return self

    @model_validator(mode="after")
    def _granule_is_one_burst(self) -> "DramDevice":
        burst = self.bus * self.standard.beats * self.timing.burst
        if self.granule != burst:
            raise ValueError(
                f"granule must be {burst} B: bus x timing.burst x {self.standard.beats} beats"
            )
        return self

    @property
    def standard(self) -> Standard:
        """The table of its standard."""
        return STANDARDS[self.protocol]

    @property
    def banks(self) -> int:
        """Banks of one channel."""
        return self.bank_groups * self.banks_per_group

    @property
    def refresh_sets(self) -> tuple[range, ...]:
        """The banks of each refresh command, in turn until every bank is refreshed once."""
        if self.refresh == "per_bank":
            return tuple(range(bank, bank + 1) for bank in range(self.banks))
        if self.refresh == "same_bank":
            step = self.banks_per_group
            return tuple(range(bank, self.banks, step) for bank in range(step))
        return (range(self.banks),)

    @property
    def peak_bytes_per_s(self) -> int:
        """Peak rate of all channels, in bytes per second."""
        burst_fs = self.timing.burst * self.period
        return self.channels * self.granule * 10**15 // burst_fs


class Dram(Part):
    """The shared memory. `bandwidth` applies to the preset `ideal` only.

    An ideal memory has no rows and, by default, more bandwidth than any master uses.
    """

    preset: str
    capacity: Bytes = Field(gt=0)
    bandwidth: BytesPerSecond = Field(gt=0, default=100 * 10**12)
    device: DramDevice | None = None
    idle: IdlePolicy = Field(default_factory=IdlePolicy)

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
        implied = {"device"} | ({"bandwidth"} if self.device else set())
        return {key: value for key, value in super().as_text().items() if key not in implied}

    @property
    def summary(self) -> str:
        """Preset and capacity."""
        return f"{self.preset} {SIZE.text(self.capacity)}"

    @property
    def peak_bytes_per_s(self) -> int:
        """Peak rate in bytes per second."""
        return self.device.peak_bytes_per_s if self.device else self.bandwidth
