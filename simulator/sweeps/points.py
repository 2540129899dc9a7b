"""The points of a study on their way to a table: jobs to replay, and rows that await results."""

from collections.abc import Iterable, Iterator, Mapping

from simulator.errors import Infeasible, InputError
from simulator.sweeps.exploration import Exploration
from simulator.sweeps.grid import Grid, Point
from simulator.sweeps.job import Job
from simulator.sweeps.store import Store
from simulator.sweeps.watch import Watcher
from simulator.views.design_space import Cell


class Points:
    """The points of a study as rows that await their results, which the store has by address."""

    def __init__(self, study: Exploration, store: Store, *, full: bool = False) -> None:
        """Start without points; with `full`, whole results are kept too."""
        self._study, self._store, self._full = study, store, full
        self.rows: list[dict[str, Cell]] = []
        self._seen: set[str] = set()

    def missing(self, points: Iterable[Point], watch: Watcher) -> Iterator[Job]:
        """Yield a job for each of `points` that the store lacks, and count all others."""
        for point in points:
            job = self.job(point)
            if job is None:
                watch.finished()
            else:
                yield job

    def job(self, point: Point) -> Job | None:
        """Note the row of a point and return its job.

        None where it is finished or on its way, and where it cannot run: its settings do not fit
        together, or its arrays do not fit their FPGA.
        """
        study, row = self._study, self._study.row_of(point, self._columns(point))
        try:
            address = study.address(point)
            is_new = address not in self._seen and address not in self._store
            job = study.job(point, row, full=self._full, address=address) if is_new else None
        except (InputError, Infeasible) as error:
            self.rows.append({**row, "point": ""} | _why(str(error)))
            return None
        self._seen.add(address)
        self.rows.append({**row, "point": address})
        return job

    def give_up(self, reasons: Mapping[str, str]) -> None:
        """Note why points of these addresses have no result."""
        for row in self.rows:
            reason = reasons.get(str(row["point"]))
            if reason is not None:
                row.update(_why(reason))

    def _columns(self, point: Point) -> dict[str, Cell]:
        """Return the plain values of a point's knobs; none of a baseline, which has no knobs."""
        space = self._study.space
        if point.baseline:
            return {key: None for key in space.knobs if key not in ("trace", "method")}
        return plain_knobs(space, point)


def plain_knobs(space: Grid, point: Point) -> dict[str, Cell]:
    """Return the value of every knob at `point`, in inner units: 65536 for "64 KiB"."""
    texts = {**point.settings, **point.labels}
    columns: dict[str, Cell] = {}
    for axis, values in zip(space.axes, space.values, strict=True):
        index = axis.choices.index(tuple(texts[key] for key in axis.keys))
        columns |= dict(zip(axis.keys, values[index], strict=True))
    return columns


def _why(reason: str) -> dict[str, Cell]:
    """Return the columns of a row that has a reason instead of a result."""
    return {"feasible_own": False, "reason_own": reason}
