"""What a sweep explores: points, and what each of them costs; runs of training, or scenarios."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from simulator.sweeps.grid import Grid, Point
from simulator.sweeps.job import Delivery, Done, Job
from simulator.sweeps.request import SweepRequest
from simulator.views.design_space import PointRow


class Exploration(Protocol):
    """The points of a sweep before it runs."""

    @property
    def space(self) -> Grid:
        """Its axes and conditions."""

    @property
    def request(self) -> SweepRequest:
        """The same as it stands in a file."""

    @property
    def knobs(self) -> tuple[str, ...]:
        """The columns that tell points apart."""

    @property
    def measures(self) -> Sequence[str]:
        """The columns that a search can minimise."""

    @property
    def resolved(self) -> Mapping[str, Any]:
        """What is swept, in plain numbers."""

    def baselines(self) -> Iterator[Point]:
        """Yield the points outside of the space."""

    def points(self) -> Iterator[Point]:
        """Yield the baselines, then the points of the space in order."""

    def address(self, point: Point) -> str:
        """Return the address of a point; raises InputError where it can have none."""

    def row_of(self, point: Point, columns: PointRow) -> PointRow:
        """Return what tells a point apart in the table, its knobs being `columns`."""

    def job(self, point: Point, columns: PointRow, *, full: bool = False, address: str = "") -> Job:
        """Return the job of a point.

        Raises InputError where its settings do not fit together, Infeasible where it has no room.
        """

    @property
    def prunes(self) -> bool:
        """Whether the training of a network may stop early."""

    def network(self, point: Point) -> str:
        """Return the name of the trace, or network, that a point runs."""

    def arranged(self, jobs: Iterable[Job]) -> Iterable[Job]:
        """Return the jobs in the order in which they take least."""

    def run(self, job: Job) -> Done:
        """Return what a point costs; one that cannot run has its reason instead."""


def replayed(jobs: Iterable[Job], study: Exploration) -> Delivery:
    """Return what points of a study cost, those before one that fails.

    Raises what the first raises; so asking again for the rest tells what failed.
    """
    start, done = time.process_time(), list[Done]()
    for job in jobs:
        try:
            done.append(study.run(job))
        except Exception:
            if not done:
                raise
            break
    return Delivery(done, time.process_time() - start)
