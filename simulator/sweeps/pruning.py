"""Networks whose training goes on only while they are promising, by a pruner of optuna.

A search trains many networks, of which a floor on accuracy refuses some. One is pruned when it
does not meet the floor yet and is less accurate than the median, after as many epochs, of those
that were trained to the end and missed it: optuna's MedianPruner, on a study of accuracies alone.
Networks that met the floor are no measure: the best of a search often just meets it, and would be
the first to go. A network is compared with those of earlier generations of the search, so that its
fate depends on no worker and on no clock.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from simulator.results.metrics import ACCURACY_BY_EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars

    from simulator.views.design_space import PointRow

_FIRST = 5  # networks that missed the floor before any is pruned; optuna's default
_WARM_UP = 2  # epochs before the first comparison; a choice


class Course(NamedTuple):
    """The test accuracies of a network, epoch by epoch, and whether it met the floor."""

    accuracies: tuple[float, ...]
    meets: bool


Peers = Mapping[str, Course]
"""Networks that were trained before, by name, in the order of the search."""


def epochs_of_training(peers: Peers) -> int:
    """Return after how many epochs a network is trained to the end; 0 where none was."""
    return max((len(course.accuracies) for course in peers.values()), default=0)


def fate(peers: Peers, name: str) -> "Callable[[Sequence[float]], bool]":
    """Return what says after each epoch, of the accuracies so far, whether to prune a network.

    That of a peer is settled: it ends where it did.
    """
    if name not in peers:
        return _PruningTrial(peers).is_hopeless
    settled = len(peers[name].accuracies)
    was_pruned = settled < epochs_of_training(peers)
    return lambda accuracies: was_pruned and len(accuracies) >= settled


class _PruningTrial:
    """A network in training, as a trial beside those of its peers."""

    def __init__(self, peers: Peers) -> None:
        import optuna  # noqa: PLC0415 - an extra

        pruner = optuna.pruners.MedianPruner(_FIRST, _WARM_UP)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        states, whole = optuna.trial.TrialState, epochs_of_training(peers)
        for course in (each for each in peers.values() if not each.meets):
            is_whole = len(course.accuracies) == whole
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.COMPLETE if is_whole else states.PRUNED,
                    value=course.accuracies[-1],
                    intermediate_values=dict(enumerate(course.accuracies, 1)),
                )
            )
        self._trial = study.ask()

    def is_hopeless(self, accuracies: Sequence[float]) -> bool:
        """Return whether to stop after one more epoch."""
        self._trial.report(accuracies[-1], len(accuracies))
        return bool(self._trial.should_prune())


class Courses:
    """The courses of networks as points tell them, and the peers of the next generation."""

    def __init__(self) -> None:
        """Start without networks."""
        self._of: dict[str, Course] = {}
        self.peers: Peers = {}

    def read(self, finished: "polars.DataFrame") -> None:
        """Note the points of a table."""
        if ACCURACY_BY_EPOCH.key in finished.columns:
            columns = finished.select("point", "feasible", ACCURACY_BY_EPOCH.key)
            for row in columns.iter_rows(named=True):
                self.note(row)

    def note(self, row: "PointRow") -> None:
        """Note the course of one more point, unless it was not trained."""
        if text := row.get(ACCURACY_BY_EPOCH.key):
            self._of[str(row["point"])] = Course(_numbers(str(text)), bool(row["feasible"]))

    def settle(self, networks: Sequence[str], addresses: Sequence[str]) -> None:
        """Take the networks of the points of a generation as peers; the first course counts."""
        peers = dict(self.peers)
        for name, address in zip(networks, addresses, strict=True):
            if address in self._of:
                peers.setdefault(name, self._of[address])
        self.peers = peers


def text_of(accuracies: Sequence[float]) -> str:
    """Return accuracies as a cell of a table: "0.31 0.64 0.71"."""
    return " ".join(map(repr, accuracies))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))
