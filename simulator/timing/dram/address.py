"""Address mapping: channel, bank and row of a granule."""

import re
from collections.abc import Callable
from typing import NamedTuple

from simulator.errors import InputError
from simulator.hardware.dram import DramDevice
from simulator.memo import remember

_FIELD = re.compile(r"(ch|bg|ba|ra|co|ro)(\*|[0-9]+)")
_ROW_BITS = 40  # more than any address has

Decode = Callable[[int], tuple[int, int, int]]


class _AddressBits(NamedTuple):
    """`width` address bits from bit `shift` on, which are a field's bits from `place` on."""

    shift: int
    width: int
    place: int


@remember("address decoders", most=64)
def decoder(device: DramDevice, mapping: str = "", *, hashed: bool = True) -> Decode:
    """Return the function from a granule index to (channel, bank, row).

    `mapping` (the device's where empty) lists fields from the least significant bit on:
    `co2,ch*,co*,ba*,ra*,ro*` is two column bits, all channel bits, the other column bits, ...
    Banks are numbered bank group by bank group; when `hashed`, the number is XORed with the low
    bits of the row, lowest to the bank within its group. Raises InputError on a bad mapping.
    """
    segments = _parse(mapping or device.mapping, _widths(device))
    fields = [segments[name] for name in ("ch", "ba", "bg", "ro")]
    mask = device.banks - 1 if hashed else 0
    if any(len(field) > 1 for field in fields):
        return _scattered(fields, device.banks_per_group, mask)
    return _in_one_piece(fields, device.banks_per_group, mask)


def _in_one_piece(fields: list[list[_AddressBits]], per_group: int, mask: int) -> Decode:
    """Decode fields that are contiguous, the usual case: each is a shift and a mask."""
    (ch, ch_mask), (ba, ba_mask), (bg, bg_mask), (ro, ro_mask) = (
        (field[0].shift, (1 << field[0].width) - 1) if field else (0, 0) for field in fields
    )

    def decode(granule: int) -> tuple[int, int, int]:
        row = granule >> ro & ro_mask
        bank = (granule >> bg & bg_mask) * per_group + (granule >> ba & ba_mask)
        return granule >> ch & ch_mask, bank ^ (row & mask), row

    return decode


def _scattered(fields: list[list[_AddressBits]], per_group: int, mask: int) -> Decode:
    channel, bank, group, row = (_gather(field) for field in fields)

    def decode(granule: int) -> tuple[int, int, int]:
        at_row = row(granule)
        at_bank = group(granule) * per_group + bank(granule)
        return channel(granule), at_bank ^ (at_row & mask), at_row

    return decode


def _widths(device: DramDevice) -> dict[str, int]:
    sizes = {
        "ch": device.channels,
        "bg": device.bank_groups,
        "ba": device.banks_per_group,
        "ra": 1,
        "co": device.row // device.granule,
    }
    for name, size in sizes.items():
        if size & (size - 1):
            raise InputError(f"address mapping needs a power of two for {name}, not {size}")
    return {name: size.bit_length() - 1 for name, size in sizes.items()} | {"ro": _ROW_BITS}


def _parse(mapping: str, widths: dict[str, int]) -> dict[str, list[_AddressBits]]:
    """Return the segments of every field; a star stands for the remaining bits of its field."""
    fields = [_field(text.strip(), mapping) for text in mapping.split(",")]
    left = dict(widths)
    for name, width in fields:
        left[name] -= width or 0
    segments: dict[str, list[_AddressBits]] = {name: [] for name in widths}
    shift, placed = 0, dict.fromkeys(widths, 0)
    for name, width in fields:
        bits = left[name] if width is None else width
        if width is None:
            left[name] = 0
        segments[name].append(_AddressBits(shift, bits, placed[name]))
        placed[name] += bits
        shift += bits
    wrong = [name for name, rest in left.items() if rest]
    if wrong:
        raise InputError(f"mapping {mapping!r} has too many or too few bits of {', '.join(wrong)}")
    return segments


def _field(text: str, mapping: str) -> tuple[str, int | None]:
    match = _FIELD.fullmatch(text)
    if match is None:
        raise InputError(f"mapping {mapping!r}: {text!r} is none of ch, bg, ba, ra, co, ro with *")
    return match[1], None if match[2] == "*" else int(match[2])


def _gather(segments: list[_AddressBits]) -> Callable[[int], int]:
    """Return the function that extracts a field from its segments."""
    pieces = [(s.shift, (1 << s.width) - 1, s.place) for s in segments]
    return lambda granule: sum((granule >> at & mask) << place for at, mask, place in pieces)
