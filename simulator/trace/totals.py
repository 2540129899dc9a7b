"""FLOPs and memory traffic of a step by phase, kind of op and layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from simulator.trace.accesses import moved_bytes
from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.trace import Step, phase_of


@dataclass(slots=True)
class Total:
    """Ops, their GEMMs, the FLOPs of those (2 x MACs), and all bytes that are read and written
    behind a core's first cache, repeats included.
    """

    ops: int = 0
    gemms: int = 0
    flops: int = 0
    bytes: int = 0

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity in FLOPs of GEMMs per byte, None where nothing moves."""
        return self.flops / self.bytes if self.bytes else None

    def add(self, other: "Total | PhaseShare") -> None:
        """Count `other` too."""
        self.ops += other.ops
        self.gemms += other.gemms
        self.flops += other.flops
        self.bytes += other.bytes


class PhaseShare(NamedTuple):
    """The work of one op for one phase."""

    phase: Phase
    ops: int
    gemms: int
    flops: int
    bytes: int


def shares(op: Op) -> Iterator[PhaseShare]:
    """Yield the work of an op for each phase that it serves.

    An op with GEMMs of two phases (`convolution_backward`) moves the operands of its GEMMs for
    each, so an operand of both counts twice; outputs of no GEMM (the bias gradient) belong to
    wgrad. The op itself counts in its own phase.
    """
    phases = list(dict.fromkeys(phase_of(op, gemm.role) for gemm in op.gemms)) or [op.phase]
    for phase in phases:
        gemms = [gemm for gemm in op.gemms if phase_of(op, gemm.role) is phase]
        flops = 2 * sum(gemm.macs for gemm in gemms)
        if len(phases) == 1:
            yield PhaseShare(phase, 1, len(gemms), flops, moved_bytes(op))
        else:
            yield PhaseShare(
                phase, int(phase is op.phase), len(gemms), flops, _phase_bytes(op, phase)
            )


def _phase_bytes(op: Op, phase: Phase) -> int:
    mine = [gemm for gemm in op.gemms if phase_of(op, gemm.role) is phase]
    read = {i for gemm in mine for i in (gemm.a, gemm.b) if i >= 0}
    written = {gemm.c for gemm in mine if gemm.c >= 0}
    if phase is Phase.WGRAD:
        written |= set(range(len(op.outputs))) - {gemm.c for gemm in op.gemms}
    return sum(op.inputs[i].bytes for i in read) + sum(op.outputs[i].bytes for i in written)


def by_phase_and_kind(step: Step) -> dict[tuple[Phase, OpKind], Total]:
    """Return the totals of the ops of each kind for each phase."""
    totals: dict[tuple[Phase, OpKind], Total] = {}
    for op in step.ops:
        for share in shares(op):
            totals.setdefault((share.phase, op.kind), Total()).add(share)
    return totals


def by_layer(step: Step) -> dict[str, Total]:
    """Return the totals of each layer over all phases; ops of no layer are under ""."""
    totals: dict[str, Total] = {}
    for op in step.ops:
        for share in shares(op):
            totals.setdefault(op.layer, Total()).add(share)
    return totals


def summed(totals: Iterable[Total]) -> Total:
    """Return the sum of totals."""
    whole = Total()
    for total in totals:
        whole.add(total)
    return whole
