"""Whose joules a run has, in words for tables and figures."""

from simulator.energy.boundary import ABOUT, USUAL, Boundary
from simulator.errors import InputError
from simulator.results.documents import ResultDocument


def boundary_of_run(document: ResultDocument) -> Boundary:
    """Return whose joules a run has; results of earlier versions have the usual ones."""
    return Boundary(document.get("boundary", USUAL))


def joules_of(document: ResultDocument) -> str:
    """Return whose joules a run has, in a sentence."""
    return f"Energy is that {ABOUT[boundary_of_run(document)]}."


def check_boundaries(left: ResultDocument, right: ResultDocument) -> None:
    """Raise InputError unless both runs have joules within the same boundary."""
    ours, theirs = boundary_of_run(left), boundary_of_run(right)
    if ours is not theirs:
        raise InputError(
            f"{left['hardware']} has the energy within {ours}, {right['hardware']} that within "
            f"{theirs}: recost one of them with --boundary"
        )
