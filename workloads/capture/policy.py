"""Which steps are looked at op by op: all of them, unless that costs too much."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from simulator.trace.trace import Step

_LOOK_NS = 12_000
"""What looking at an op adds: dispatch through Python, and its record (measured, 10 to 14 us)."""
_OP_NS, _BYTES_PER_NS, _FLOPS_PER_NS = 4_000, 8, 20
"""An eager op of a small CPU thread, its memory and arithmetic: a guess of the usual order."""
_TOO_MUCH = 0.3
_PERIOD = 8


class Detail(Enum):
    """How a step is looked at: whole, only to find where the next begins, or not at all."""

    WHOLE = "whole"
    RUN_UP = "run-up"
    NONE = "none"


@dataclass(slots=True)
class RecordingPolicy:
    """Decides step by step; `alike` counts those in a row that did what the last of their kind did.

    While looking is cheap beside the work, every step is looked at. Where it is not, after
    `patience` steps alike only every eighth is, or none with `resting`, until one differs. Nothing
    here depends on measured time, so that two captures of one run are equal.
    """

    patience: int
    resting: bool
    alike: int = 0
    _since: int = 0

    def next(self) -> Detail:
        """Return how to look at the step that begins."""
        if self.alike < self.patience:
            self._since = 0
            return Detail.WHOLE
        self._since += 1
        if self.resting:
            return Detail.NONE
        # One whole look needs the end of the step before it, which belongs to that one.
        return {_PERIOD - 1: Detail.RUN_UP, 0: Detail.WHOLE}.get(self._since % _PERIOD, Detail.NONE)

    def doubt(self) -> None:
        """Take note of a step that was not looked at, but should have been: be patient longer."""
        self.alike, self.patience = 0, 2 * self.patience

    def saw(self, expected: bool, is_cheap: Callable[[], bool]) -> None:
        """Take note of a finished step: as expected or not, and cheap to look at or not."""
        self.alike = self.alike + 1 if expected else 0
        if self.alike == self.patience and not self.resting and is_cheap():
            self.alike = 0


def is_cheap(step: Step) -> bool:
    """Return whether looking at a step's ops takes little beside running them."""
    own_ns = (
        sum(max(_OP_NS, (op.read_bytes + op.write_bytes) / _BYTES_PER_NS) for op in step.ops)
        + sum(2 * gemm.macs for op in step.ops for gemm in op.gemms) / _FLOPS_PER_NS
    )
    return len(step.ops) * _LOOK_NS < _TOO_MUCH * own_ns
