"""The C library's heap in a state that does not hang on what the process did before."""

import torch

from simulator.lowering.heap import SETTLED_BYTES


def settle_heap() -> None:
    """Free a block of nearly the largest size that glibc keeps: what is freed later is used again.

    Long training gets there by itself, sooner or later; before, which freed pages go back to the
    system, and have to be fetched anew, differs between runs of the same program by thousands.
    """
    torch.ones(SETTLED_BYTES, dtype=torch.uint8)
