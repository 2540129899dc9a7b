"""The mapper's space of a convolution tap by tap: multiples of the array x blocks of pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.gemm_space import WITH_THIRDS
from simulator.mapping.loops import For, Mapping, Sizes, halves, multiples, reusing
from simulator.mapping.problem import ProblemShape, TileLevel, TileNeeds
from simulator.mapping.spills import may_spill, spilling
from simulator.mapping.taps import ConvTile


@dataclass(frozen=True, slots=True, eq=False)
class ConvSpace:
    """Tiles of a convolution on an array, as `ConvTile`. Taps are not cut."""

    array: Accelerator
    shape: ProblemShape

    whole_folds = False
    most_levels = 1

    def levels(self) -> Iterator[TileLevel]:
        """Yield all tiles: filters and channels in multiples of the array, blocks of pixels."""
        whole = self._whole
        thirds = self.array.mapping in WITH_THIRDS
        filters = multiples(whole.filter, {self.array.cols}, thirds=thirds)
        depth = self.array.rows * self.array.dot_width
        channels = multiples(whole.channel, {depth}, thirds=thirds)
        tiles: list[Sizes] = [
            whole._replace(image=image, row=row, col=col, filter=filter_, channel=channel)
            for filter_, channel in product(filters, channels)
            for image, row, col in _pixel_blocks(whole)
        ]
        yield TileLevel(tiles, last=True)

    def needs(self, _tile: Sizes) -> TileNeeds:
        """Return nothing: operands and sums change places in a weight gradient."""
        return TileNeeds(0, 0)

    def mappings(self, tile: Sizes) -> Iterator[Mapping]:
        """Yield orders of the loops over filters, channels and pixels, and what may stay."""
        image, row, col, filters, channel, *_ = _loops(ConvTile(*tile))
        maps: tuple[For, ...] = (image, row, col)
        sums: tuple[For, ...] = (channel,)
        if self.shape.sums_weights:
            maps, sums = sums, maps
        for loops in ((filters, *maps, *sums), (*maps, filters, *sums)):
            mapping = reusing(loops, self.shape)
            yield from (mapping, mapping._replace(a_from=0), mapping._replace(b_from=0))
        if may_spill(self.array):
            yield from spilling(self.shape, sums, (filters,), maps)

    def smallest(self) -> list[Mapping]:
        """Return the mapping of one pixel and one fold."""
        array, whole = self.array, self._whole
        tile = whole._replace(
            image=1, row=1, col=1, filter=min(array.cols, whole.filter),
            channel=min(array.rows * array.dot_width, whole.channel),
        )  # fmt: skip
        return [reusing(_loops(tile), self.shape)]

    @property
    def _whole(self) -> ConvTile:
        return ConvTile(*self.shape.extents.values())


def _loops(tile: ConvTile) -> tuple[For, ...]:
    """Return a loop for every axis, with the tile's size as its step."""
    return tuple(For(axis, size) for axis, size in tile._asdict().items())


def _pixel_blocks(whole: ConvTile) -> Iterator[tuple[int, int, int]]:
    """Yield blocks of whole images, then of whole rows of one, then of parts of one row."""
    images, rows, cols = whole.image, whole.row, whole.col
    for image in halves(images):
        yield image, rows, cols
    for row in halves(rows):
        if row < rows:
            yield 1, row, cols
    for col in halves(cols):
        if col < cols:
            yield 1, 1, col
