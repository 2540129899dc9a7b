"""Mappings as text: the names of rules, Gemmini tile sizes, and Timeloop-like mappings."""

import re

from simulator.errors import InputError
from simulator.mapping.loops import For, Mapping, reloading
from simulator.mapping.problem import ProblemShape

_LEVEL = re.compile(r"L(\d)\[[A-Z]*\]\s*([^-]*)")
_FACTOR = re.compile(r"([RSPQCKN])(\d+)X?$")
_OUTERMOST = 3  # the level whose loops are over tiles; all inside is the tile


def prescribed(text: str, shape: ProblemShape) -> Mapping:
    """Return the mapping that `text` describes.

    `L3[WIO] K4 S3 - L2[WI] K16X - ...`: factors of the dimensions R S P Q C K N per memory level,
    outermost first; the loops of L3 are temporal loops over tiles. `R_S_q_p_C_K_b` are Gemmini's
    tile sizes, in its library's loop order. Raises InputError.
    """
    if text.startswith("L"):
        return _of_levels(text, shape)
    sizes = text.split("_")
    if len(sizes) == len("RSPQCKN") and all(size.isdigit() and int(size) for size in sizes):
        tile = dict(zip("RSPQCKN", map(int, sizes), strict=True))
        return _mapping("NQPKSRC", tile, shape)
    raise InputError(
        f"mapping {text!r} cannot be read: write levels such as 'L3[WIO] K4 - L2[WI] K16X - "
        "L1[O] C8 - L0[W] P16', or tile sizes R_S_q_p_C_K_b"
    )


def _of_levels(text: str, shape: ProblemShape) -> Mapping:
    levels = {int(level): factors.split() for level, factors in _LEVEL.findall(text)}
    if _OUTERMOST not in levels:
        raise InputError(f"mapping {text!r} has no level L{_OUTERMOST}: name the loops over tiles")
    tile = dict.fromkeys("RSPQCKN", 1)
    for level, factors in levels.items():
        for dim, size in (_factor(factor, text) for factor in factors):
            if level < _OUTERMOST:
                tile[dim] *= size
    named = [_factor(factor, text)[0] for factor in levels[_OUTERMOST]]
    outside = [dim for dim in "NPQKSRC" if dim not in named]
    return _mapping("".join([*outside, *named]), tile, shape)


def _factor(text: str, mapping: str) -> tuple[str, int]:
    match = _FACTOR.match(text)
    if not match or not int(match[2]):
        raise InputError(f"mapping {mapping!r}: factor {text!r} must be a dimension and a number")
    return match[1], int(match[2])


def _mapping(order: str, tile: dict[str, int], shape: ProblemShape) -> Mapping:
    axes = shape.letters
    loops = tuple(For(axes[dim], tile[dim]) for dim in order if dim in axes)
    return reloading(loops, shape)
