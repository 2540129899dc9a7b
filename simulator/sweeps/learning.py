"""How accurate networks are that are really trained: each once, and kept beside its trace."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from simulator.errors import InputError
from simulator.files.json import Strict, parse_json
from simulator.files.text import read_text
from simulator.files.writing import write_text
from simulator.memo import remember
from simulator.results.metrics import OF_NETWORK
from simulator.sweeps.accuracy import accuracy_columns
from simulator.sweeps.condition import condition, holding, words_of
from simulator.sweeps.job import Done, Job
from simulator.sweeps.networks import address_of_network, network_name

TRAIN = "train"
"""What a request says in place of a table: networks are trained."""

Trainer = Callable[[str, int | None], Sequence[float]]
"""How to train a model by its name and batch size; returns the test accuracy of each epoch."""

_TestAccuracy = Annotated[float, Field(ge=0, le=1)]


class _Course(Strict):
    """The training of one network as it stands in a file."""

    network: str
    accuracy: list[_TestAccuracy] = Field(min_length=1)


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

    def accuracy(self, name: str) -> float:
        """Return the test accuracy of a network after its last epoch, from 0 to 1."""
        return _accuracies(self.train, self.folder, name)[-1]

    def judged(self, done: Done, name: str, job: Job) -> Done:
        """Return a point with the accuracy of its network.

        One that misses a condition is infeasible: it has the reason and its accuracy, no results.
        """
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        accuracy = self.accuracy(name)
        columns = accuracy_columns(accuracy)
        row = {**done.row, **columns}
        for text in self.conditions:
            if not holding(pl.DataFrame([row]), [text], self.fixed).all():
                reason = f"{text.strip()}: trained, its network has {accuracy:.4g}"
                base = {"point": job.address, **job.columns, "feasible": False, "reason": reason}
                return Done({**base, **columns})
        return done._replace(row=row)


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
def _accuracies(train: Trainer, folder: Path | None, name: str) -> Sequence[float]:
    path = None if folder is None else folder / f"{address_of_network(name)}.accuracy.json"
    if path is not None and path.exists():
        with suppress(InputError):  # damaged: it is trained again
            return parse_json(_Course, read_text(path), str(path), "").accuracy
    model, _, batch = name.partition(" b")
    accuracies = [*train(model, int(batch) if batch else None)]
    if path is not None:
        with suppress(InputError, OSError):  # it costs time only
            path.parent.mkdir(parents=True, exist_ok=True)
            record = {"network": name, "accuracy": accuracies}
            write_text(path, json.dumps(record) + "\n")
    return accuracies
