"""How EF-Train cuts the three phases of a convolution (Tang et al., TODAES 27(5), section 5.1).

Filters go in blocks of as many as the weight buffer holds (Mon). Within a block and an image, an
output tile of Tm filters x Tr full rows sums over tiles of Tn channels; weights are loaded with
the first image and then stay. A weight gradient sums over rows and images in the buffer, and is
stored with the last image.
"""

from collections.abc import Iterable, Iterator

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import For, Mapping, cutting
from simulator.mapping.memories import fits
from simulator.mapping.shape import GemmShape
from simulator.trace.op import Role


class EfTrain:
    """A mapping for every number of rows Tr that fits the buffers."""

    def gemm(self, _array: Accelerator, _shape: GemmShape) -> Iterable[Mapping]:
        """Return nothing: the paper has convolutions only."""
        return ()

    def convolution(self, array: Accelerator, shape: ConvShape) -> Iterator[Mapping]:
        """Yield the mappings, most rows first; a weight gradient takes the first."""
        for mapping in _by_rows(array, shape):
            yield mapping
            if shape.taps.weight_gradient:
                return


def _by_rows(array: Accelerator, shape: ConvShape) -> Iterator[Mapping]:
    block = _most_filters(array, shape)
    for rows in range(shape.whole.row, 0, -1):
        mapping = cut_in(array, shape, rows, block)
        if _fits_bank(array, shape, rows) and fits(array, shape, mapping):
            yield mapping


def _fits_bank(array: Accelerator, shape: ConvShape, rows: int) -> bool:
    """Each input channel of a tile has a bank of its own, twice."""
    taps, whole = shape.taps, shape.whole
    pixels = taps.rows.needed(rows, whole.tap_row) * taps.cols.needed(whole.col, whole.tap_col)
    return 2 * array.rows * pixels * shape.widths.operand // 8 <= array.scratchpad


def _most_filters(array: Accelerator, shape: ConvShape) -> int:
    """Return Mon: as many filters, in whole tiles, as the weight buffer holds."""
    whole = shape.whole
    one = array.cols * whole.channel * whole.taps * shape.widths.operand // 8
    tiles = max(1, (array.weight_buffer or array.scratchpad) // one)
    return min(whole.filter, tiles * array.cols)


def cut_in(array: Accelerator, shape: ConvShape, rows: int, block: int) -> Mapping:
    """Return the mapping with Tr = `rows` and blocks of Mon = `block` filters."""
    tile, part = For("filter", array.cols), For("channel", array.rows)
    order = [For("filter", block), For("image", 1)]
    if shape.taps.weight_gradient:
        return _weight_gradient(cutting(shape, [*order, tile, part, For("row", rows)]))
    loops = cutting(shape, [*order, For("row", rows), tile, part])
    inside, in_block = len(loops), _level(loops, "image")
    tiles = _level(loops, "filter", in_block)
    channels = _level(loops, "channel")
    return Mapping(
        loops, inside, in_block, channels, region=channels, drains="image", padded=("row",),
        b_untiled=tiles if shape.taps.role is Role.DGRAD else -1,
    )  # fmt: skip


def _weight_gradient(loops: tuple[For, ...]) -> Mapping:
    inside, in_block = len(loops), _level(loops, "image")
    rows, channels = _level(loops, "row"), _level(loops, "channel")
    by_rows = rows < inside
    return Mapping(
        loops, inside if by_rows else channels, inside, in_block,
        region=rows if by_rows else channels, padded=("row",),
    )  # fmt: skip


def _level(loops: tuple[For, ...], axis: str, start: int = 0) -> int:
    """Return the first loop over `axis` from `start` on, or their number if there is none."""
    levels = (i for i, loop in enumerate(loops) if i >= start and loop.axis == axis)
    return next(levels, len(loops))
