"""Brings the C library's heap into a state that does not depend on earlier allocations."""

import torch

from simulator.lowering.heap import SETTLED_BYTES


def settle_heap() -> None:
    """Free a block of nearly the largest size that glibc keeps, so that it reuses later ones.

    Long training gets there anyway. Until then, how many freed pages go back to the system, and
    fault again, differs by thousands between runs of the same program.
    """
    torch.ones(SETTLED_BYTES, dtype=torch.uint8)
