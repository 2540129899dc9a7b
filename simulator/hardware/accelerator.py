"""What an accelerator is: arrays, scratchpads, DMA engine, and how it maps GEMMs."""

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from simulator.hardware.dataflow import DataflowName
from simulator.hardware.operating import OperatingPoint, check_points, supply_ratio
from simulator.hardware.part import FASTEST_HZ, Part
from simulator.hardware.precision import PRECISION_BITS, Precision, accumulator_of
from simulator.hardware.shared_cache import Tlb
from simulator.hardware.sparsity import SkippedZeros
from simulator.hardware.vector import Vector, VectorInterface
from simulator.units import (
    FREQUENCY,
    Bytes,
    BytesPerSecond,
    Cycles,
    Hertz,
    Millivolts,
    Permille,
    Picoseconds,
)


class Dma(Part):
    """The engine that moves tiles between memory and scratchpads.

    `streams`: `shared` moves loads and stores in turn, `duplex` side by side, `operand` has a
    stream of its own for each operand too. Each stream passes `bandwidth` and splits a contiguous
    run into requests of at most `request` bytes, `outstanding` of which wait for their round trip
    of `latency` at a time; every run begins with `restart` cycles. With `lines` a request is for
    one row of the scratchpad at most, aligned, and takes a cycle per `beat` of a whole line;
    every line that it touches is a round trip, and one that it writes in part is fetched before.
    The engine's own `latency` comes before that of a shared cache, if there is one.
    """

    bandwidth: BytesPerSecond = Field(gt=0, description="peak of one stream's port")
    streams: Literal["shared", "duplex", "operand"] = "shared"
    request: Bytes = Field(gt=0, default=64, description="most that one request moves")
    outstanding: PositiveInt | None = Field(default=None, description="requests in flight")
    latency: Picoseconds = Field(ge=0, default=0, description="round trip of one request")
    restart: Cycles = Field(ge=0, default=0, description="set-up of one contiguous run")
    lines: bool = Field(default=False, description="through a cache, line by line")
    beat: Bytes = Field(gt=0, default=16, description="bytes per cycle of the port, with lines")
    word: Bytes = Field(gt=0, default=1, description="a pixel's channels fill whole words, blocked")
    tlb: Tlb | None = Field(default=None, description="else physical addresses; with lines")

    @model_validator(mode="after")
    def _requests_have_a_latency(self) -> "Dma":
        if self.outstanding is not None and not self.latency:
            raise ValueError("outstanding limits nothing without latency: give a latency")
        if self.lines and self.outstanding is None:
            raise ValueError("lines are limited by outstanding requests: give outstanding")
        if self.tlb is not None and not self.lines:
            raise ValueError("tlb translates the requests of lines: give lines")
        return self


class CyclesPerMac(Part):
    """Steps that a processing element takes for one MAC, or one dot product, by precision.

    Integers of other widths take those of the next wider one.
    """

    int2: PositiveInt = 1
    int4: PositiveInt = 1
    int8: PositiveInt = 1
    int16: PositiveInt = 1
    mx4: PositiveInt = 1
    mx6: PositiveInt = 1
    mx9: PositiveInt = 1
    mxfp4: PositiveInt = 1
    mxfp6: PositiveInt = 1
    mxfp8: PositiveInt = 1
    fp8_e4m3: PositiveInt = 1
    fp8_e5m2: PositiveInt = 1
    fp16: PositiveInt = 1
    bf16: PositiveInt = 1
    fp32: PositiveInt = 1

    def of(self, precision: str) -> int:
        """Return the steps at `precision`."""
        steps: int = getattr(self, _stepped_as(precision))
        return steps


def _stepped_as(precision: str) -> str:
    if precision in CyclesPerMac.model_fields:
        return precision
    bits = PRECISION_BITS[precision]
    return next(f"int{wider}" for wider in (2, 4, 8, 16) if wider >= bits)


@dataclass(frozen=True, slots=True)
class ArrayInterface:
    """How products reach an array and in which formats: nothing that says how long they take."""

    precision: str
    precisions: tuple[str, ...]
    im2col: str
    layout: str
    padded: bool
    dgrad: str
    wgrad: str
    wgrad_dataflow: str | None
    transposer: bool
    on_unsupported_precision: str
    keep: int = 0
    vector: VectorInterface | None = None

    def executes(self, precision: str) -> str | None:
        """Return the precision in which the array computes what asks for `precision`.

        Its own, or an integer's next wider one where it has several; None if it has neither.
        """
        if precision == self.precision or precision in self.precisions:
            return precision
        if not self.precisions or not precision.startswith("int"):
            return None
        precisions = (self.precision, *self.precisions)
        wider = [p for p in precisions if p.startswith("int")]
        wider = [p for p in wider if PRECISION_BITS[p] >= PRECISION_BITS.get(precision, 64)]
        return min(wider, key=PRECISION_BITS.__getitem__, default=None)


class Accelerator(Part):
    """One or more equal arrays with scratchpads and a DMA engine."""

    rows: int = Field(gt=0, le=65536)
    cols: int = Field(gt=0, le=65536)
    arrays: PositiveInt = Field(default=1, description="equal arrays side by side")
    dot_width: PositiveInt = Field(default=1, description="products one element sums per step")
    cycles_per_mac: CyclesPerMac = Field(default_factory=CyclesPerMac)
    pipeline_depth: Cycles = Field(ge=0, default=0, description="stages of an element's arithmetic")
    clock: Hertz = Field(gt=0, le=FASTEST_HZ)
    operating_points: tuple[OperatingPoint, ...] = Field(
        default=(), strict=False, description="clocks with their voltages, slowest first"
    )
    voltage: Millivolts | None = Field(
        gt=0, default=None, description="that the energy tables stand for"
    )
    dataflow: DataflowName = "ws"
    wgrad_dataflow: DataflowName | None = Field(default=None, description="where it differs")
    structure: Literal["systolic", "broadcast"] = "systolic"
    overlap: Literal["none", "preload", "drain", "full"] = "preload"
    schedule: Literal["decoupled", "slots", "lockstep"] = "decoupled"
    command: Cycles = Field(
        ge=0, default=0, description="least for one compute command, of up to rows"
    )
    precision: Precision = "int8"
    precisions: tuple[Precision, ...] = Field(
        default=(),
        strict=False,
        description="further ones that it computes, each product in one of them",
    )
    scratchpad: Bytes = Field(gt=0, description="operand memory, both halves of the double buffer")
    accumulator: Bytes = Field(gt=0, description="partial sums and outputs, both halves")
    weight_buffer: Bytes | None = Field(gt=0, default=None, description="else in the scratchpad")
    keep: Bytes = Field(
        ge=0, default=0, description="of the scratchpad, for tensors that stay from op to op"
    )
    prefetch: Bytes = Field(ge=0, default=0, description="memory for operands loaded whole, first")
    dma: Dma
    mapping_step: Cycles = Field(ge=0, default=0, description="host, per tile that a rule tries")
    mapping: Literal[
        "time", "traffic", "energy", "edp", "gemmini", "moca", "ef_train", "square_tiles"
    ] = Field(
        default="time",
        description="best by time, traffic, the memory's energy or its product with time, or the "
        "rule of a machine's own",
    )
    mapping_slack: Permille = Field(
        ge=0, default=20, description="of the least time, for a mapping that moves less"
    )
    spill: bool = Field(
        default=False, description="the search may store partial sums and load them back"
    )
    single_buffer: bool = Field(
        default=False,
        description="the search may keep an operand that stays for several tiles in one buffer, "
        "whose next load waits for them",
    )
    im2col: Literal["hardware", "software", "channelwise", "mixed"] = "hardware"
    layout: Literal["channels_last", "channels_first", "blocked"] = Field(
        default="channels_last", description="of tensors in memory; blocked: a tile is one run"
    )
    padded: bool = Field(
        default=False,
        description="of channelwise convolutions, maps lie in memory with their padding, and "
        "weights in whole tiles of rows x cols, in their order of use: each is one run",
    )
    dgrad: Literal["col2im", "direct"] = "direct"
    wgrad: Literal["im2col", "replicated"] = Field(
        default="im2col",
        description="of convolutions; replicated: where only forward convolutions are to be had, "
        "one with a group per image and channel, the gradient repeated for each channel",
    )
    grouped_steps: PositiveInt = Field(
        default=1, description="times as many per MAC in convolutions of several groups"
    )
    transposer: bool = True
    output_size: Literal["floor", "ceil"] = Field(
        default="floor", description="of a probed convolution whose stride does not divide"
    )
    on_unsupported_precision: Literal["quantise", "cpu", "multipass", "error"] = "quantise"
    launch_latency: Picoseconds = Field(ge=0, default=0, description="command to first transfer")
    vector: Vector | None = Field(default=None, description="lanes beside the arrays")
    sparsity: SkippedZeros = Field(
        default_factory=SkippedZeros, description="zeros that it skips, else it multiplies all"
    )

    @model_validator(mode="after")
    def _tiles_have_room(self) -> "Accelerator":
        if self.keep >= self.scratchpad:
            raise ValueError(
                f"keep of {self.keep} B leaves no room for tiles in a scratchpad of "
                f"{self.scratchpad} B: keep less"
            )
        return self

    @model_validator(mode="after")
    def _points_rise(self) -> "Accelerator":
        check_points(self.operating_points, self.voltage)
        return self

    @property
    def summary(self) -> str:
        """Arrays, precision and clock."""
        several = f"{self.arrays} x " if self.arrays > 1 else ""
        size = f"{several}{self.rows} x {self.cols}"
        return f"{size} {self.precision} at {FREQUENCY.text(self.clock)}"

    @property
    def supply_ratio(self) -> Fraction | int:
        """Voltage at `clock` over that of the stated energies; 1 without operating points."""
        return supply_ratio(self.clock, self.operating_points, self.voltage)

    @property
    def accumulator_precision(self) -> str:
        """Products of integers are summed in int32, of floats in fp32."""
        return accumulator_of(self.precision)

    @property
    def steps_per_mac(self) -> int:
        """Cycles of a processing element for one MAC, or dot product, at this precision."""
        return self.cycles_per_mac.of(self.precision)

    @property
    def interface(self) -> ArrayInterface:
        """What lowering must know of it."""
        own = {each.name: getattr(self, each.name) for each in fields(ArrayInterface)}
        return ArrayInterface(**own | {"vector": self.vector.interface if self.vector else None})

    def at(self, precision: str) -> "Accelerator":
        """Return this accelerator as it computes in `precision`, one of those it has."""
        if precision == self.precision:
            return self
        return self.model_copy(update={"precision": precision})

    def for_groups(self, groups: int) -> "Accelerator":
        """Return this accelerator as it computes convolutions of so many groups."""
        if groups == 1 or self.grouped_steps == 1:
            return self
        name = _stepped_as(self.precision)
        steps: dict[str, int] = {name: self.steps_per_mac * self.grouped_steps}
        slower = self.cycles_per_mac.model_copy(update=steps)
        return self.model_copy(update={"cycles_per_mac": slower})

    @property
    def for_tiles(self) -> "Accelerator":
        """This accelerator with the part of its scratchpad that tiles have."""
        if not self.keep:
            return self
        return self.model_copy(update={"scratchpad": self.scratchpad - self.keep, "keep": 0})

    @property
    def elements(self) -> int:
        """Multipliers in all arrays."""
        return self.arrays * self.rows * self.cols * self.dot_width

    @property
    def peak_macs_per_s(self) -> int:
        """MACs per second of all arrays, at the fastest of their precisions."""
        steps = min(self.cycles_per_mac.of(p) for p in (self.precision, *self.precisions))
        return self.elements * self.clock // steps
