"""What the arrays of a SoC take of an FPGA: look-up tables, flip-flops, DSP slices, block RAMs.

A processing element is a multiplier and an adder of the table (FGNAS, Vivado HLS); products of
integers are added as wide as they are. An fp32 element takes 5 DSP slices, as EF-Train's does.
Control, address generators, DMA engine and what else a kernel has are left out. So are the further
bits of long sums, a look-up table each.

A memory is one bank of its word, in block RAMs of 36 Kib. EF-Train's buffers, which HLS cuts into
more banks, take 672 and 108 of them on its two boards, 561 and 94 here: 17 and 13 % less.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

from simulator.energy import tables
from simulator.energy.banks import Bank, banks_of
from simulator.errors import Infeasible, InputError
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import FORMATS
from simulator.hardware.soc import Hardware
from simulator.hardware.vector import Vector
from simulator.memo import remember

# Width and depth of one of 36 Kib, as a simple dual-port memory (AMD UG473, table 1-7).
_SHAPES = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))
_WIDEST_MULTIPLIER, _WIDEST_ADDER = 10, 15  # bits that the table goes to
_FP32 = 0  # the width that the table has fp32 under
_NAMES = {"luts": "look-up tables", "ffs": "flip-flops", "dsps": "DSP slices",
          "brams": "block RAMs"}  # fmt: skip


class Resources(NamedTuple):
    """Amounts of what an FPGA has; `brams` are of 36 Kib."""

    luts: int = 0
    ffs: int = 0
    dsps: int = 0
    brams: int = 0

    def plus(self, other: "Resources") -> Self:
        """Return both together."""
        return type(self)(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: int) -> Self:
        """Return `count` of these."""
        return type(self)(*(count * each for each in self))


def resources(hardware: Hardware) -> Resources | None:
    """Return what all arrays and vector units of a SoC take; None of one without an FPGA.

    Raises InputError for an array in a format that no table has.
    """
    if hardware.technology.fpga is None:
        return None
    total = Resources()
    for part in hardware.units.values():
        if isinstance(part, Accelerator):
            for block in _blocks(part):
                total = total.plus(block)
    return total


def check_fits(hardware: Hardware) -> None:
    """Raise Infeasible where the arrays of a SoC take more than its FPGA has."""
    fpga, demand = hardware.technology.fpga, resources(hardware)
    if fpga is None or demand is None:
        return
    for key, name in _NAMES.items():
        needs, bound = getattr(demand, key), getattr(fpga, key)
        if bound is not None and needs > bound:
            raise Infeasible(
                f"technology.fpga.{key}",
                needs,
                bound,
                f"the arrays of {hardware.name} take {needs:,} {name}, {fpga.part} has {bound:,}: "
                "use fewer rows or cols, a narrower precision or smaller memories",
            )


def element(precision: str) -> Resources:
    """Return what a multiplier and the adder of its products take.

    Integers beyond the table are a guess: a multiplier of n bits takes n (n + 2) / 2 look-up
    tables, which those of 4 to 10 bits meet within 2, and each bit of an adder one more.
    """
    if precision == "fp32":
        return _operator("multiplier", _FP32).plus(_operator("adder", _FP32))
    if not FORMATS[precision].is_integer:
        raise InputError(
            f"technology.fpga: no table has a multiplier in {precision}: choose fp32 or an integer"
        )
    bits = FORMATS[precision].bits
    return _multiplier(bits).plus(_adder(2 * bits))


def block_rams(bank: Bank) -> int:
    """Return how many block RAMs a memory takes, in the shape of which it takes fewest."""
    depth = -(-8 * bank.size_bytes // bank.width_bits)
    return min(-(-bank.width_bits // width) * -(-depth // words) for width, words in _SHAPES)


def _blocks(part: Accelerator) -> Iterator[Resources]:
    yield _element_of(part).times(part.elements)
    for bank in banks_of(part):
        yield Resources(brams=block_rams(bank))
    if part.vector:
        yield from _lanes(part.vector)


def _element_of(part: Accelerator) -> Resources:
    """Return an element that computes in all precisions of an array: as much as each of them."""
    each = [element(precision) for precision in (part.precision, *part.precisions)]
    return Resources(*map(max, zip(*each, strict=True)))


def _lanes(vector: Vector) -> Iterator[Resources]:
    """Yield lanes like fp32 elements, as their silicon area is counted, and their memory."""
    yield element("fp32").times(vector.lanes * vector.pipes)
    if vector.memory:
        width = vector.lanes * FORMATS["fp32"].bits
        yield Resources(brams=block_rams(Bank(vector.memory, width)))


def _multiplier(bits: int) -> Resources:
    if bits <= _WIDEST_MULTIPLIER:
        return _operator("multiplier", bits)
    return Resources(luts=bits * (bits + 2) // 2)


def _adder(bits: int) -> Resources:
    widest = _operator("adder", min(bits, _WIDEST_ADDER))
    return widest.plus(Resources(luts=max(0, bits - _WIDEST_ADDER)))


@remember("operators of FPGAs", most=64)
def _operator(name: str, bits: int) -> Resources:
    """Return an operator of the table, both of whose operands have so many bits."""
    rows = [row for row in tables.read_rows("fpga") if row["operator"] == name]
    row = next(r for r in rows if {r["bits_a"], r["bits_b"]} <= {str(bits), ""})
    return Resources(int(row["luts"]), int(row["ffs"]), int(row["dsps"]))
