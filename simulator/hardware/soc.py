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
Precision = Literal[
    "int2", "int4", "int8", "int16", "mx4", "mx6", "mx9", "fp16", "bf16", "fp32"
]  # fmt: skip
# MX formats share exponents within a block; these are their average bits per element
# (Rouhani et al., ISCA 2023, table 1).
PRECISION_BITS: dict[str, int] = {
    "int2": 2, "int4": 4, "int8": 8, "int16": 16, "int32": 32,
    "mx4": 4, "mx6": 6, "mx9": 9, "fp16": 16, "bf16": 16, "fp32": 32,
}  # fmt: skip


class LastLevelCache(Part):
    """The last cache before memory, shared by all cores; its energy is that of their cycles.

    Where the accelerator shares it too, it finds what the CPU left there and leaves its results;
    else what it reads is flushed before, and what it writes is in memory alone.
    """

    size: Bytes = Field(ge=0, description="0 holds nothing")
    bandwidth: BytesPerSecond = Field(gt=0, description="to and from all cores together")
    shared: bool = Field(default=False, description="with the accelerator")


class Kernel(Part):
    """Measured speed of one kind of operation, on one core and beyond its dispatch and traffic.

    Times as measured do not follow `cpu.clock`.
    """

    call: Picoseconds = Field(ge=0, default=0, description="each call, whatever its size")
    element: Picoseconds = Field(ge=0, default=0, description="each element of the largest tensor")


class Product(Part):
    """Measured speed of one kind of product, on one core and beyond its dispatch.

    t = call + macs x (1 + half / smallest of m, n, k) / (efficiency x peak) + bytes / bandwidth,
    where the channels that fill vectors count in whole ones.
    """

    call: Picoseconds = Field(ge=0, default=0, description="each call, whatever its size")
    efficiency: Permille = Field(gt=0, le=1000, description="of peak FMA rate in a large product")
    half: int = Field(ge=0, default=0, description="smallest dimension at half that efficiency")
    bandwidth: BytesPerSecond | None = Field(
        gt=0, default=None, description="of packing and reordering operands and results"
    )


class Kernels(Part):
    """What a CPU's kernels were measured to take; what is absent goes by the ideal of its kind.

    Measured traffic between cores and caches is added to the arithmetic, not overlapped with it.
    `operations` by PyTorch's names ("native_batch_norm") go before kinds.
    """

    stream: BytesPerSecond | None = Field(
        gt=0, default=None, description="of one core through its caches, reads and writes"
    )
    first_touch: BytesPerSecond | None = Field(
        gt=0,
        default=None,
        description="extra for results in memory new to the process (page faults)",
    )
    parallel_overhead: Cycles = Field(
        ge=0, default=0, description="to start and join the threads of one operation"
    )
    parallel_efficiency: Permille = Field(
        gt=0, le=1000, default=1000, description="what each further core adds to the first"
    )
    elementwise: Kernel | None = None
    transcendental: Kernel | None = None
    reduction: Kernel | None = None
    norm: Kernel | None = None
    softmax: Kernel | None = None
    pool: Kernel | None = None
    copies: Kernel | None = None
    embedding: Kernel | None = None
    random: Kernel | None = None
    sort: Kernel | None = None
    operations: dict[str, Kernel] = Field(default_factory=dict)
    gemm: Product | None = None
    convolution: Product | None = None
    convolution_dgrad: Product | None = None
    convolution_wgrad: Product | None = None


class Begin(Part):
    """What a part of the step takes before its first operation: its code is in no cache yet."""

    forward: Cycles = Field(ge=0, default=0, description="the network is called")
    backward: Cycles = Field(ge=0, default=0, description="the autograd engine starts")
    optimizer: Cycles = Field(ge=0, default=0, description="the optimizer gathers its parameters")


class Dispatch(Part):
    """What the framework takes per operation where that differs by what issues it."""

    forward: Cycles | None = Field(ge=0, default=None, description="modules; autograd records")
    backward: Cycles | None = Field(ge=0, default=None, description="the autograd engine")
    optimizer: Cycles | None = Field(ge=0, default=None, description="the optimizer's loop")
    begin: Begin = Begin()


class Cpu(Part):
    """A cluster of equal cores running eager PyTorch, one operation at a time on all cores."""

    cores: PositiveInt
    clock: Hertz = Field(gt=0, le=_FASTEST)
    simd: Bytes = Field(gt=0, description="width of one vector register")
    simd_pipes: PositiveInt = Field(description="vector operations issued per cycle and core")
    gemm_efficiency: Permille = Field(gt=0, le=1000, description="of peak FMA rate in a GEMM")
    bandwidth_per_core: BytesPerSecond = Field(gt=0, description="measured, of one core")
    misses: PositiveInt | None = Field(
        default=None, description="line fills in flight per core, where they limit its bandwidth"
    )
    op_overhead: Cycles = Field(ge=0, description="dispatch of one eager operation, on one core")
    view_overhead: Cycles = Field(ge=0, description="dispatch of one view, on one core")
    energy_per_cycle: Attojoules = Field(ge=0, description="one active core, one cycle")
    static_power: Microwatts = Field(ge=0, description="leakage of all cores and caches")
    llc: LastLevelCache | None = Field(default=None, description="without one all goes to memory")
    dispatch: Dispatch | None = Field(default=None, description="else op_overhead for all")
    kernels: Kernels | None = Field(default=None, description="measured; else ideal rates")


Dataflow = Literal["ws", "os", "is"]


class Dma(Part):
    """The engine that moves tiles between memory and scratchpads.

    `streams`: `shared` moves loads and stores in turn, `duplex` side by side, `operand` has a
    stream of its own for each operand too. Each stream passes `bandwidth` and splits a contiguous
    run into requests of at most `request` bytes, `outstanding` of which wait for their round trip
    of `latency` at a time; every run begins with `restart` cycles. With `lines` a request is for
    one row of the scratchpad at most, aligned, and takes a cycle per `beat` of a whole line;
    every line that it touches is a round trip, and one that it writes in part is fetched before.
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

    @model_validator(mode="after")
    def _requests_have_a_latency(self) -> "Dma":
        if self.outstanding is not None and not self.latency:
            raise ValueError("outstanding limits nothing without latency: give a latency")
        if self.lines and self.outstanding is None:
            raise ValueError("lines are limited by outstanding requests: give outstanding")
        return self


class CyclesPerMac(Part):
    """Steps that a processing element takes for one MAC, or one dot product, by precision."""

    int2: PositiveInt = 1
    int4: PositiveInt = 1
    int8: PositiveInt = 1
    int16: PositiveInt = 1
    mx4: PositiveInt = 1
    mx6: PositiveInt = 1
    mx9: PositiveInt = 1
    fp16: PositiveInt = 1
    bf16: PositiveInt = 1
    fp32: PositiveInt = 1


class Accelerator(Part):
    """One or more equal arrays with scratchpads and a DMA engine."""

    rows: int = Field(gt=0, le=65536)
    cols: int = Field(gt=0, le=65536)
    arrays: PositiveInt = Field(default=1, description="equal arrays side by side")
    dot_width: PositiveInt = Field(default=1, description="products one element sums per step")
    cycles_per_mac: CyclesPerMac = CyclesPerMac()
    pipeline_depth: Cycles = Field(ge=0, default=0, description="stages of an element's arithmetic")
    clock: Hertz = Field(gt=0, le=_FASTEST)
    dataflow: Dataflow = "ws"
    wgrad_dataflow: Dataflow | None = Field(default=None, description="where it differs")
    structure: Literal["systolic", "broadcast"] = "systolic"
    overlap: Literal["none", "preload", "drain", "full"] = "preload"
    schedule: Literal["decoupled", "slots", "lockstep"] = "decoupled"
    command: Cycles = Field(
        ge=0, default=0, description="least for one compute command, of up to rows"
    )
    precision: Precision = "int8"
    scratchpad: Bytes = Field(gt=0, description="operand memory, both halves of the double buffer")
    accumulator: Bytes = Field(gt=0, description="partial sums and outputs, both halves")
    weight_buffer: Bytes | None = Field(gt=0, default=None, description="else in the scratchpad")
    prefetch: Bytes = Field(ge=0, default=0, description="memory for operands loaded whole, first")
    dma: Dma
    mapping_step: Cycles = Field(ge=0, default=0, description="host, per tile that a rule tries")
    mapping: Literal["time", "traffic", "gemmini", "ef_train", "square_tiles"] = Field(
        default="time", description="best by time or by traffic, or the rule of a machine's own"
    )
    im2col: Literal["hardware", "software", "channelwise"] = "hardware"
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

    @property
    def accumulator_precision(self) -> str:
        """Products of integers are summed in int32, of floats in fp32."""
        return "int32" if self.precision.startswith("int") else "fp32"

    @property
    def steps_per_mac(self) -> int:
        """Cycles of a processing element for one MAC, or dot product, at this precision."""
        steps: int = getattr(self.cycles_per_mac, self.precision)
        return steps

    def for_groups(self, groups: int) -> "Accelerator":
        """Return this accelerator as it computes convolutions of so many groups."""
        if groups == 1 or self.grouped_steps == 1:
            return self
        steps: dict[str, int] = {self.precision: self.steps_per_mac * self.grouped_steps}
        slower = self.cycles_per_mac.model_copy(update=steps)
        return self.model_copy(update={"cycles_per_mac": slower})

    @property
    def elements(self) -> int:
        """Multipliers in all arrays."""
        return self.arrays * self.rows * self.cols * self.dot_width

    @property
    def peak_macs_per_s(self) -> int:
        """MACs per second of all arrays at this precision."""
        return self.elements * self.clock // self.steps_per_mac


class Interconnect(Part):
    """The bus between masters and memory: each port moves its width in bytes per `clock` cycle.

    `arbitration` divides the memory among masters: `fair` in turn, `weighted` in turns of so many,
    `first_come` by who has more requests in flight, `priority` to the one that goes `first`.
    """

    width: Bytes = Field(gt=0, description="of every port that has none of its own")
    clock: Hertz = Field(gt=0, le=_FASTEST)
    latency: Picoseconds = Field(
        ge=0, default=0, description="of a core's line fill, there and back, beside the memory's"
    )
    cpu_width: Bytes | None = Field(gt=0, default=None)
    accelerator_width: Bytes | None = Field(gt=0, default=None)
    arbitration: Literal["fair", "weighted", "first_come", "priority"] = "fair"
    cpu_weight: PositiveInt = 1
    accelerator_weight: PositiveInt = 1
    first: Literal["cpu", "accelerator"] = Field(default="cpu", description="with priority")

    @property
    def cpu_bytes_per_s(self) -> int:
        """Peak rate of the CPU's port."""
        return (self.cpu_width or self.width) * self.clock

    @property
    def accelerator_bytes_per_s(self) -> int:
        """Peak rate of the accelerator's port."""
        return (self.accelerator_width or self.width) * self.clock


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


class Rearrange(Part):
    """CPU time per element of a convolution's weights, on one core, to bring them from the order
    of the framework into that of the array; of a weight gradient, back. 0: not needed.
    """

    forward: Picoseconds = Field(ge=0, default=0, description="before a forward pass")
    dgrad: Picoseconds = Field(ge=0, default=0, description="before an input gradient")
    wgrad: Picoseconds = Field(ge=0, default=0, description="after a weight gradient")

    def per_element(self, role: str) -> int:
        """Return the time in ps for a product in this role."""
        return {"forward": self.forward, "dgrad": self.dgrad, "wgrad": self.wgrad}.get(role, 0)


class Handling(Part):
    """What the CPU does to a tensor on its way: so long, then bytes at this rate or the memory's,
    whichever is slower.
    """

    fixed: Picoseconds = Field(ge=0, default=0, description="of each call")
    rate: BytesPerSecond | None = Field(gt=0, default=None, description="of one core, if limited")

    @property
    def takes_time(self) -> bool:
        """Whether there is anything to it beside the traffic."""
        return bool(self.fixed or self.rate)


class Rule(Part):
    """Where GEMMs run that fit all that is given; layers and ops are patterns such as `conv*`."""

    unit: Literal["cpu", "accelerator"]
    op: str = Field(default="*", description="torch's name of the op, such as aten.mm.default")
    phase: str = Field(default="*", description="forward, dgrad, wgrad, eval, ...")
    layer: str = Field(default="*", description="module path")
    min_macs: NonNegativeInt = 0
    max_macs: NonNegativeInt | None = None


class Runtime(Part):
    """How work is issued, and what handing a GEMM to the accelerator costs the CPU.

    With `copies: in_out` the accelerator has buffers of its own in memory: every call loads its
    operands into them and stores its result from them. Weights are `resident` there until they
    change, or an engine takes them anew on every call (`refit`), wherever its operands lie.
    """

    issue: Literal["synchronous", "in_order", "dataflow"] = "in_order"
    launch: Picoseconds = Field(ge=0, description="driver time of one offload, on the CPU")
    synchronise: Picoseconds = Field(ge=0, description="CPU time to notice a completion it awaits")
    first_call: Picoseconds = Field(ge=0, default=0, description="engine build, once per kernel")
    offload_min_macs: NonNegativeInt = Field(default=0, description="smaller GEMMs stay on the CPU")
    rearrange: Rearrange = Rearrange()
    copies: Literal["none", "in_out"] = Field(default="none", description="none: zero-copy")
    load: Handling = Field(default=Handling(), description="of an operand, with copies")
    store: Handling = Field(default=Handling(), description="of a result, with copies")
    weights: Literal["resident", "refit"] = "resident"
    refit: Handling = Field(default=Handling(), description="of weights, on every call")
    reshape: Handling = Field(
        default=Handling(),
        description="of a result and of a replicated operand, by the CPU on every call; results "
        "need none if it takes no time",
    )
    placement: Literal["rules", "fastest", "frugal"] = Field(
        default="rules", description="or a search for least time, or energy, that asks no rule"
    )
    rules: tuple[Rule, ...] = Field(
        default=(), strict=False, description="the first that fits; else offload_min_macs"
    )


class Technology(Part):
    """Process node and cell type that the energy tables are read at."""

    node: Nanometres = Field(ge=7, le=65)
    sram_cell: Literal["itrs-hp", "itrs-lop", "itrs-lstp"] = "itrs-lop"
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
