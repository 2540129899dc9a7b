"""The words that cross rooms: accesses, tiles, work, what ran when and what was counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, Protocol, TypeVar

from simulator.trace.op import Phase

Leaf = TypeVar("Leaf")


class Unit(StrEnum):
    """A master on the memory system that executes work."""

    CPU = "cpu"
    ACCELERATOR = "accelerator"


class Stage(StrEnum):
    """What a piece of work does for the operation that it serves."""

    OP = "op"
    BEGIN = "begin"
    VIEW = "view"
    GEMM = "gemm"
    LAUNCH = "launch"
    SYNCHRONISE = "synchronise"
    BUILD = "build"
    QUANTISE = "quantise"
    DEQUANTISE = "dequantise"
    TRANSPOSE = "transpose"
    IM2COL = "im2col"
    COL2IM = "col2im"
    FLUSH = "flush"
    REARRANGE = "rearrange"
    REPLICATE = "replicate"
    LOAD = "load"
    REFIT = "refit"
    STORE = "store"
    RESHAPE = "reshape"
    REDUCE = "reduce"


class AccessPattern(NamedTuple):
    """`bytes` of memory in contiguous runs of `run` bytes, `pitch` bytes from start to start.

    A scratchpad takes them in rows of `row` bytes, each requested on its own; 0: a run is a row.
    What is `cached` lies in a cache that all masters share, and does not reach the memory.
    """

    bytes: int
    run: int
    pitch: int
    write: bool
    row: int = 0
    cached: bool = False


def sequential(size: int, *, write: bool) -> AccessPattern:
    """Return the pattern of `size` contiguous bytes."""
    return AccessPattern(size, size, size, write)


class TileRun(NamedTuple):
    """One tile: transfers in, cycles on the array, transfers out."""

    loads: tuple[AccessPattern, ...]
    compute_cycles: int
    stores: tuple[AccessPattern, ...]


class Repeat(NamedTuple, Generic[Leaf]):
    """`times` times the same sequence of tiles, or of what becomes tiles."""

    times: int
    body: "tuple[Leaf | Repeat[Leaf], ...]"


MACS_IN = "array_macs_in_"
"""How the counts of MACs begin that an array executes in a precision that is not its own."""


class Counts(NamedTuple):
    """How often each action happened; energy is these counts times a table of prices.

    `macs` are useful multiply-accumulates, `macs_issued` executed ones (a strided direct dgrad
    multiplies zeros); `array_*` those of the accelerator, executed in its own precision, or
    `in` one of its further ones. Scratchpad, accumulator, DRAM and
    interconnect traffic is in bytes, DRAM bursts in granules, CPU time in core-cycles.
    """

    macs: int = 0
    macs_issued: int = 0
    array_macs: int = 0
    array_macs_issued: int = 0
    scratchpad_read_bytes: int = 0
    scratchpad_write_bytes: int = 0
    accumulator_read_bytes: int = 0
    accumulator_write_bytes: int = 0
    cpu_cycles: int = 0
    interconnect_bytes: int = 0
    dram_read_bytes: int = 0
    dram_write_bytes: int = 0
    dram_activates: int = 0
    dram_read_bursts: int = 0
    dram_write_bursts: int = 0
    array_macs_in_int2: int = 0
    array_macs_in_int3: int = 0
    array_macs_in_int4: int = 0
    array_macs_in_int5: int = 0
    array_macs_in_int6: int = 0
    array_macs_in_int7: int = 0
    array_macs_in_int8: int = 0
    array_macs_in_int9: int = 0
    array_macs_in_int10: int = 0
    array_macs_in_int11: int = 0
    array_macs_in_int12: int = 0
    array_macs_in_int13: int = 0
    array_macs_in_int14: int = 0
    array_macs_in_int15: int = 0
    array_macs_in_int16: int = 0
    array_macs_in_mx4: int = 0
    array_macs_in_mx6: int = 0
    array_macs_in_mx9: int = 0
    array_macs_in_fp16: int = 0
    array_macs_in_bf16: int = 0
    array_macs_in_fp32: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum, action by action."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: int) -> "Counts":
        """Return every count multiplied by `factor`."""
        return Counts(*(a * factor for a in self))


def total(counts: Iterable[Counts]) -> Counts:
    """Return the sum of many counts."""
    columns = zip(*counts, strict=True)
    sums = [sum(column) for column in columns]
    return Counts(*sums)


class Progress(Protocol):
    """How fast a piece of work goes when it is granted a share of the memory's time.

    A share is an integer between 0 and `timing.shares.WHOLE`.
    """

    @property
    def channel_ps(self) -> int:
        """Memory time that the work needs in total, in ps at full share."""

    def duration_ps(self, share: int) -> int:
        """Return the time from start to end at a constant `share`; never grows with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One thing for one unit to do, independent of which tensors it is bound to.

    `batch`, `m`, `n`, `k` are those of the GEMM asked for, whatever the unit executes instead.
    `overhead_ps` (dispatch or launch), `compute_ps` and `memory_ps` (channel or port, whichever
    is slower) are what its duration alone is made of. `mapping` says how the accelerator cuts it,
    and `mapped` why so: it is the best found, the machine's default, or given.
    """

    unit: Unit
    stage: Stage
    progress: Progress
    counts: Counts
    overhead_ps: int
    compute_ps: int
    memory_ps: int
    batch: int = 0
    m: int = 0
    n: int = 0
    k: int = 0
    compute_cycles: int = 0
    mapping: str = ""
    mapped: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Work bound to its place in a step: the op it serves and the tasks it must follow."""

    work: Work
    op: int
    phase: Phase
    layer: str
    waits: tuple[int, ...]


class Span(NamedTuple):
    """When a task ran, in picoseconds from the start of its step."""

    start_ps: int
    end_ps: int


class Flow(NamedTuple):
    """Memory time that a task used between two moments; rates are constant within a flow."""

    unit: Unit
    task: int
    start_ps: int
    end_ps: int
    channel_ps: int


@dataclass(frozen=True, slots=True)
class StepRun:
    """When every task of a step ran, and how much of the step's duration is charged to it.

    `attributed_ps` sums to `duration_ps` exactly.
    """

    tasks: tuple[Task, ...]
    spans: tuple[Span, ...]
    attributed_ps: tuple[int, ...]
    duration_ps: int
    flows: tuple[Flow, ...] = ()
