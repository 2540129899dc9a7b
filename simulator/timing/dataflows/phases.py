"""The phases of a fold, and how much of them the next fold hides.

Formulas without overlap are those of SCALE-Sim (Samajdar et al., ISPASS 2020), checked against
SCALE-Sim 2 and 3: per fold 2R + C + S - 2 cycles for ws and is, R + C + S - 2 for os, where S is
the streamed dimension; the sum is one less, since cycles count from 0.
"""

from typing import NamedTuple, Protocol

from simulator.hardware.accelerator import Accelerator
from simulator.timing.dataflows.dataflow import Dims


class Phases(NamedTuple):
    """Cycles of the phases of a fold.

    `preload`: the stationary operand goes in, row by row; 0 for stationary outputs. `edge`: the
    same, or the drain of stationary outputs as far as the skew does not hide it. `shift`: a row
    passes through all rows. `skew`: from the first operand in to the first result out of the last
    element. `stream`: all vectors go in, one after another.
    """

    preload: int
    edge: int
    shift: int
    skew: int
    stream: int


class Overlap(Protocol):
    """How much of a fold the next one hides."""

    @property
    def serial(self) -> bool:
        """Whether it hides nothing."""

    def fold(self, phases: Phases) -> int:
        """Return the cycles from one fold to the next."""

    def fill(self, phases: Phases) -> int:
        """Return what the first fold adds."""


class _Serial:
    """Folds follow each other: SCALE-Sim's formula."""

    serial = True

    def fold(self, phases: Phases) -> int:
        return phases.edge + phases.skew + phases.stream

    def fill(self, _phases: Phases) -> int:
        return -1  # the sum is one less: cycles count from 0


class _Preload:
    """The next stationary operand is loaded while the array streams."""

    serial = False

    def fold(self, phases: Phases) -> int:
        return max(phases.edge, phases.skew + phases.stream)

    def fill(self, phases: Phases) -> int:
        return phases.preload or -1  # without a preload nothing overlaps: as `_Serial`


class _Drain:
    """The next fold begins while results still pass through the array: the skew is hidden."""

    serial = False

    def fold(self, phases: Phases) -> int:
        return phases.edge + phases.stream

    def fill(self, phases: Phases) -> int:
        return phases.skew


class _Full:
    """Both: a fold takes as long as its streaming, or as a shift through all rows."""

    serial = False

    def fold(self, phases: Phases) -> int:
        return max(phases.shift, phases.stream)

    def fill(self, phases: Phases) -> int:
        return phases.preload + phases.skew


OVERLAPS: dict[str, Overlap] = {
    "none": _Serial(), "preload": _Preload(), "drain": _Drain(), "full": _Full(),
}  # fmt: skip
"""Values of `accelerator.overlap`."""


class Structure(NamedTuple):
    """How operands reach the elements: from neighbour to neighbour, or all of a row at once."""

    hops: bool

    def skew(self, array: Accelerator) -> int:
        """Return the cycles from the first operand in to the first result of the last element."""
        return self.hops * (array.rows + array.cols - 2) + array.pipeline_depth

    def drain(self, array: Accelerator) -> int:
        """Return the cycles in which stationary outputs leave, beyond those of the skew."""
        return 0 if self.hops else array.rows


STRUCTURES = {"systolic": Structure(hops=True), "broadcast": Structure(hops=False)}
"""Values of `accelerator.structure`."""


def with_stationary_operand(array: Accelerator, stream: int = 0) -> Phases:
    """Return the phases of a fold whose stationary operand is loaded before it."""
    rows, skew = array.rows, STRUCTURES[array.structure].skew(array)
    return Phases(rows, rows, rows, skew, stream * array.steps_per_mac)


def with_stationary_outputs(array: Accelerator, stream: int = 0) -> Phases:
    """Return the phases of a fold whose outputs leave after it."""
    structure = STRUCTURES[array.structure]
    skew, steps = structure.skew(array), stream * array.steps_per_mac
    return Phases(0, structure.drain(array), array.rows, skew, steps)


class PreloadedOperand:
    """Base of dataflows that preload one operand of a fold into the elements."""

    def fold_cycles(self, array: Accelerator, stream: int) -> int:
        """Return the cycles from one fold to the next."""
        return OVERLAPS[array.overlap].fold(with_stationary_operand(array, stream))

    def fill_cycles(self, array: Accelerator) -> int:
        """Return the cycles of the first fill that later folds hide."""
        return OVERLAPS[array.overlap].fill(with_stationary_operand(array))

    def weight_gradient(self, filters: int, channels: int, pixels: int) -> Dims:
        """Return the gradient's rows as filters: A is the output's gradient, B the map."""
        return Dims(filters, channels, pixels)
