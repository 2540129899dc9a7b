"""A CPU: cores, caches, operating points, and the measured speed of its kernels."""

from fractions import Fraction
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from simulator.hardware.core import Core
from simulator.hardware.operating import OperatingPoint, check_points, supply_ratio
from simulator.hardware.part import FASTEST_HZ, Part
from simulator.units import (
    FREQUENCY,
    Attojoules,
    Bytes,
    BytesPerSecond,
    Cycles,
    Hertz,
    Microwatts,
    Millivolts,
    Permille,
    Picoseconds,
)

ORDINARY = "out-of-order"
"""The class of cores where a description names none."""


class LastLevelCache(Part):
    """The last cache before memory, shared by all cores; its energy is that of their cycles.

    Where the accelerator shares it too, it finds what the CPU left there and leaves its results;
    else what it reads is flushed before, and what it writes is in memory alone.
    """

    size: Bytes = Field(ge=0, description="0 holds nothing")
    bandwidth: BytesPerSecond = Field(gt=0, description="to and from all cores together")
    shared: bool = Field(default=False, description="with the accelerator")


_OWN = "of its own, 0 on one core only; else that of all kernels"


class Kernel(Part):
    """Measured speed of one kind of operation on one core, without its dispatch and traffic.

    These times do not scale with `cpu.clock`.
    """

    call: Picoseconds = Field(ge=0, default=0, description="each call, whatever its size")
    element: Picoseconds = Field(ge=0, default=0, description="each element of the largest tensor")
    stream: BytesPerSecond | None = Field(
        gt=0, default=None, description="of its own through the caches, else that of all kernels"
    )
    parallel_efficiency: Permille | None = Field(ge=0, le=1000, default=None, description=_OWN)


class ProductSpeed(Part):
    """Measured speed of one kind of product on one core, without its dispatch.

    t = call + macs x (1 + half / smallest of m, n, k) / (efficiency x peak) + bytes / bandwidth,
    where the channels that fill vectors count in whole ones.
    """

    call: Picoseconds = Field(ge=0, default=0, description="each call, whatever its size")
    efficiency: Permille = Field(
        gt=0,
        le=64_000,
        description="of the vector units' peak FMA rate in a large product; matrix units exceed it",
    )
    half: int = Field(ge=0, default=0, description="smallest dimension at half that efficiency")
    bandwidth: BytesPerSecond | None = Field(
        gt=0, default=None, description="of packing and reordering operands and results"
    )
    parallel_efficiency: Permille | None = Field(ge=0, le=1000, default=None, description=_OWN)


class ProductSpeeds(Part):
    """Measured speeds of products by what they compute.

    What is absent goes by `gemm`, or by `convolution` of its role. `pointwise` convolutions have
    kernels of 1 x 1, `depthwise` ones a group for every channel.
    """

    gemm: ProductSpeed | None = None
    batched: ProductSpeed | None = None
    attention: ProductSpeed | None = None
    attention_backward: ProductSpeed | None = None
    convolution: ProductSpeed | None = None
    convolution_dgrad: ProductSpeed | None = None
    convolution_wgrad: ProductSpeed | None = None
    pointwise: ProductSpeed | None = None
    pointwise_dgrad: ProductSpeed | None = None
    pointwise_wgrad: ProductSpeed | None = None
    grouped: ProductSpeed | None = None
    grouped_dgrad: ProductSpeed | None = None
    grouped_wgrad: ProductSpeed | None = None
    depthwise: ProductSpeed | None = None
    depthwise_dgrad: ProductSpeed | None = None
    depthwise_wgrad: ProductSpeed | None = None


class Kernels(ProductSpeeds):
    """Measured speeds of a CPU's kernels; the ideal of its kind stands for what is absent.

    Measured traffic between cores and caches is added to the arithmetic, not overlapped with it.
    `operations` by PyTorch's names ("native_batch_norm") go before kinds, products of `dtypes`
    ("bfloat16") before those of any.
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
    dtypes: dict[str, ProductSpeeds] = Field(default_factory=dict)


class Begin(Part):
    """Cost of entering a part of the step, whose code is in no cache yet."""

    forward: Cycles = Field(ge=0, default=0, description="the network is called")
    backward: Cycles = Field(ge=0, default=0, description="the autograd engine starts")
    optimizer: Cycles = Field(ge=0, default=0, description="the optimizer gathers its parameters")


class Dispatch(Part):
    """Dispatch of one operation by the part of the step that issues it."""

    forward: Cycles | None = Field(ge=0, default=None, description="modules; autograd records")
    backward: Cycles | None = Field(ge=0, default=None, description="the autograd engine")
    optimizer: Cycles | None = Field(ge=0, default=None, description="the optimizer's loop")
    begin: Begin = Field(default_factory=Begin)


class CompiledCall(Part):
    """A call of one pass over a network that `torch.compile` has made one graph of."""

    call: Cycles = Field(
        ge=0, default=0, description="guards, wrappers, the graph's node of autograd"
    )
    tensor: Cycles = Field(
        ge=0, default=0, description="each parameter and buffer: its guards, or its gradient"
    )


class CompiledCode(Part):
    """What `torch.compile` makes of passes over a network, under `runtime.fusion: chains`.

    Its calls take the place of `dispatch` and of where a pass begins; views cost nothing. Compiled
    loops are those of `kernels`, and what is absent there is as fast as the same eagerly: library
    code that compiled code calls for products, layers whose feature maps lie channels last. All 0
    is a compiler without a runtime. The loss and the optimizer stay eager.
    """

    forward: CompiledCall = Field(default_factory=CompiledCall)
    backward: CompiledCall = Field(default_factory=CompiledCall)
    kernel: Cycles = Field(
        ge=0, default=0, description="launch of a compiled loop, its results allocated"
    )
    extern: Cycles = Field(
        ge=0, default=0, description="dispatch of a library's kernel, such as a product"
    )
    mask_write: Picoseconds = Field(
        ge=0, default=0, description="each element of a mask that forward keeps for backward"
    )
    mask_read: Picoseconds = Field(ge=0, default=0, description="each element of it in backward")
    kernels: Kernels | None = Field(
        default=None, description="copies are of what changes its order: others are loops as any"
    )


class Cpu(Part):
    """A cluster of equal cores running eager PyTorch, one operation at a time on all cores."""

    core: str = Field(default=ORDINARY, description="class of its cores, of hwconfigs/cores")
    costs: Core = Field(description="of kernels that were not measured: those of the class")
    cores: PositiveInt
    clock: Hertz = Field(gt=0, le=FASTEST_HZ)
    simd: Bytes = Field(gt=0, description="width of one vector register")
    simd_pipes: PositiveInt = Field(description="vector operations issued per cycle and core")
    gemm_efficiency: Permille = Field(
        gt=0, le=1000, description="of peak FMA rate in a large GEMM, all cores at work"
    )
    gemm_efficiency_alone: Permille | None = Field(
        gt=0, le=1000, default=None, description="likewise, one core at work and the others idle"
    )
    sparse_efficiency: Permille | None = Field(
        gt=0,
        le=1000,
        default=None,
        description="of a dense product's rate in the blocks that a block-sparse kernel keeps, "
        "such as 50 % (a guess: 20 to 80 %); else kernels are dense, as PyTorch's own are",
    )
    convolutions: Literal["direct", "im2col", "nnpack"] = Field(
        default="direct",
        description="who computes them: at the speed of products, by im2col and BLAS, or forward "
        "by NNPACK from 16 images on, as PyTorch without oneDNN does",
    )
    bandwidth_per_core: BytesPerSecond = Field(
        gt=0, description="of one core in a loop that computes, reads and writes together"
    )
    bandwidth: BytesPerSecond | None = Field(
        gt=0, default=None, description="likewise of all cores together, where less than the sum"
    )
    copy_bandwidth_per_core: BytesPerSecond | None = Field(
        gt=0, default=None, description="of one core in memcpy, else as in other loops"
    )
    copy_bandwidth: BytesPerSecond | None = Field(
        gt=0, default=None, description="likewise of all cores together"
    )
    write_allocate: bool = Field(
        default=False,
        description="stores that miss read their line from memory first, as on x86; cores that "
        "stream long runs of stores do not (Arm, Cortex-A53 and A72 manuals)",
    )
    misses: PositiveInt | None = Field(
        default=None, description="line fills in flight per core, where they limit its bandwidth"
    )
    op_overhead: Cycles = Field(ge=0, description="dispatch of one eager operation, on one core")
    view_overhead: Cycles = Field(ge=0, description="dispatch of one view, on one core")
    energy_per_cycle: Attojoules = Field(ge=0, description="one active core, one cycle")
    vector_energy: Attojoules | None = Field(
        ge=0,
        default=None,
        description="of one vector instruction of a product, beside its cycle; else by the node; "
        "0 where energy_per_cycle has it",
    )
    cache_energy: Attojoules | None = Field(
        ge=0,
        default=None,
        description="of a byte that an operation reads or writes, between cache and registers; "
        "else by the node; 0 where energy_per_cycle has it",
    )
    spin: Cycles = Field(
        ge=0,
        default=0,
        description="for which a core that has no part in an operation spins before it sleeps",
    )
    static_power: Microwatts = Field(ge=0, description="leakage of all cores and caches")
    operating_points: tuple[OperatingPoint, ...] = Field(
        default=(), strict=False, description="clocks with their voltages, slowest first"
    )
    voltage: Millivolts | None = Field(
        gt=0, default=None, description="of energy_per_cycle and static_power"
    )
    llc: LastLevelCache | None = Field(default=None, description="without one all goes to memory")
    dispatch: Dispatch | None = Field(default=None, description="else op_overhead for all")
    kernels: Kernels | None = Field(default=None, description="measured; else ideal rates")
    compiled: CompiledCode | None = Field(
        default=None,
        description="what compiling costs and makes faster or slower under runtime.fusion: chains; "
        "else a chain is dispatched once, as any op, and its arithmetic is that of its parts",
    )

    @model_validator(mode="after")
    def _points_rise(self) -> "Cpu":
        check_points(self.operating_points, self.voltage)
        return self

    @property
    def summary(self) -> str:
        """Cores, class and clock."""
        return f"{self.cores} x {self.core} at {FREQUENCY.text(self.clock)}"

    @property
    def supply_ratio(self) -> Fraction | int:
        """Voltage at `clock` over that of the stated energies; 1 without operating points."""
        return supply_ratio(self.clock, self.operating_points, self.voltage)
