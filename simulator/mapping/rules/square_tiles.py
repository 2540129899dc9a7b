"""How EF-Train's baselines cut a convolution whose maps are not reshaped (TODAES 27(5)).

Maps go in square tiles, and weights are loaded anew for every tile of every image. How maps lie in
memory decides what moves at once: with channels first, Tm or Tn maps; with channels last, where all
channels of a pixel are one run, all of them.
"""

from collections.abc import Iterable
from itertools import islice
from math import gcd

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import For, Mapping, cutting
from simulator.mapping.memories import fits
from simulator.mapping.shape import GemmShape


class SquareTiles:
    """The mapping with the largest squares that divide the map and fit the memories."""

    def gemm(self, _array: Accelerator, _shape: GemmShape) -> Iterable[Mapping]:
        """Return nothing: the paper has convolutions only."""
        return ()

    def convolution(self, array: Accelerator, shape: ConvShape) -> Iterable[Mapping]:
        """Return that mapping, if any square fits."""
        size = gcd(shape.whole.row, shape.whole.col)
        sides = (side for side in range(size, 0, -1) if size % side == 0)
        mappings = (cut_in(array, shape, side) for side in sides)
        return islice((mapping for mapping in mappings if fits(array, shape, mapping)), 1)


def cut_in(array: Accelerator, shape: ConvShape, side: int) -> Mapping:
    """Return the mapping with tiles of `side` x `side` pixels, Tm filters and Tn channels."""
    maps = For("image", 1), For("row", side), For("col", side)
    filters, channels = For("filter", array.cols), For("channel", array.rows * array.dot_width)
    if not shape.layout.whole_pixels:
        return _by_channels(shape, maps, filters, channels)
    if shape.taps.weight_gradient:
        loops = cutting(shape, (filters, *maps, channels))
        block, image = _depth(shape, filters), _depth(shape, filters, maps[0])
        tile = _depth(shape, filters, *maps)
        return Mapping(loops, tile, tile, block, region=image, bulk=("b", "c"))
    loops = cutting(shape, (*maps, filters, channels))
    tile, sums = _depth(shape, *maps), _depth(shape, *maps, filters)
    return Mapping(loops, tile, len(loops), tile, region=sums, bulk=("a", "c"))


def _by_channels(
    shape: ConvShape, maps: tuple[For, For, For], filters: For, channels: For
) -> Mapping:
    """Return the mapping that loads both operands for every tile."""
    if shape.taps.weight_gradient:
        loops = cutting(shape, (filters, channels, *maps))
        block, image = _depth(shape, filters, channels), _depth(shape, filters, channels, maps[0])
        return Mapping(loops, len(loops), len(loops), block, region=image)
    loops = cutting(shape, (*maps, filters, channels))
    return Mapping(loops, len(loops), len(loops), _depth(shape, *maps, filters))


def _depth(shape: ConvShape, *loops: For) -> int:
    """Return how many of these loops cut something: the level of the loop that comes next."""
    return len(cutting(shape, loops))
