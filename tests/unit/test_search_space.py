"""The mapper against brute force over its space, enumerated here from what its rules say.

Tiles are cut where the array's sides, half of them and their doubles are, the streamed dimension at
its halves. Loops over tiles have the reduction inside; every operand stays as long as that takes
no more than a tile, and one of the two may stay whole. What fits has two copies of each block, or
one of a block that never changes.
"""

from itertools import product

import pytest

from simulator.mapping import mapper
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import For, Mapping
from simulator.mapping.plan import Plan
from simulator.mapping.shape import GemmShape, Widths
from simulator.mapping.taps import forward_taps
from simulator.mapping.tiling import candidates
from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.pricing import pricing_of
from simulator.trace.op import Conv, Role
from tests.builders import best_within_slack, machine, time_and_traffic

SMALLEST = 8
HALVINGS = 5
STREAMED = {"ws": "m", "os": "k", "is": "n"}  # the other two lie on the array
ROWS = {"ws": "k", "os": "m", "is": "k"}


def powers(dim, *units):
    return {dim} | {unit << j for unit in units for j in range(20) if unit << j < dim}


def halves(dim):
    return [dim, *halves(-(-dim // 2))] if dim > 1 else [1]


def stays(loops, axes):
    """Return the loop from which inwards an operand stays at no cost: after the last that moves
    it.
    """
    return max((i + 1 for i, loop in enumerate(loops) if loop.axis in axes), default=0)


def in_order(shape, tile, order, may_stay):
    """Yield the mappings with loops in this order; which of "a" and "b" `may_stay` whole."""
    loops = tuple(For(axis, tile[axis]) for axis in order if tile[axis] < shape.extents[axis])
    a, b, c = (stays(loops, axes) for axes in (shape.a_axes, shape.b_axes, shape.c_axes))
    yield Mapping(loops, a, b, c)
    if "a" in may_stay:
        yield Mapping(loops, 0, b, c)
    if "b" in may_stay:
        yield Mapping(loops, a, 0, c)


def block(shape, mapping, level):
    sizes = shape.extents | {loop.axis: loop.step for loop in mapping.loops[:level]}
    return tuple(sizes.values())


def footprint(shape, mapping):
    """Return the bytes of the blocks of A, of B and of the sums."""
    sizes = shape.a_size, shape.b_size, shape.sum_bytes
    return [
        size(block(shape, mapping, level))
        for size, level in zip(sizes, mapping.reuse_levels, strict=True)
    ]


def fits(array, shape, mapping):
    copies = [1 if shape.repeats == 1 and not level else 2 for level in mapping.reuse_levels]
    a, b, c = (n * size for n, size in zip(copies, footprint(shape, mapping), strict=True))
    return a + b <= array.scratchpad and c <= array.accumulator


def loads(shape, mapping):
    """Return how often A and B are loaded in full."""
    counts = []
    for axes, level in ((shape.a_axes, mapping.a_from), (shape.b_axes, mapping.b_from)):
        outside = [loop for loop in mapping.loops[:level] if loop.axis not in axes]
        times = 1
        for axis, step in outside:
            times *= -(-shape.extents[axis] // step)
        counts.append(times)
    return counts


def undominated(shape, mappings):
    """Leave out what loads and keeps no less of anything than another, or than one before it."""
    costs = {mapping: (*loads(shape, mapping), *footprint(shape, mapping)) for mapping in mappings}
    chosen = []
    for mapping, cost in costs.items():
        others = [costs[each] for each in chosen] + [o for o in costs.values() if o != cost]
        if not any(all(a <= b for a, b in zip(o, cost, strict=True)) for o in others):
            chosen.append(mapping)
    return chosen


def of_product(array, shape):
    """Return every mapping of a product; an operand stays whole where its own loop is inside."""
    streamed, on_rows = STREAMED[shape.dataflow.name], ROWS[shape.dataflow.name]
    (on_cols,) = set("mnk") - {streamed, on_rows}
    sides = {on_rows: array.rows, on_cols: array.cols}
    cuts = {
        axis: powers(shape.extents[axis], side, max(SMALLEST, side // 2))
        for axis, side in sides.items()
    }
    mappings, levels = [], 0
    for size in halves(shape.extents[streamed]):
        before = len(mappings)
        for row, col in product(cuts[on_rows], cuts[on_cols]):
            tile = {on_rows: row, on_cols: col, streamed: size}
            both = (*in_order(shape, tile, "mnk", "b"), *in_order(shape, tile, "nmk", "a"))
            some = undominated(shape, dict.fromkeys(both))
            mappings += [mapping for mapping in some if fits(array, shape, mapping)]
        levels += len(mappings) > before
        if len(mappings) > before and (levels == HALVINGS or size <= SMALLEST):
            break
    return mappings


def of_convolution(array, shape):
    """Return every mapping of a convolution: whole images, or rows of one, or a part of a row."""
    whole = shape.extents
    images, rows, cols = whole["image"], whole["row"], whole["col"]
    blocks = {(image, rows, cols) for image in halves(images)}
    blocks |= {(1, row, cols) for row in halves(rows)[1:]}
    blocks |= {(1, 1, col) for col in halves(cols)[1:]}
    pixels, channels = ("image", "row", "col"), ("channel",)
    inside, maps = (pixels, channels) if shape.taps.weight_gradient else (channels, pixels)
    mappings = []
    for filters, channel, sizes in product(
        powers(whole["filter"], array.cols), powers(whole["channel"], array.rows), blocks
    ):
        tile = dict(zip(pixels, sizes, strict=True)) | {"filter": filters, "channel": channel}
        for order in (("filter", *maps, *inside), (*maps, "filter", *inside)):
            some = in_order(shape, tile, order, "ab")
            mappings += [mapping for mapping in some if fits(array, shape, mapping)]
    return mappings


def on_array(**settings):
    hardware = machine(**{f"accelerator__{key}": value for key, value in settings.items()})
    return hardware.accelerator, pricing_of(hardware.dram, hardware.interconnect)


def best(array, pricing, shape, mappings):
    """Return time and traffic of the best of all mappings."""
    return best_within_slack([Plan(array, pricing, shape, mapping) for mapping in mappings])


def chosen(array, pricing, shape):
    """Return those of the mapper's choice."""
    work = mapper.map_shape(array, pricing, shape, 1)
    return time_and_traffic(work.progress, work.counts)


def in_space(array, shape):
    return list(candidates(array, shape))


DIMS = [(100, 60, 70), (1, 200, 90), (250, 10, 40), (33, 17, 300)]


@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
@pytest.mark.parametrize(("dims", "repeats"), [*((dims, 1) for dims in DIMS), (DIMS[0], 3)])
def test_a_product_is_mapped_as_fast_as_brute_force_finds(dims, repeats, dataflow):
    array, pricing = on_array(dataflow=dataflow, scratchpad="8 KiB", accumulator="4 KiB")
    shape = GemmShape(repeats, Dims(*dims), Widths(8, 32), dataflow_of(dataflow))
    mappings = of_product(array, shape)
    assert chosen(array, pricing, shape) == best(array, pricing, shape, mappings)


@pytest.mark.parametrize("role", [Role.FORWARD, Role.WGRAD])
@pytest.mark.parametrize("size", [(9, 7), (20, 30)])
def test_a_convolution_is_mapped_as_fast_as_brute_force_finds(size, role):
    array, pricing = on_array(rows=8, cols=8, scratchpad="12 KiB", accumulator="6 KiB")
    conv = Conv(3, 20, 12, size, size, (3, 3), (1, 1), (1, 1), (1, 1))
    shape = ConvShape(1, forward_taps(conv, role), Widths(8, 32))
    mappings = of_convolution(array, shape)
    assert set(in_space(array, shape)) == set(mappings)
    assert chosen(array, pricing, shape) == best(array, pricing, shape, mappings)


@pytest.mark.parametrize(("dims", "count"), [((32, 32, 32), 63), ((16, 16, 16), 15)])
def test_the_space_of_a_cube_has_as_many_mappings_as_are_counted_by_hand(dims, count):
    """On 16 x 16 elements 32 is cut at 32, 16 and 8, along k, n and the streamed m: 27 tiles.

    One order of loops for each: 27. The other one where k is whole, m and n cut: 1 x 2 x 2. All of
    B stays where m is cut and another: 2 x (9 - 1); likewise all of A: 63. Of 16 there are two
    sizes: 8 + 1 + 1 x (4 - 1) + 1 x (4 - 1) = 15.
    """
    array, _ = on_array()
    mappings = in_space(array, GemmShape(1, Dims(*dims), Widths(8, 32), dataflow_of("ws")))
    assert len(mappings) == len(set(mappings)) == count


@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
@pytest.mark.parametrize("dims", DIMS)
def test_the_space_is_what_the_rules_say(dims, dataflow):
    array, _ = on_array(dataflow=dataflow, scratchpad="8 KiB", accumulator="4 KiB")
    shape = GemmShape(1, Dims(*dims), Widths(8, 32), dataflow_of(dataflow))
    assert set(in_space(array, shape)) == set(of_product(array, shape))
