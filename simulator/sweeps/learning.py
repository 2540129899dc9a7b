"""How accurate networks are that are really trained: each once, and kept beside its trace."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from simulator.errors import InputError
from simulator.files.json import Strict, parse_json
from simulator.files.text import read_text
from simulator.files.writing import write_text
from simulator.memo import remember
from simulator.sweeps.job import Job
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
    trains its own.
    """

    train: Trainer
    folder: Path | None = None

    def accuracy(self, name: str) -> float:
        """Return the test accuracy of a network after its last epoch, from 0 to 1."""
        return _accuracies(self.train, self.folder, name)[-1]


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
