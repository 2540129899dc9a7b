"""The words that cross rooms: accesses, tiles, work, what ran when and what was counted."""

from collections.abc import ItemsView, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

from simulator.trace.op import Phase

Leaf = TypeVar("Leaf")


class Stage(StrEnum):
    """What a piece of work does for the operation that it serves."""

    OP = "op"
    BEGIN = "begin"
    VIEW = "view"
    GEMM = "gemm"
    LAUNCH = "launch"
    SYNCHRONISE = "synchronise"
    SWITCH = "switch"
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


ON_CHIP = AccessPattern(0, 0, 0, write=False, cached=True)
"""The pattern of what lies in a scratchpad already: nothing moves."""


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


class Action(NamedTuple):
    """Something a unit does that is counted and has a price.

    `unit` is the name of a unit of the SoC, "interconnect" or "dram". `format` is the number format
    of an action of arithmetic, "" for the unit's own.
    """

    unit: str
    what: str
    format: str = ""

    @property
    def key(self) -> str:
        """Its name in tables of prices and in files: that of a unit beside CPU and accelerator
        goes before, a format behind.
        """
        name = f"{self.what.removesuffix('_issued')}_in_{self.format}" if self.format else self.what
        return name if self.unit in _SHORT_FORM else f"{self.unit}.{name}"


_SHORT_FORM = ("cpu", "accelerator", "interconnect", "dram")

_NONE: Mapping[Action, int] = MappingProxyType({})

CPU_CYCLES = Action("cpu", "cpu_cycles")
CPU_WAITS = Action("cpu", "cpu_wait_cycles")
CPU_VECTORS = Action("cpu", "cpu_vector_macs")
CPU_BYTES = Action("cpu", "cpu_cache_bytes")
INTERCONNECT_BYTES = Action("interconnect", "interconnect_bytes")
DRAM_READ_BYTES = Action("dram", "dram_read_bytes")
DRAM_WRITE_BYTES = Action("dram", "dram_write_bytes")
DRAM_ACTIVATES = Action("dram", "dram_activates")
DRAM_READ_BURSTS = Action("dram", "dram_read_bursts")
DRAM_WRITE_BURSTS = Action("dram", "dram_write_bursts")

ARRAY_MACS = "array_macs_issued"
"""What an array does: MACs that it executes, in its own format or a further one."""

ARRAY_CYCLES = "array_element_cycles"
"""What an array does: cycles of its clock, times the elements that it reaches."""

SCRATCHPAD_READS, SCRATCHPAD_WRITES = "scratchpad_read_bytes", "scratchpad_write_bytes"
SUM_READS, SUM_WRITES = "accumulator_read_bytes", "accumulator_write_bytes"
VECTOR_OPS = "vector_ops"
"""What a vector unit does: operations of a lane."""

ARRAY_MEMORIES = (SCRATCHPAD_READS, SCRATCHPAD_WRITES, SUM_READS, SUM_WRITES)
"""What an array does: bytes that it reads from its memories and writes to them."""

KERNEL_TIME = "kernel_ps"
"""What a unit known by measured kernels does: picoseconds in which it runs one."""


DSP_MACS, DSP_BYTES, DSP_PS = "dsp_macs_issued", "dsp_cache_bytes", "dsp_active_ps"
"""What a DSP does: MACs that it executes, bytes between its cache and registers, time at work."""


class Counts:
    """How often each action happened; energy is these counts times a table of prices.

    `macs` are useful multiply-accumulates, `macs_issued` executed ones (a strided direct dgrad
    multiplies zeros), of whatever unit. Traffic is in bytes, DRAM bursts are in granules.
    Immutable; actions that are absent happened zero times.
    """

    __slots__ = ("_amounts", "macs", "macs_issued")

    def __init__(
        self, amounts: Mapping[Action, int] = _NONE, macs: int = 0, macs_issued: int = 0
    ) -> None:
        """Count `amounts` of actions."""
        self._amounts = {action: amount for action, amount in amounts.items() if amount}
        self.macs, self.macs_issued = macs, macs_issued

    def __getitem__(self, action: Action) -> int:
        """Return how often `action` happened."""
        return self._amounts.get(action, 0)

    def __eq__(self, other: object) -> bool:
        """Whether all counts are equal."""
        return isinstance(other, Counts) and self._parts == other._parts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Return what was counted."""
        amounts = {action.key: amount for action, amount in self._amounts.items()}
        return f"Counts({amounts}, macs={self.macs}, macs_issued={self.macs_issued})"

    @property
    def _parts(self) -> tuple[dict[Action, int], int, int]:
        return self._amounts, self.macs, self.macs_issued

    def items(self) -> ItemsView[Action, int]:
        """Return the actions that happened, with how often."""
        return self._amounts.items()

    def plus(self, other: "Counts", times: int = 1) -> "Counts":
        """Return this and `times` the other, action by action."""
        return total([(self, 1), (other, times)])

    def times(self, factor: int) -> "Counts":
        """Return every count multiplied by `factor`."""
        return total([(self, factor)])

    @property
    def dram_read_bytes(self) -> int:
        """Bytes read from memory."""
        return self[DRAM_READ_BYTES]

    @property
    def dram_write_bytes(self) -> int:
        """Bytes written to memory."""
        return self[DRAM_WRITE_BYTES]

    @property
    def dram_bytes(self) -> int:
        """Bytes read from memory and written to it."""
        return self[DRAM_READ_BYTES] + self[DRAM_WRITE_BYTES]

    @property
    def dram_bursts(self) -> int:
        """Bursts of both directions, in granules."""
        return self[DRAM_READ_BURSTS] + self[DRAM_WRITE_BURSTS]


def total(counts: Iterable[tuple[Counts, int]]) -> Counts:
    """Return the sum of counts, each so many times."""
    parts = [*counts]
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0]  # immutable, and most sums of a step are of one part
    amounts: dict[Action, int] = {}
    macs = macs_issued = 0
    for each, times in parts:
        macs, macs_issued = macs + each.macs * times, macs_issued + each.macs_issued * times
        for action, amount in each.items():
            amounts[action] = amounts.get(action, 0) + amount * times
    return Counts(amounts, macs, macs_issued)


class DramStates(NamedTuple):
    """Time in ps of a memory in its states: `standby_ps` ready for commands, and `clocked_ps` that
    or in power-down, where its controller refreshes it. The rest it refreshes itself.
    """

    standby_ps: int = 0
    clocked_ps: int = 0

    def plus(self, other: "DramStates", times: int = 1) -> "DramStates":
        """Return this and `times` the other."""
        return DramStates(
            self.standby_ps + times * other.standby_ps, self.clocked_ps + times * other.clocked_ps
        )


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
    and `mapping_reason` why so: it is the "best" of the mapper's space, the machine's "default", or
    "given" by the caller. Of a kernel whose time is measured it is the `timing.measured.Basis`. Of
    a dense product the same mapping would have `skipped_macs` more, in `skipped_ps` more of
    computing.
    """

    unit: str
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
    mapping_reason: str = ""
    skipped_macs: int = 0
    skipped_ps: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Work bound to its place in a step: the op it serves and the tasks it must follow.

    `program` tells the tasks of several programs on one SoC apart.
    """

    work: Work
    op: int
    phase: Phase
    layer: str
    waits: tuple[int, ...]
    program: str = ""


class Span(NamedTuple):
    """When a task ran, in picoseconds from the start of its step."""

    start_ps: int
    end_ps: int


class Flow(NamedTuple):
    """Memory time that a task used between two moments; rates are constant within a flow."""

    unit: str
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
