"""Every metric of a run, a row each: key, unit, label, how it adds up, and where it appears.

Results, reports, sweeps, conditions, fronts, uncertainty and figures read this table; a metric that
is added here appears in all of them.
"""

from collections.abc import Iterable

from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.results.metric_row import (
    Breakdown,
    Column,
    CostBreakdown,
    Metric,
    MetricKind,
    MetricUse,
    Ratio,
    UnitBreakdown,
)
from simulator.results.priced import Priced
from simulator.trace.op import Phase

_SPELLINGS = {"cpu": "CPU", "dma": "DMA", "dram": "DRAM", "llc": "LLC"}

ADDITIVE, RATIO, PEAK = MetricKind
OBJECTIVE, PHASES, TRAINING, LEADING, SAMPLED, REQUIRED = MetricUse
NOWHERE = MetricUse.NOWHERE
_HEADLINE = OBJECTIVE | PHASES | TRAINING | LEADING | SAMPLED | REQUIRED

TABLE: tuple[Metric | CostBreakdown, ...] = (
    Metric("latency_s", "latency", 1, ADDITIVE, lambda part: part.latency_s, _HEADLINE,
           Ratio("speedup", "speedup")),
    Metric("latency_ps", "latency", 1, ADDITIVE, lambda part: part.tally.latency_ps, REQUIRED),
    Metric("energy_j", "energy", 1, ADDITIVE, lambda part: part.energy_j, _HEADLINE,
           Ratio("energy_ratio", "energy ratio")),
    Metric("energy_aj", "energy", 1, ADDITIVE, lambda part: part.energy_aj, REQUIRED),
    Metric("energy_low_j", "energy at the lowest prices", 1, ADDITIVE,
           lambda part: part.energy_low_j, OBJECTIVE | LEADING),
    Metric("energy_high_j", "energy at the highest prices", 1, ADDITIVE,
           lambda part: part.energy_high_j, OBJECTIVE | LEADING),
    CostBreakdown("energy_by_component_j", "energy_{}_j", "{} energy", 1,
                  lambda part: part.energy_by_component_j, REQUIRED),
    CostBreakdown("energy_by_boundary_j", "energy_within_{}_j", "energy within {}", 1,
                  lambda part: part.energy_by_boundary_j, NOWHERE),
    Metric("board_energy_j", "board energy", 1, ADDITIVE, lambda part: part.board_energy_j,
           NOWHERE),
    Metric("macs", "MACs", 1, ADDITIVE, lambda part: part.counts.macs, REQUIRED),
    Metric("macs_issued", "issued MACs", 1, ADDITIVE, lambda part: part.counts.macs_issued,
           REQUIRED),
    Metric("dram_read_bytes", "DRAM reads", 1, ADDITIVE, lambda part: part.counts.dram_read_bytes,
           OBJECTIVE | PHASES | REQUIRED),
    Metric("dram_write_bytes", "DRAM writes", 1, ADDITIVE,
           lambda part: part.counts.dram_write_bytes, OBJECTIVE | PHASES | REQUIRED),
    Metric("bandwidth_bytes_per_s", "bandwidth", 0, RATIO, lambda part: part.bandwidth, REQUIRED),
    CostBreakdown("bandwidth_by_master_bytes_per_s", "bandwidth_{}_bytes_per_s", "{} bandwidth", 0,
                  lambda part: part.bandwidth_by_master, NOWHERE),
    Metric("row_hit_rate", "row hit rate", 0, RATIO, lambda part: part.row_hit_rate, NOWHERE),
    Metric("contention_s", "contention", 1, ADDITIVE, lambda part: part.contention_s, NOWHERE),
    Metric("array_use", "array use", 0, RATIO,
           lambda part: part.array_share(part.tally.active_ps), PHASES),
    Metric("array_utilization", "array utilization", 0, RATIO,
           lambda part: part.array_share(part.units[ACCELERATOR].busy_ps), PHASES,
           alias="utilization"),
    Metric("cpu_busy_s", "CPU busy time", 1, ADDITIVE, lambda part: part.busy_s[HOST],
           PHASES | TRAINING),
    Metric("accelerator_busy_s", "accelerator busy time", 1, ADDITIVE,
           lambda part: part.busy_s[ACCELERATOR], PHASES | TRAINING),
    UnitBreakdown("", "{}_busy_s", "{} busy time", 1,
                  lambda part: part.further_busy_s,
                  PHASES | TRAINING),
    Metric("average_power_w", "average power", 0, RATIO, lambda part: part.average_power_w,
           OBJECTIVE | REQUIRED, alias="power"),
    Metric("peak_power_w", "peak power", 0, PEAK, lambda part: part.peak_power_w,
           OBJECTIVE | REQUIRED),
    Metric("edp_js", "energy-delay product", 2, RATIO, lambda part: part.energy_j * part.latency_s,
           OBJECTIVE | PHASES | SAMPLED),
    Metric("tokens", "tokens", 1, ADDITIVE, lambda part: part.tokens, NOWHERE),
    Metric("tokens_per_s", "tokens per second", 0, RATIO, lambda part: part.tokens_per_s, NOWHERE),
    Metric("energy_per_token_j", "energy per token", 0, RATIO,
           lambda part: part.energy_per_token_j, NOWHERE),
)  # fmt: skip
"""All that a result says of each part of a run, in its order.

`array_use` is over the time in which the part was active, `array_utilization` over the
accelerator's busy time; the lowest and highest energy are at the ends of all prices at once. Only
what a language model generates has tokens.
"""
METRICS = tuple(row for row in TABLE if isinstance(row, Metric))
AREAS = Breakdown("area_mm2", "area_{}_mm2", "{} area", 0)
MEMORY = Breakdown("memory", "memory_{}_bytes", "{} memory", 0)
UNIT_BREAKDOWNS = tuple(row for row in TABLE if isinstance(row, UnitBreakdown))
COST_BREAKDOWNS = tuple(row for row in TABLE if isinstance(row, CostBreakdown))
BREAKDOWNS = (*COST_BREAKDOWNS, AREAS, MEMORY)
AREA = Column(AREAS.column.format("total"), "area", 0, alias="area")
PEAK_MEMORY = Column(MEMORY.column.format("peak"), "peak memory", 0)
RESOURCES = (
    Column("luts", "LUTs", 0), Column("ffs", "flip-flops", 0), Column("dsps", "DSP slices", 0),
    Column("brams", "block RAMs", 0),
)  # fmt: skip
"""What arrays take of an FPGA; only machines with one have these."""
ACCURACY = Column("accuracy", "accuracy", 0)
ERROR = Column("error", "error", 0, alias=ACCURACY.key)
"""One minus the accuracy of what trains: what a sweep minimises that is to maximise that."""
ACCURACY_BY_EPOCH = Column("accuracy_by_epoch", "accuracy by epoch", 0)
"""Test accuracies as text, where networks may be pruned."""
OF_GOVERNOR = (
    Column("governed_latency_s", "governed latency", 1),
    Column("governed_energy_j", "governed energy", 1),
)
"""What a run takes at the clocks that its governor chooses; only SoCs with one have these."""
CHARGE = Column("charge_per_epoch", "charge per epoch", 0)
"""The share of a battery's charge that an epoch takes; only SoCs with a battery have it."""
OF_HEAT = (
    Column("peak_temperature_degc", "peak temperature", 0),
    Column("throttled_s", "throttled time", 0),
    Column("sustained_epoch_s", "sustained time per epoch", 0),
    CHARGE,
)
"""What epochs of heat make of a SoC, where a sweep runs some: only one that describes how it cools
has these.
"""
OF_MACHINE = (AREA, PEAK_MEMORY, *RESOURCES)
"""What a sweep can minimise that belongs to no part of a run."""
OF_NETWORK = (ACCURACY, ERROR)
"""What a sweep knows of the network where its accuracies are given."""
PERCENTILES = ("p05", "p50", "p95")
"""What a sweep tells of a metric in samples; the outer two bound nine in ten of them."""


def using(use: MetricUse) -> tuple[Metric, ...]:
    """Return the metrics that appear where `use` says."""
    return tuple(metric for metric in METRICS if use in metric.uses)


def metric(key: str) -> Metric:
    """Return the metric with this key; raises KeyError for another one."""
    return {each.key: each for each in METRICS}[key]


def cost_row(part: Priced) -> dict[str, object]:
    """Return the value of every metric that `part` has, by its key."""
    values: dict[str, object] = {}
    for row in TABLE:
        if isinstance(row, UnitBreakdown):
            values |= row.columns(row.compute(part))
        else:
            values[row.key] = row.compute(part)
    return {key: value for key, value in values.items() if value is not None}


LATENCY, ENERGY = metric("latency_s"), metric("energy_j")
ENERGY_BY_COMPONENT = COST_BREAKDOWNS[0]
COMPARED = tuple((each, each.ratio) for each in METRICS if each.ratio)
"""The metrics of a verdict, and their ratios."""
OBJECTIVES = tuple(each.key for each in (LATENCY, ENERGY))
"""The columns that a sweep minimises where nobody says which."""
TRAINING_PART = "training"
"""All phases that train: the start of its columns in a sweep."""
_PARTS = (TRAINING_PART, *(phase.value for phase in Phase))


def components_in(columns: Iterable[str]) -> list[str]:
    """Return the components whose energy is in these columns of a sweep."""
    metrics = {each.key for each in METRICS}
    names = [ENERGY_BY_COMPONENT.name_in(each) for each in columns if each not in metrics]
    return [name for name in names if name]


def column_of(key: str) -> Column:
    """Return what a column of a sweep holds, whichever part of the run it is of."""
    own = (*OF_GOVERNOR, *OF_HEAT)
    columns = {each.key: each for each in (*METRICS, *OF_MACHINE, *OF_NETWORK, *own)}
    if key in columns:
        return columns[key]
    for part in _PARTS:
        whole = columns.get(key.removeprefix(f"{part}_"))
        if whole is not None:
            return Column(key, f"{spoken(part)} {whole.label}", whole.per_epoch)
    for each in using(SAMPLED):
        for word in PERCENTILES:
            if key == each.between(word):
                return Column(key, f"{each.label} {word}", each.per_epoch)
    for breakdown in BREAKDOWNS:
        if name := breakdown.name_in(key):
            return Column(key, breakdown.label.format(spoken(name)), breakdown.per_epoch)
    plain = Column(key, spoken(key), 0)
    return Column(key, spoken(key.removesuffix(plain.suffix)), 0)


def minimisable() -> tuple[str, ...]:
    """Return the columns that a search can make least of: those of the run, then of its parts."""
    return (
        *(each.key for each in (*using(OBJECTIVE), *OF_MACHINE, *OF_GOVERNOR, *OF_HEAT)),
        *(f"{TRAINING_PART}_{each.key}" for each in using(OBJECTIVE | TRAINING)),
        *(f"{phase.value}_{each.key}" for phase in Phase for each in using(OBJECTIVE | PHASES)),
    )


def spoken(key: str) -> str:
    """Return the words of a key as people write them: "CPU busy"."""
    return " ".join(_SPELLINGS.get(word, word) for word in key.split("_"))
