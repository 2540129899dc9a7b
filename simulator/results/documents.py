"""What result.json and step.json hold: checked once when they are read, so that readers may trust.

Numbers are finite and not negative. Keys that a later version added are left as they are.
"""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from simulator.files.json import Strict

AGAIN = "run `trainsoc run -o` again"
_LARGEST = 10**60  # far beyond any sum of a run, and still a float
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Amount = Annotated[float, Field(ge=0, le=float(_LARGEST))]


class Sums(Strict):
    """What some part of a run took, moved and cost."""

    latency_s: Amount
    latency_ps: Count
    energy_j: Amount
    energy_aj: Count
    energy_low_j: Amount = 0.0
    energy_high_j: Amount = 0.0
    energy_by_component_j: dict[str, Amount]
    macs: Count
    macs_issued: Count
    dram_read_bytes: Count
    dram_write_bytes: Count
    bandwidth_bytes_per_s: Amount
    average_power_w: Amount
    peak_power_w: Amount
    contention_s: Amount = 0.0
    array_use: Amount = 0.0
    array_utilization: Amount = 0.0
    cpu_busy_s: Amount = 0.0
    accelerator_busy_s: Amount = 0.0


class PhaseSums(Sums):
    """The sums of a phase."""

    phase: str


class LayerSums(PhaseSums):
    """The sums of a layer in a phase."""

    layer: str


class EpochSums(Sums):
    """The sums of an epoch."""

    epoch: Count


class OpRow(Strict):
    """A piece of work, and what it took and cost each time."""

    phase: str
    layer: str
    op: str
    stage: str
    unit: str
    count: Count
    attributed_s: Amount
    energy_j: Amount
    dram_read_bytes: Count
    dram_write_bytes: Count


class Bits(Strict):
    """The bits of a layer in each epoch."""

    layer: str
    weights: list[Amount]
    activations: list[Amount]
    gradients: list[Amount]


class Precision(Strict):
    """The precisions of the GEMMs, and what a method made of the layers."""

    traced: list[str]
    executed: list[str]
    bits: tuple[Bits, ...] = ()

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        if len({len(row.weights) for row in self.bits}) > 1:
            raise ValueError("layers have different numbers of epochs")
        return self


class Provenance(Strict):
    """What the run was made of."""

    energy_digest: str
    trace_origin: dict[str, str] = Field(default_factory=dict)


class Memory(Strict):
    """The most memory that a step holds, in bytes."""

    parameters: Count
    gradients: Count
    optimizer_state: Count
    activations: Count
    peak_bytes: Count


class AreaRow(Strict):
    """The area of a component."""

    component: str
    mm2: Amount
    low_mm2: Amount
    high_mm2: Amount
    source: str
    confidence: str


class IntervalRow(Strict):
    """Where a number lies, that is not sure."""

    low: Amount
    median: Amount
    high: Amount


class ShareRow(Strict):
    """A constant, and its share in the variance of an answer."""

    setting: str
    name: str
    machines: list[str]
    share: Amount
    share_with_others: Amount
    value: str
    low: str
    high: str
    kind: str
    source: str


class Uncertainty(Strict):
    """How sure a result is; all other keys are intervals of measures and ratios."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, IntervalRow] = Field(init=False)

    samples: Count
    seed: Count
    level: Amount
    infeasible: Count
    reasons: dict[str, Count]
    probability_faster: Amount = 0.0
    probability_less_energy: Amount = 0.0
    probability_both: Amount = 0.0
    decided: str
    r2: Amount
    decided_by: list[ShareRow]
    energy_decided: str
    energy_r2: Amount
    energy_decided_by: list[ShareRow]


class Version(Strict):
    """Which schema a result has: read before all else, which may differ."""

    version: Annotated[str, StringConstraints(pattern=r"^\d{1,9}\.\d{1,9}$")] = Field(
        alias="schema"
    )


class ResultFile(Version):
    """The content of result.json, as far as anything reads it."""

    provenance: Provenance
    hardware: str
    trace: str
    method: str
    fidelity: str
    precision: Precision
    epochs_simulated: Count
    steps_simulated: Count
    total: Sums
    phases: list[PhaseSums]
    layers: list[LayerSums]
    epochs: list[EpochSums]
    memory: Memory
    area: tuple[AreaRow, ...] = ()
    ops: tuple[OpRow, ...] = ()
    uncertainty: Uncertainty | None = None


class Timed(Strict):
    """Something between two moments of a step."""

    start_ps: Count
    end_ps: Count

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_ps < self.start_ps:
            raise ValueError("ends before it starts")
        return self


class TaskRow(Timed):
    """A task of a step: what it was, when it ran, what it moved and cost."""

    index: Count
    unit: str
    stage: str
    op: str
    layer: str
    phase: str
    attributed_ps: Count
    macs: Count
    dram_bytes: Count
    dynamic_aj: Count
    counts: dict[str, Count]
    mnk: list[Count] = Field(min_length=4, max_length=4)


class FlowRow(Timed):
    """Bytes that a task moved at a constant rate."""

    unit: str
    task: Count
    bytes: Count


class PowerRow(Strict):
    """The power from a moment on."""

    start_ps: Count
    power_uw: Count


class Machine(Strict):
    """The rates that bound the step."""

    dram_bytes_per_s: Count
    array_macs_per_s: Count
    array_precision: str | None
    cpu_fp32_macs_per_s: Count


class StepFile(Strict):
    """The content of step.json."""

    trace: str
    hardware: str
    duration_ps: Count
    machine: Machine
    tasks: list[TaskRow]
    flows: list[FlowRow]
    power: list[PowerRow]

    @model_validator(mode="after")
    def _within(self) -> Self:
        last = max((each.end_ps for each in (*self.tasks, *self.flows)), default=0)
        if last > self.duration_ps:
            raise ValueError(f"a task or flow ends at {last} ps, after the step")
        return self


class RecordEntry(Strict):
    """A kind of step of records.parquet: which distinct step, its ops, how often it ran when."""

    step: Count
    runs: list[tuple[Count, Count]]
    ops: list[str]


class PlainCosts(Strict):
    """Prices of all actions, in aJ, and the power of each component, in uW."""

    dynamic_aj: list[Count]
    static_uw: dict[str, Count]


class PlainPrices(PlainCosts):
    """The prices that a run paid, with the ends of their ranges.

    An action is unit, what it does, number format, and the component that spends it.
    """

    actions: list[tuple[str, str, str, str]]
    low: PlainCosts
    high: PlainCosts
    board_uw: Count | None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        ends = (self, self.low, self.high)
        if {len(end.dynamic_aj) for end in ends} != {len(self.actions)}:
            raise ValueError("not every action has a price")
        if any(end.static_uw.keys() != self.static_uw.keys() for end in ends):
            raise ValueError("the ends of ranges are of other components")
        if not {spent for *_, spent in self.actions} <= self.static_uw.keys():
            raise ValueError("an action is spent by no component")
        return self


class RecordsVersion(Strict):
    """Which schema a file of records has."""

    version: int = Field(alias="schema")


class RecordsHeader(RecordsVersion):
    """What stands beside the rows of records.parquet."""

    macs_per_s: Count
    prices: PlainPrices
    records: list[RecordEntry]
