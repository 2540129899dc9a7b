"""The schemas of result.json and step.json: checked once, where a file is read.

Numbers are finite and not negative. Keys that a later version added are left as they are. Each
document is one TypedDict: pydantic checks files by it, and mypy the code that reads them.
"""

from typing import TYPE_CHECKING, Annotated, Any, NotRequired, Self, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
    with_config,
)
from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from simulator.energy.boundary import Boundary
from simulator.files.json import BY_NEED, Strict
from simulator.results import metrics
from simulator.results.metric_row import Metric

AGAIN = "run `trainsoc run -o` again"
_LARGEST = 10**60  # far beyond any sum of a run, and still a float
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
NonNegative = Annotated[float, Field(ge=0, le=float(_LARGEST), allow_inf_nan=False)]


def _cost_fields() -> dict[str, Any]:
    """Return the type of every metric's value, by its key."""
    fields: dict[str, Any] = {}
    for row in metrics.TABLE:
        if row in metrics.UNIT_BREAKDOWNS:
            continue  # a key for each unit that the SoC has
        kind: Any = dict[str, NonNegative]
        if isinstance(row, Metric):
            kind = Count if row.is_whole else NonNegative
        fields[row.key] = kind if metrics.REQUIRED in row.uses else NotRequired[kind]
    return fields


if TYPE_CHECKING:
    from simulator.results.metric_row import CostRow

    EpochRow = CostRow
    PhaseRow = CostRow
    LayerRow = CostRow
else:
    CostRow = TypedDict("CostRow", _cost_fields())
    EpochRow = TypedDict("EpochRow", _cost_fields() | {"epoch": Count})
    PhaseRow = TypedDict("PhaseRow", _cost_fields() | {"phase": str})
    LayerRow = TypedDict("LayerRow", _cost_fields() | {"phase": str, "layer": str})


class OpRow(TypedDict):
    """A piece of work, and what it took and cost each time."""

    phase: str
    layer: str
    op: str
    stage: str
    unit: str
    count: Count
    attributed_s: NonNegative
    energy_j: NonNegative
    dram_read_bytes: Count
    dram_write_bytes: Count


class BitsRow(TypedDict):
    """The bits of a layer in each epoch."""

    layer: str
    weights: list[NonNegative]
    activations: list[NonNegative]
    gradients: list[NonNegative]


def _equally_long(rows: list[BitsRow]) -> list[BitsRow]:
    if len({len(row["weights"]) for row in rows}) > 1:
        raise ValueError("layers have different numbers of epochs")
    return rows


class PrecisionDocument(TypedDict):
    """The precisions of the GEMMs, and what a method made of the layers."""

    traced: list[str]
    executed: list[str]
    bits: NotRequired[Annotated[list[BitsRow], AfterValidator(_equally_long)]]


class ProvenanceDocument(TypedDict):
    """What the run was made of."""

    energy_digest: str
    trace_origin: NotRequired[dict[str, str]]
    notes: NotRequired[list[str]]


class MemoryDocument(TypedDict):
    """The most memory that a step holds, in bytes; each kind at its own maximum.

    `copies` are what units need beside the tensors of the trace: operands in their formats and
    orders, sums that are not results yet.
    """

    parameters: Count
    gradients: Count
    optimizer_state: Count
    activations: Count
    copies: NotRequired[Count]
    peak_bytes: Count
    cache: NotRequired[Count]


class AreaRow(TypedDict):
    """The area of a component."""

    component: str
    mm2: NonNegative
    low_mm2: NonNegative
    high_mm2: NonNegative
    source: str
    confidence: str


class FpgaDocument(TypedDict):
    """What the arrays take of their FPGA."""

    luts: Count
    ffs: Count
    dsps: Count
    brams: Count


class IntervalRow(TypedDict):
    """A number that is not sure: its median and the interval that holds it."""

    low: NonNegative
    median: NonNegative
    high: NonNegative


class ShareRow(TypedDict):
    """A constant, and its share in the variance of an answer."""

    setting: str
    name: str
    machines: list[str]
    share: NonNegative
    share_with_others: NonNegative
    value: str
    low: str
    high: str
    kind: str
    source: str


@with_config(ConfigDict(extra="allow"))
class UncertaintyDocument(TypedDict):
    """How sure a result is; all other keys are intervals of metrics and ratios: `interval_of`."""

    samples: Count
    seed: Count
    level: NonNegative
    infeasible: Count
    reasons: dict[str, Count]
    probability_faster: NotRequired[NonNegative]
    probability_less_energy: NotRequired[NonNegative]
    probability_both: NotRequired[NonNegative]
    decided: str
    r2: NonNegative
    decided_by: list[ShareRow]
    energy_decided: str
    energy_r2: NonNegative
    energy_decided_by: list[ShareRow]


_INTERVALS: TypeAdapter[dict[str, IntervalRow]] = TypeAdapter(
    dict[str, IntervalRow], config=BY_NEED
)


def _check_intervals(account: UncertaintyDocument) -> UncertaintyDocument:
    named = UncertaintyDocument.__annotations__
    _INTERVALS.validate_python({key: row for key, row in account.items() if key not in named})
    return account


def interval_of(account: UncertaintyDocument, key: str) -> IntervalRow | None:
    """Return the interval of a metric or ratio, None where the samples have none."""
    return cast("IntervalRow | None", account.get(key))


class Version(Strict):
    """Which schema a result has: read before all else, which may differ."""

    version: Annotated[str, StringConstraints(pattern=r"^\d{1,9}\.\d{1,9}$")] = Field(
        alias="schema"
    )


@with_config(BY_NEED)
class FusedRow(TypedDict):
    """An op of a distinct step that several traced ones became; `saved_bytes` are those of results
    that its parts pass on, in one run.
    """

    step: Count
    op: str
    layer: str
    phase: str
    parts: list[str]
    runs: Count
    saved_bytes: Count


@with_config(BY_NEED)
class FusionDocument(TypedDict):
    """Which ops a machine fused: ops of all distinct steps before and after, and each fused op.
    `saved_bytes` of all runs would have gone to memory, or to a cache. Where the host's code is
    `compiled` at known costs, those are in the times: a step may be slower than without fusion.
    """

    mode: str
    compiled: NotRequired[bool]
    ops_traced: Count
    ops: Count
    saved_bytes: Count
    groups: list[FusedRow]


@with_config(BY_NEED)
class SparsityDocument(TypedDict):
    """What zeros save over a run: MACs of all products as if none were sparse, those that multiply
    no zero, those that units execute (a strided dgrad may have more than its product), and what
    accelerators skip beside, in MACs and in time of computing, ps.
    """

    dense_macs: Count
    useful_macs: Count
    issued_macs: Count
    skipped_macs: Count
    skipped_ps: Count


@with_config(BY_NEED)
class HeatDocument(TypedDict):
    """A run over seconds to hours: time, energy of the board, temperature of the die, and clock.

    `steady_temperature_degc` is without throttling, null where leakage makes it run away;
    `timeline` has second, degC, Hz and W; `complete` is false where the battery is empty, or the
    die runs away, first.
    """

    epochs: float
    complete: bool
    time_s: float
    energy_j: float
    peak_temperature_degc: float
    steady_temperature_degc: float | None
    throttled_s: float
    clock_shares: dict[str, float]
    timeline: list[tuple[float, float, int, float]]
    charge_per_epoch: NotRequired[float]
    epochs_per_charge: NotRequired[float]


class GovernedPart(TypedDict):
    """A part of the step over the whole run, at the clocks in Hz that a governor chose by unit."""

    part: str
    clocks: dict[str, Count]
    time_s: NonNegative
    energy_j: NonNegative


@with_config(BY_NEED)
class DvfsDocument(TypedDict):
    """What a governor makes of a run: its time and energy, switches included, and with clocks
    fixed.
    """

    governor: str
    time_s: NonNegative
    energy_j: NonNegative
    fixed_time_s: NonNegative
    fixed_energy_j: NonNegative
    switches: Count
    switching_s: NonNegative
    switching_j: NonNegative
    parts: list[GovernedPart]


@with_config(BY_NEED)
class ResultDocument(TypedDict):
    """The content of result.json, as far as anything reads it."""

    schema: str
    provenance: ProvenanceDocument
    hardware: str
    trace: str
    method: str
    fidelity: str
    boundary: NotRequired[str]
    precision: PrecisionDocument
    epochs_simulated: Count
    steps_simulated: Count
    total: CostRow
    phases: list[PhaseRow]
    layers: list[LayerRow]
    epochs: list[EpochRow]
    memory: MemoryDocument
    area_mm2: NotRequired[dict[str, NonNegative]]
    area: NotRequired[list[AreaRow]]
    fpga: NotRequired[FpgaDocument]
    ops: NotRequired[list[OpRow]]
    fusion: NotRequired[FusionDocument]
    sparsity: NotRequired[SparsityDocument]
    heat: NotRequired[HeatDocument]
    dvfs: NotRequired[DvfsDocument]
    uncertainty: NotRequired[Annotated[UncertaintyDocument, AfterValidator(_check_intervals)]]


def by_phase(document: ResultDocument) -> dict[str, CostRow]:
    """Return what each phase of a run costs, by its name."""
    return {str(row["phase"]): row for row in document["phases"]}


class RecordEntry(Strict):
    """A kind of step of records.parquet: which distinct step, its ops, how often it ran when, and
    the tokens of a run.
    """

    step: Count
    runs: list[tuple[Count, Count]]
    ops: list[str]
    tokens: Count = 0


class PlainCosts(Strict):
    """Prices of all actions, in aJ, the power of each component, in uW, always and in states of the
    memory, and what regulators lose, in permille.
    """

    dynamic_aj: list[Count]
    static_uw: dict[str, Count]
    state_uw: dict[str, tuple[Count, Count]]
    loss: Count


class PlainPrices(PlainCosts):
    """The prices that a run paid, with the ends of their ranges.

    An action is unit, what it does, number format, and the component that spends it.
    """

    actions: list[tuple[str, str, str, str]]
    low: PlainCosts
    high: PlainCosts
    board_uw: Count | None
    boundary: Boundary

    @model_validator(mode="after")
    def _complete(self) -> Self:
        ends = (self, self.low, self.high)
        if {len(end.dynamic_aj) for end in ends} != {len(self.actions)}:
            raise ValueError("not every action has a price")
        if any(end.static_uw.keys() != self.static_uw.keys() for end in ends):
            raise ValueError("the ends of ranges are of other components")
        if any(end.state_uw.keys() != self.state_uw.keys() for end in ends):
            raise ValueError("the ends of ranges have other components in states of the memory")
        if not self.state_uw.keys() <= self.static_uw.keys():
            raise ValueError("a component has states of the memory, and no power")
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
