"""The steps of a saved run as columns: sums and peaks need no more, tasks are built on demand."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.activity import Action, Counts, DramStates, Span, Stage, Task, Work
from simulator.energy.prices import Prices
from simulator.results.documents import RecordEntry
from simulator.results.power import peaks_uw
from simulator.results.record import LayerPhase
from simulator.results.tally import Ran, Tally, tallies, with_tokens
from simulator.timing.shares import WHOLE
from simulator.trace.op import Phase

if TYPE_CHECKING:
    import polars

_SAME_NAMES = (
    "overhead_ps", "compute_ps", "memory_ps", "batch", "m", "n", "k", "compute_cycles", "mapping",
)  # fmt: skip
WORK_FIELDS = {name: name for name in _SAME_NAMES} | {"mapped": "mapping_reason"}
"""The columns that are fields of Work, with the names of the fields."""
MACS = ("macs", "macs_issued")
OF_WORK = ("unit", "stage", "channel_ps", "alone_ps", *WORK_FIELDS, *MACS)
"""All columns that are the same wherever a piece of work runs; those of actions follow."""


class Finished(NamedTuple):
    """The progress of work that has run; a file has only its time alone."""

    channel_ps: int
    alone_ps: int

    def duration_ps(self, share: int) -> int:
        """Return the time that the work takes with all of the memory."""
        if share != WHOLE:
            raise ValueError("of finished work only the time alone is kept")
        return self.alone_ps


class _WorkSums(NamedTuple):
    alone_ps: int
    unit: str
    counts: Counts


class SavedTasks:
    """All tasks of a saved run, a row each; rows of the same `work` are of one object."""

    def __init__(self, frame: "polars.DataFrame", actions: Sequence[Action]) -> None:
        """Take rows that were checked, with a column for each of `actions`."""
        self._frame, self._actions = frame, actions
        self._distinct = frame.unique("work", keep="first", maintain_order=True)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks as objects."""
        counts = self._counts
        cells = self._distinct.select("work", *OF_WORK).iter_rows()
        works = {number: _work(counts[number], *of_work) for number, *of_work in cells}
        places = self._frame.select("work", "op", "phase", "layer").iter_rows()
        return tuple(
            Task(works[work], op, Phase(phase), layer, ()) for work, op, phase, layer in places
        )

    def records(self, entries: Sequence[RecordEntry], prices: Prices) -> "tuple[SavedRecord, ...]":
        """Return the steps that the file's header lists, their peaks at `prices`."""
        sizes = Counter(self._column("record"))
        ends = accumulate((sizes[number] for number in range(len(entries))), initial=0)
        cuts = [slice(first, end) for first, end in pairwise(ends)]
        steps = self._ran(cuts, prices)
        return tuple(
            SavedRecord(each.step, dict(each.runs), tuple(each.ops), ran, cut, self, each.tokens)
            for each, cut, ran in zip(entries, cuts, steps, strict=True)
        )

    def _ran(self, cuts: list[slice], prices: Prices) -> Iterator[Ran]:
        sums = self._sums()
        dynamic_aj = {work: prices.dynamic_aj_of(each.counts) for work, each in sums.items()}
        works, attributed_ps, starts, ends = map(
            self._column, ("work", "attributed_ps", "start_ps", "end_ps")
        )
        states = list(map(DramStates, *map(self._column, DramStates._fields)))
        for cut in cuts:
            spans = list(map(Span, starts[cut], ends[cut]))
            awake_aj = map(prices.states_aj, states[cut])
            pairs = zip(works[cut], awake_aj, strict=True)
            spent_aj = [dynamic_aj[work] + awake for work, awake in pairs]
            yield Ran(
                spans,
                attributed_ps[cut],
                [sums[work].alone_ps for work in works[cut]],
                [sums[work].unit for work in works[cut]],
                [sums[work].counts for work in works[cut]],
                peaks_uw(spans, spent_aj, prices.whole_static_uw),
                states[cut],
            )

    @cached_property
    def places(self) -> list[LayerPhase]:
        """The layer and phase of each task."""
        return list(zip(self._column("layer"), map(Phase, self._column("phase")), strict=True))

    def _sums(self) -> dict[int, "_WorkSums"]:
        """Return time, unit and counts of each work, by its number."""
        counts = self._counts
        cells = self._distinct.select("work", "alone_ps", "unit").iter_rows()
        return {work: _WorkSums(alone_ps, unit, counts[work]) for work, alone_ps, unit in cells}

    @cached_property
    def _counts(self) -> dict[int, Counts]:
        columns = [action.key for action in self._actions]
        cells = self._distinct.select("work", *MACS, *columns).iter_rows()
        return {
            work: Counts(dict(zip(self._actions, amounts, strict=True)), macs, macs_issued)
            for work, macs, macs_issued, *amounts in cells
        }

    def _column(self, name: str) -> list[Any]:
        return self._frame[name].to_list()


@dataclass(frozen=True)
class SavedRecord:
    """One kind of step of a saved run, as `StepRecord` is one of a new run.

    `cut` is where its tasks are among all of the run's.
    """

    step: int
    runs: dict[int, int]
    op_names: tuple[str, ...]
    ran: Ran
    cut: slice
    saved: SavedTasks
    tokens: int

    @property
    def count(self) -> int:
        """How often this kind ran in all."""
        return sum(self.runs.values())

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its tasks, in the order of `ran`."""
        return self.saved.tasks[self.cut]

    @cached_property
    def by_phase(self) -> Mapping[Phase, Tally]:
        """The sums of each phase."""
        phases = [phase for _, phase in self.saved.places[self.cut]]
        return with_tokens(tallies(self.ran, phases), self.tokens)

    @cached_property
    def by_layer(self) -> Mapping[LayerPhase, Tally]:
        """The sums of each layer and phase, in order of appearance."""
        return tallies(self.ran, self.saved.places[self.cut])


def _work(
    counts: Counts, unit: str, stage: str, channel_ps: int, alone_ps: int, *rest: Any
) -> Work:
    fields = dict(zip(WORK_FIELDS.values(), rest, strict=False))
    return Work(unit, Stage(stage), Finished(channel_ps, alone_ps), counts, **fields)
