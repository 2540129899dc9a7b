"""Mappings given as text: the names of rules, Gemmini tile sizes, and Timeloop-like mappings."""

import re

from simulator.errors import InputError
from simulator.mapping.convolution import ConvShape
from simulator.mapping.nest import For, Mapping
from simulator.mapping.rules.gemmini import reloading
from simulator.mapping.sums import Shape

_LEVEL = re.compile(r"L(\d)\[[A-Z]*\]\s*([^-]*)")
_FACTOR = re.compile(r"([RSPQCKN])(\d+)X?$")
_CONV_AXES = {
    "N": "image", "Q": "row", "P": "col", "K": "filter", "C": "channel",
    "S": "tap_row", "R": "tap_col",
}  # fmt: skip
_GEMM_AXES = {"P": "m", "K": "n", "C": "k"}
_OUTERMOST = 3  # the level whose loops are over tiles; all inside is the tile


def given(text: str, shape: Shape) -> Mapping:
    """Return the mapping that `text` describes.

    `L3[WIO] K4 S3 - L2[WI] K16X - ...`: factors of the dimensions R S P Q C K N per level of
    memory, outermost first; loops of L3 are over tiles. `R_S_q_p_C_K_b` are Gemmini's tile sizes,
    in its library's order of loops. Raises InputError.
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


def _of_levels(text: str, shape: Shape) -> Mapping:
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
    found = _FACTOR.match(text)
    if not found or not int(found[2]):
        raise InputError(f"mapping {mapping!r}: factor {text!r} must be a dimension and a number")
    return found[1], int(found[2])


def _mapping(order: str, tile: dict[str, int], shape: Shape) -> Mapping:
    axes = _CONV_AXES if isinstance(shape, ConvShape) else _GEMM_AXES
    loops = tuple(For(axes[dim], tile[dim]) for dim in order if dim in axes)
    return reloading(loops, shape)
