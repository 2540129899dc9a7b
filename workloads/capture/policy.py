"""Decides which steps are recorded op by op: all, unless that costs too much."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from simulator.trace.trace import Step

_RECORD_NS = 12_000
"""Overhead of recording an op: dispatch through Python, and the record (measured, 10 to 14 us)."""
_OP_NS, _BYTES_PER_NS, _FLOPS_PER_NS = 4_000, 8, 20
"""Time of an eager op on a small core, memory and arithmetic rates: guesses of the order."""
_TOO_MUCH = 0.3
_PERIOD = 8


class Detail(Enum):
    """How a step is recorded: whole, only to find its end, or not at all."""

    WHOLE = "whole"
    RUN_UP = "run-up"
    NONE = "none"


@dataclass(slots=True)
class RecordingPolicy:
    """Decides step by step; `alike` counts steps in a row that did what their kind did last time.

    While recording is cheap beside the work, every step is recorded. Otherwise, after `patience`
    steps alike, only every eighth is, or none if `resting`, until one differs. No measured time
    plays a part, so that two captures of one run are equal.
    """

    patience: int
    resting: bool
    alike: int = 0
    _since: int = 0

    def next(self) -> Detail:
        """Return how to record the next step."""
        if self.alike < self.patience:
            self._since = 0
            return Detail.WHOLE
        self._since += 1
        if self.resting:
            return Detail.NONE
        # A whole step needs the calls after the update before it, which are not its own.
        return {_PERIOD - 1: Detail.RUN_UP, 0: Detail.WHOLE}.get(self._since % _PERIOD, Detail.NONE)

    def doubt(self) -> None:
        """Note a step that should have been recorded: double the patience."""
        self.alike, self.patience = 0, 2 * self.patience

    def saw(self, expected: bool, is_cheap: Callable[[], bool]) -> None:
        """Note a finished step: as expected or not, cheap to record or not."""
        self.alike = self.alike + 1 if expected else 0
        if self.alike == self.patience and not self.resting and is_cheap():
            self.alike = 0


def is_cheap(step: Step) -> bool:
    """Return whether recording a step's ops takes little beside running them."""
    own_ns = (
        sum(max(_OP_NS, (op.read_bytes + op.write_bytes) / _BYTES_PER_NS) for op in step.ops)
        + sum(2 * gemm.macs for op in step.ops for gemm in op.gemms) / _FLOPS_PER_NS
    )
    return len(step.ops) * _RECORD_NS < _TOO_MUCH * own_ns
