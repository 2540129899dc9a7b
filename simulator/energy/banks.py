"""The SRAM banks of an accelerator: size and width of an access."""

from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import PRECISION_BITS


class Bank(NamedTuple):
    """One memory of `size_bytes` that is accessed `width_bits` at a time."""

    size_bytes: int
    width_bits: int


def operand_bank(part: Accelerator) -> Bank:
    """Return the operand memory: one bank that feeds every row of the array at once."""
    width = part.rows * part.dot_width * PRECISION_BITS[part.precision]
    return Bank(part.scratchpad + part.prefetch, width)


def sums_bank(part: Accelerator) -> Bank:
    """Return the memory of partial sums: one bank that serves every column at once."""
    return Bank(part.accumulator, part.cols * PRECISION_BITS[part.accumulator_precision])


def banks_of(part: Accelerator) -> list[Bank]:
    """Return all memories of an accelerator but those of its vector unit."""
    operands = operand_bank(part)
    weights = [Bank(part.weight_buffer, operands.width_bits)] if part.weight_buffer else []
    return [operands, sums_bank(part), *weights]
