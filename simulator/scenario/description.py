"""A scenario as people write it: devices, links, programs, what passes between them, rounds."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from simulator.files.forms import Form
from simulator.hardware.link import Link
from simulator.units import Attojoules, MacsPerSecond, Microwatts, Picoseconds

Setting = str | int | float | bool
ByteSpec = str
"""Bytes such as "32 B", or a word: `leaves`, `enters`, `inputs` or `weights` of the program."""


class DeviceEntry(Form):
    """`count` equal devices: a SoC, or a machine that is known by a constant rate alone.

    A SoC is a file or a name of `hwconfigs`, with settings. It is shared `by` its units, op by op,
    or `by` jobs, of which one runs at a time; its joules are those within a `boundary`. A constant
    rate costs `power` while it works, and `idle` all the time.
    """

    hardware: str | None = None
    set: dict[str, Setting] = Field(default_factory=dict)
    count: PositiveInt = 1
    shared: Literal["by op", "by job"] = "by op"
    boundary: Literal["array", "chip", "chip+dram", "board"] = "chip+dram"
    rate: MacsPerSecond | None = Field(default=None, gt=0)
    power: Microwatts = Field(default=0, ge=0)
    idle: Microwatts = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        own = self.model_fields_set & {"rate", "power", "idle"}
        if self.hardware and own:
            raise ValueError(f"{sorted(own)[0]}: a SoC has its own: leave it out")
        of_soc = self.model_fields_set & {"set", "shared", "boundary"}
        if of_soc and not self.hardware:
            raise ValueError(f"{sorted(of_soc)[0]}: it is of a SoC: name its hardware")
        return self


class LinkEntry(Link):
    """A link, and the device behind it.

    Devices of the `hub` are not on the network themselves, such as a server behind an access point
    or a cell's tower: they send and receive any number of messages at once, and have no radio.
    """

    hub: str | None = None


class ProgramSource(Form):
    """What a job does: steps of a trace, or of a part of it, or so much time, energy and MACs.

    The trace is a file, one that ships, or a model at batch 1 by its name: resnet18, or "resnet18
    eval" for inference. It is trained by a `method`, a file or a name of `workloads/methods`,
    instead of its own.
    `job` is how much of the trace one job runs. `setup` precedes each job, such as the reload of a
    model.
    """

    trace: str | None = None
    part: str | None = None
    method: str | None = None
    job: Literal["step", "epoch", "run"] = "step"
    setup: Picoseconds = Field(default=0, ge=0)
    time: Picoseconds | None = Field(default=None, ge=0)
    energy: Attojoules = Field(default=0, ge=0)
    macs: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.trace and self.time is not None:
            raise ValueError("time: the trace decides what a job takes: leave one of them out")
        if self.part and not self.trace:
            raise ValueError("part: name the trace that it is of")
        if self.method and not self.trace:
            raise ValueError("method: name the trace that it trains")
        if not self.trace and self.time is None and self.macs is None:
            raise ValueError("trace: missing; name a trace, or a time such as '5 ms', or macs")
        return self


class NextEntry(Form):
    """Where the result of a job goes: to a program, over a link, in so many bytes.

    Of the jobs only a `share` goes there, such as 0.4 or "40 %"; those of one list are
    alternatives. Without it all do.
    """

    to: str
    share: str | float | int | None = None
    over: str | None = None
    bytes: ByteSpec = "leaves"


class ProgramEntry(ProgramSource):
    """A program: which device runs it, when its jobs come, and where their results go.

    `arrive` is "30 fps", "poisson 30 fps", "every 2 s", "always" (each when the one before has
    ended, `window` at a time), or a CSV file of times; without it only others lead here. `jobs` is
    how many come, on `each` device or on all together. A `deadline` counts from the arrival of what
    led here. With a `backlog`, what would wait behind so many is dropped. With `join`, a job waits
    for all programs that lead here.
    """

    on: str
    arrive: str | None = None
    jobs: int | None = Field(default=None, ge=0)
    start: Picoseconds = Field(default=0, ge=0)
    window: PositiveInt = 1
    each: bool = False
    priority: int = 0
    deadline: Picoseconds | None = Field(default=None, gt=0)
    backlog: int | None = Field(default=None, ge=0)
    join: bool = False
    then: list[NextEntry] = Field(default_factory=list)


class RoundsEntry(Form):
    """Rounds of federated or data-parallel training: a server, and the devices of `clients`.

    In each round the server sends `download` to every client that takes part, each runs `train`
    and sends `upload`, and when a share `wait` of them has answered the server runs `average`.
    Each round a share `dropout` of the clients takes no part. Client i takes `slow[i]` times as
    long.
    """

    server: str
    clients: str
    train: ProgramSource
    average: ProgramSource = Field(default_factory=lambda: ProgramSource(time="0 s"))  # type: ignore[arg-type]
    over: str | None = None
    download: ByteSpec = "weights"
    upload: ByteSpec = "weights"
    rounds: PositiveInt = 1
    wait: str | float | int = "100 %"
    dropout: str | float | int = 0
    slow: dict[int, str | float | int] = Field(default_factory=dict)


class Scenario(Form):
    """Devices, links, programs and rounds by name.

    Arrivals end after the time `until`; without it each source needs a number of jobs, or is in the
    background of others. `seed` decides whatever is random.
    """

    name: str = "scenario"
    description: str = ""
    devices: dict[str, DeviceEntry]
    links: dict[str, LinkEntry] = Field(default_factory=dict)
    programs: dict[str, ProgramEntry] = Field(default_factory=dict)
    rounds: dict[str, RoundsEntry] = Field(default_factory=dict)
    until: Picoseconds | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**32)
