"""What the views of a trace pass on: a run, one of its distinct steps, and the memory it holds."""

from typing import NotRequired, TypedDict


class TraceTotals(TypedDict):
    """Sums over some ops; FLOPs are 2 x batch x M x N x K of GEMMs, bytes distinct per op."""

    ops: int
    gemms: int
    flops: int
    bytes: int
    flops_per_byte: float | None


class PhaseTotals(TraceTotals):
    """The sums of a phase, and of each kind of op in it."""

    phase: str
    by_kind: dict[str, TraceTotals]


class LayerTotals(TraceTotals):
    """The sums of a layer."""

    layer: str


class DistinctStepRow(TraceTotals):
    """What tells a distinct step from the others.

    `more_ops` counts the ops that it has more (or less) of than step `unlike`, the most frequent
    one of its kind; that one has no `unlike`.
    """

    index: int
    kind: str
    runs: int
    batch: int | None
    input_shape: list[int]
    peak_bytes: int
    unlike: int | None
    more_ops: dict[str, int]


class StepCount(TypedDict):
    """How often a distinct step runs in an epoch."""

    step: int
    kind: str
    count: int


class EqualEpochs(TypedDict):
    """Epochs that run the same steps, as first and last of each range of them."""

    epochs: list[list[int]]
    steps: list[StepCount]


class LayerBytes(TypedDict):
    """The bytes that a layer holds."""

    layer: str
    bytes: int


class LiveStorage(TypedDict):
    """A storage, the op that makes it, and from which op to which it lives."""

    bytes: int
    kind: str
    name: str
    layer: str
    op_name: str
    first_op: int
    last_op: int


class Peak(TypedDict):
    """When a step holds most memory, and what; no op in a step without ops."""

    bytes: int
    op: int | None
    op_name: str | None
    phase: str | None
    layer: str | None
    by_kind: dict[str, int]
    layers: list[LayerBytes]
    storages: list[LiveStorage]


class MemoryOverTime(TypedDict):
    """The bytes of each kind that a step holds while each op runs."""

    trace: str
    step: int
    kind: str
    phases: list[str]
    held: dict[str, list[int]]
    peak: Peak


class PartDocument(TypedDict):
    """A part of a trace in one run of step `step_of_trace`: MACs of its products, bytes of the
    weights that it touches, bytes that enter it from the rest and leave it, each once, and bytes
    that it reads of the step's own inputs.
    """

    part: str
    step_of_trace: int
    macs: int
    weight_bytes: int
    enter_bytes: int
    leave_bytes: int
    input_bytes: int


class TraceSummary(TypedDict):
    """A trace in plain numbers: all of the run, and distinct step `step` in detail."""

    name: str
    origin: dict[str, str]
    provenance: str
    notes: list[str]
    digest: str
    flops_by_phase: dict[str, int]
    ops: int
    steps: int
    evaluation_steps: int
    distinct_steps: int
    epochs: int
    parameters: int
    distinct: list[DistinctStepRow]
    steps_per_epoch: list[EqualEpochs]
    step: int
    phases: list[PhaseTotals]
    layers: list[LayerTotals]
    memory: dict[str, int]
    peak: Peak
    segments: list[list[int]]
    part: NotRequired[PartDocument]
