"""The document inside a report page: all that its script draws, in plain numbers.

Columns are lists of equal length. Names that repeat are numbers into a list of names. What must
stay exact beyond 53 bits (counts, prices, whole times) is decimal text, which the script reads as
BigInt.
"""

from typing import Any, NotRequired, TypedDict


class NameColumn(TypedDict):
    """A column of names: the distinct ones, and for each row which of them it has."""

    names: list[str]
    rows: list[int]


class PageTasks(TypedDict):
    """The tasks of one step; times in ps, energy in aJ, sizes in bytes.

    `tasks` says how many tasks a row stands for: 1, unless short ones were merged. `shape` is
    batch, M, N and K of a product; `cause` what most of a task's own time goes to.
    """

    unit: NameColumn
    stage: NameColumn
    op: NameColumn
    layer: NameColumn
    phase: NameColumn
    cause: NameColumn
    tasks: list[int]
    start: list[int]
    end: list[int]
    charged: list[int]
    macs: list[int]
    dram_bytes: list[int]
    scratchpad_bytes: list[int]
    energy: list[int]
    shape: list[list[int]]


class LevelColumns(TypedDict):
    """Something that is constant between moments: from `at[i]` ps on it is `value[i]`."""

    at: list[int]
    value: list[float]


class CauseRow(TypedDict):
    """A cause, and how much of the step is charged to it, in ps."""

    name: str
    ps: int


class RoofRow(TypedDict):
    """A bound on a rate: of arithmetic in MAC/s, or of a memory in B/s."""

    name: str
    unit: str
    per_s: float


class MemoryTime(TypedDict):
    """Where the channel of the DRAM spends a step, in ps: moving bytes at the peak rate, lost
    within accesses (row misses, turnarounds, refresh), idle; `waited` is what tasks took longer
    than alone.
    """

    moving: int
    lost: int
    idle: int
    waited: int


class StepSection(TypedDict):
    """One steady training step over time."""

    duration: int
    tasks: PageTasks
    causes: list[CauseRow]
    total_tasks: int
    bandwidth: dict[str, LevelColumns]
    power: LevelColumns
    roofs: list[RoofRow]
    memory: NotRequired[dict[str, LevelColumns]]
    dram: MemoryTime


class PriceRow(TypedDict):
    """A price with the ends of its range, as text, and the component that pays it.

    `kind` is "action" (aJ each), or what a component draws: "static" always, and beside it
    "standby" and "clocked" in states of the memory (uW). `key` is the action or the component.
    """

    kind: str
    key: str
    component: str
    value: str
    low: str
    high: str


class LossRow(TypedDict):
    """What supplies lose of all that they deliver, and the ends of its range, in permille."""

    component: str
    value: str
    low: str
    high: str


class AmountRow(TypedDict):
    """A part of a run before any price: for every price, how often its action happened, or for how
    many ps the power was drawn.
    """

    name: str
    amounts: list[str]


class PriceSection(TypedDict):
    """All that the energy of a run follows from: amounts x prices, and what supplies lose of them.

    `loss` is None where the boundary leaves supplies out.
    """

    rows: list[PriceRow]
    loss: LossRow | None
    parts: list[AmountRow]


class CardRow(TypedDict):
    """A headline number: its text, the text of its interval, and how a baseline compares.

    `value`, and the ends of the interval where there is one, are in `unit`.
    """

    key: str
    label: str
    unit: str
    value: float
    low: float | None
    high: float | None
    text: str
    interval: str
    against: str
    note: str


class UnsureRow(TypedDict):
    """A number that nobody has measured, and where it may lie."""

    path: str
    value: str
    low: str
    high: str
    kind: str
    source: str


class ValidationRow(TypedDict):
    """A measured machine: mean error, bias and worst in percent, and what it has in common."""

    machine: str
    what: str
    part: str
    rows: int
    mean: float
    bias: float
    worst: float
    near: str


class TrustSection(TypedDict):
    """What a run rests on."""

    sure: str
    decided_by: list[dict[str, Any]]
    unsure: list[UnsureRow]
    constants: int
    digests: dict[str, str]
    versions: dict[str, str]
    validation: list[ValidationRow]
    notes: list[str]


class LayerSum(TypedDict):
    """What a layer takes in the whole run."""

    layer: str
    energy_j: float
    energy_by_component_j: dict[str, float]
    macs: int
    dram_bytes: int


class RunSection(TypedDict):
    """A run."""

    name: str
    title: str
    hardware: str
    description: str
    trace: str
    method: str
    precision: str
    command: str
    cards: list[CardRow]
    phases: list[dict[str, Any]]
    layers: list[LayerSum]
    epochs: list[dict[str, float]]
    accuracy: list[float]
    memory: dict[str, int]
    step: StepSection
    prices: PriceSection
    trust: TrustSection


class SpaceColumn(TypedDict):
    """A column of a design space; `knob` where it is a setting.

    `unit` is that of numbers, "share" of those from 0 to 1, "name" of text. `texts` are values of
    a setting as a description has them.
    """

    key: str
    label: str
    unit: str
    knob: bool
    texts: NotRequired[list[str | None]]
    values: list[Any]


class BoundRow(TypedDict):
    """A constraint that bounds one column: `sign` is <= or >=."""

    key: str
    sign: str
    value: float
    text: str


class SpaceSection(TypedDict):
    """A design space: its points by column, its front, and what bounds it."""

    label: str
    trace: str
    sentences: list[str]
    command: str
    columns: list[SpaceColumn]
    feasible: list[bool]
    reason: list[str]
    front: list[bool]
    baseline: list[str]
    bounds: list[BoundRow]
    constraints: list[str]
    objectives: list[str]


class LaneRow(TypedDict):
    """What a device or a link does over time: a mark from `start` to `end` ps for `count` jobs."""

    name: str
    kind: str
    what: str
    start: list[int]
    end: list[int]
    count: list[int]


class ScenarioSection(TypedDict):
    """A scenario: lanes and queues over time, and the rows of scenario.json."""

    name: str
    headline: str
    command: str
    duration: int
    lanes: list[LaneRow]
    lanes_left_out: int
    queues: dict[str, LevelColumns]
    total: dict[str, Any]
    sources: list[dict[str, Any]]
    programs: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    links: list[dict[str, Any]]
    rounds: list[dict[str, Any]]


class ChangeRow(TypedDict):
    """A change of the machine that was simulated: what a step then takes and costs.

    `setting` has the options of `trainsoc run` that make it so, "" where none do.
    """

    name: str
    setting: str
    step_ps: int
    energy_j: float


class PageDocument(TypedDict):
    """The whole page; `runs[0]` is the run in question, the others are what it is compared with.

    `colours` and `labels` are of the phases.
    """

    title: str
    verdict: list[str]
    command: str
    runs: list[RunSection]
    changes: list[ChangeRow]
    spaces: list[SpaceSection]
    scenarios: list[ScenarioSection]
    colours: dict[str, str]
    labels: dict[str, str]
    trainsoc: str
