"""What the headlines of training in few bits count: products, parameters held, weights moved."""

from typing import NamedTuple

from simulator.trace.memory import footprint
from simulator.trace.movement import moved_weight_bits
from simulator.trace.op import bits_of
from simulator.trace.passes.overlay import resolved
from simulator.trace.trace import Trace


class Account(NamedTuple):
    """GEMM energy in pJ, peak bytes of parameters, and bits of weights moved, over a run."""

    gemm_pj: float
    parameters: int
    moved_bits: int


def published_pj(precision: str) -> float:
    """Return the energy of a MAC that validation row V18 assumes: a k-bit one, or fp32."""
    return 3.1 * (bits_of(precision) / 32) ** 2 + 0.1 if precision else 4.6


def accounted(trace: Trace) -> Account:
    """Return the account of a run, each step as its method runs it."""
    whole = resolved(trace)
    steps = [(whole.steps[s.step], s.count) for s in whole.segments]
    gemms = sum(
        count * gemm.macs * published_pj(gemm.precision)
        for step, count in steps
        for op in step.ops
        for gemm in op.gemms
    )
    moved = sum(count * moved_weight_bits(step) for step, count in steps)
    return Account(gemms, max(footprint(step).parameters for step, _ in steps), moved)
