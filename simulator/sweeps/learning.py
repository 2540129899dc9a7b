"""How accurate networks are that are really trained: each once, and kept beside its trace."""

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from simulator.errors import InputError
from simulator.files.json import Strict, parse_json
from simulator.files.text import read_text
from simulator.files.writing import write_text
from simulator.memo import remember
from simulator.results.metrics import ACCURACY_BY_EPOCH, OF_NETWORK
from simulator.sweeps.accuracy import accuracy_columns
from simulator.sweeps.condition import condition, holding, words_of
from simulator.sweeps.job import Done, Job
from simulator.sweeps.networks import address_of_network, network_name
from simulator.sweeps.pruning import Peers, epochs_of_training, fate, text_of
from simulator.views.design_space import PointRow
from simulator.views.reasons import missed, pruned

TRAIN = "train"
"""What a request says in place of a table: networks are trained."""

Trainer = Callable[[str, int | None], Iterable[float]]
"""How to train a model by its name and batch size: yields the test accuracy after each epoch.

Whoever iterates may stop between epochs. The same network must be as accurate each time.
"""

_TestAccuracy = Annotated[float, Field(ge=0, le=1)]


class _CourseFile(Strict):
    """The training of one network as it stands in a file, to the end or an epoch before."""

    network: str
    accuracy: list[_TestAccuracy] = Field(min_length=1)
    complete: bool


@dataclass(frozen=True)
class Learning:
    """The accuracies of networks by name, each trained by whoever first asks for it.

    They stay in `folder`, where workers and later sweeps find them; without one each process
    trains its own. `conditions` are those on accuracy: a point shows only after training whether
    it meets them. `fixed` are settings by name that no axis moves.
    """

    train: Trainer
    folder: Path | None = None
    conditions: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def judged(self, done: Done, name: str, job: Job) -> Done:
        """Return a point with the accuracy of its network.

        One that misses a condition is infeasible: it has the reason and its accuracy, no results.
        So is one whose network was pruned.
        """
        progress = _progress(self.train, self.folder, name)
        if job.peers is None:
            accuracies, more = [*progress.epochs()], {}
        else:
            accuracies = self._promising(progress, done.row, name, job.peers)
            more = {ACCURACY_BY_EPOCH.key: text_of(accuracies)}
        columns = {**accuracy_columns(accuracies[-1]), **more}
        reason = self._missed(done.row, accuracies[-1])
        if reason is None:
            return done._replace(row={**done.row, **columns})
        if len(accuracies) < (whole := epochs_of_training(job.peers or {})):
            reason = pruned(len(accuracies), whole, accuracies[-1])
        base = {"point": job.address, **job.columns, "feasible": False, "reason": reason}
        return Done({**base, **columns})

    def _promising(
        self, progress: "_CourseOfTraining", row: PointRow, name: str, peers: Peers
    ) -> list[float]:
        """Return the accuracies of a network until it is pruned; the fate of a peer stays so."""
        accuracies: list[float] = []
        is_hopeless = fate(peers, name)
        with closing(progress.epochs()) as epochs:
            for accuracy in epochs:
                accuracies.append(accuracy)
                if is_hopeless(accuracies) and self._missed(row, accuracy) is not None:
                    break
        return accuracies

    def _missed(self, row: PointRow, accuracy: float) -> str | None:
        """Return why a point with this accuracy misses a condition; None where it meets all."""
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        if not self.conditions:
            return None
        table = pl.DataFrame([{**row, **accuracy_columns(accuracy)}])
        for text in self.conditions:
            if not holding(table, [text], self.fixed).all():
                return missed(text, accuracy)
        return None


def of_trained(texts: Iterable[str], columns: Sequence[str], fixed: Set[str]) -> tuple[str, ...]:
    """Return the conditions that name accuracy or error.

    `columns` are those of a point that ran, `fixed` the settings beside them. Raises InputError
    for a condition that cannot be read.
    """
    accuracies = {each.key for each in OF_NETWORK}
    chosen = tuple(text for text in texts if words_of(text) & accuracies)
    for text in chosen:
        condition(text, (*columns, *sorted(accuracies.difference(columns))), fixed)
    return chosen


def one_of_each_first(model: str, jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs, those first that train: one of each network, so that no two train one."""
    first: dict[str, Job] = {}
    rest = [job for job in jobs if first.setdefault(_network(model, job), job) is not job]
    return [*first.values(), *rest]


def _network(model: str, job: Job) -> str:
    labels: Mapping[str, str] = job.point.labels
    return network_name(model, labels)


@remember("accuracies of networks", most=4096)
def _progress(train: Trainer, folder: Path | None, name: str) -> "_CourseOfTraining":
    path = None if folder is None else folder / f"{address_of_network(name)}.accuracy.json"
    return _CourseOfTraining(train, path, name)


class _CourseOfTraining:
    """The training of a network as far as it went; the file at `path` knows each epoch."""

    def __init__(self, train: Trainer, path: Path | None, name: str) -> None:
        self._train, self._path, self._name = train, path, name
        self._accuracies: list[float] = []
        self._complete = False
        if path is not None and path.exists():
            with suppress(InputError):  # damaged: it is trained again
                course = parse_json(_CourseFile, read_text(path), str(path), "")
                self._accuracies, self._complete = course.accuracy, course.complete

    def epochs(self) -> Generator[float]:
        """Yield the accuracy after each epoch; what is not known yet is trained from the start."""
        yield from tuple(self._accuracies)
        if self._complete:
            return
        model, _, batch = self._name.partition(" b")
        training = self._train(model, int(batch) if batch else None)
        for accuracy in islice(training, len(self._accuracies), None):
            self._accuracies.append(accuracy)
            self._write()
            yield accuracy
        self._complete = True
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        record = {
            "network": self._name,
            "accuracy": self._accuracies,
            "complete": self._complete,
        }
        with suppress(InputError, OSError):  # it costs time only
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps(record) + "\n")
