"""Points to replay, as they go to workers, and what comes back."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simulator.code import fingerprint
from simulator.errors import InputError
from simulator.sweeps.grid import Point
from simulator.sweeps.pruning import Peers
from simulator.trace.passes.overlay import scheduled
from simulator.trace.passes.treatment import MethodSchedule
from simulator.trace.trace import Trace
from simulator.views.design_space import PointRow

AS_TRACED = "as-traced"


@dataclass(frozen=True)
class Training:
    """The runs that a sweep replays: traces and methods by name, and the trainsoc that sweeps.

    Sent to every worker once.
    """

    traces: Mapping[str, Trace]
    methods: Mapping[str, MethodSchedule]
    code: str = field(default_factory=fingerprint)
    _treated: dict[tuple[str, str], Trace] = field(default_factory=dict, repr=False, compare=False)

    def trace(self, name: str, method: str) -> Trace:
        """Return a trace, with a method laid over it unless that is "as-traced"."""
        if method == AS_TRACED:
            return self.traces[name]
        key = name, method
        if key not in self._treated:
            self._treated[key] = scheduled(self.traces[name], self.methods[method])
        return self._treated[key]

    def check(self) -> None:
        """Raise InputError where this process has another trainsoc than the one that sweeps."""
        if self.code != fingerprint():
            raise InputError(
                f"a worker runs trainsoc {fingerprint()}, the sweep trainsoc {self.code}: "
                "install the same on both"
            )


@dataclass(frozen=True)
class Job:
    """A point to replay, as it goes to a worker, who has the study. Equal addresses mean equal
    results.

    `columns` tell it apart in the table. With `peers` the training of its network may be pruned.
    """

    address: str
    point: Point
    columns: PointRow
    full: bool = False
    peers: Peers | None = None


class Done(NamedTuple):
    """A row of the table, and the whole result as text where the job is `full`."""

    row: PointRow
    document: str = ""

    @property
    def address(self) -> str:
        """The address of the point."""
        return str(self.row["point"])

    @property
    def feasible(self) -> bool:
        """Whether the point can run."""
        return bool(self.row["feasible"])


class Delivery(NamedTuple):
    """The first of some jobs: all, or those before one that failed.

    They took so many `seconds` of CPU time.
    """

    done: list[Done]
    seconds: float


def address_of(digest: str, trace: Trace, code: str, sampled: Sequence[Any] = ()) -> str:
    """Return the name of a point by its content: its hardware, trace and method, and trainsoc.

    One that is sampled has another name, to which `sampled` belongs: how, and the ranges of its
    constants.
    """
    parts = (digest, trace.digest, code, *sampled)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
