"""Square tiles of EF-Train's baselines: their sides, what moves when, and how long it takes."""

from collections import Counter

import pytest

from simulator.activity import Task
from simulator.hardware import load_hardware
from simulator.machine.step import run_step
from simulator.mapping import layout as operands
from simulator.mapping.array_shape import shape_of
from simulator.mapping.mapper import map_shape
from simulator.mapping.nest import nest
from simulator.mapping.rules import RULES
from simulator.timing.pricing import pricing_of
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Phase, Role, convolution
from tests.builders import unrolled

MACHINES = {
    layout: load_hardware(f"ef-train-zcu102-{layout}", {"dram.preset": "ideal"})
    for layout in ("bchw", "bhwc")
}
ROLES = (Role.FORWARD, Role.DGRAD, Role.WGRAD)


def conv(channels, filters, size, kernel, stride=1, padding=0, images=2):
    out = tuple((n + 2 * padding - kernel) // stride + 1 for n in size)
    pairs = ((kernel, kernel), (stride, stride), (padding, padding), (1, 1))
    return Conv(images, channels, filters, size, out, *pairs)


def shape(layout, c, role=Role.FORWARD):
    return shape_on(MACHINES[layout].accelerator, convolution(c, role))


def shape_on(array, gemm):
    return shape_of(gemm, operands.layout(gemm, array), array, 32)


def mapping(layout, c, role=Role.FORWARD):
    (chosen,) = shape(layout, c, role).under(RULES["square_tiles"], MACHINES[layout].accelerator)
    return chosen


def side(layout, c):
    steps = {loop.axis: loop.step for loop in mapping(layout, c).loops}
    return steps.get("row", c.output[0]), steps.get("col", c.output[1])


CONV1 = conv(3, 96, (227, 227), 11, 4)
CONV3 = conv(256, 384, (13, 13), 3, padding=1)


@pytest.mark.parametrize("layout", MACHINES)
@pytest.mark.parametrize(
    ("c", "wanted"),
    [
        (CONV1, 11),  # the sides of the paper's tiles
        (conv(96, 256, (27, 27), 5, padding=2), 27),
        (CONV3, 13),
        (conv(8, 32, (48, 80), 3, padding=1), 16),  # a square divides both sides
        (conv(8, 32, (113, 113), 3, padding=1), 1),  # a prime that does not fit
    ],
)
def test_a_tile_is_the_largest_square_that_divides_the_map_and_fits(layout, c, wanted):
    assert side(layout, c) == (wanted, wanted)


def test_a_matrix_product_is_not_cut_by_the_rule():
    array = MACHINES["bchw"].accelerator
    gemm = Gemm(Role.FORWARD, 1, 8, 8, 8, 0, 1, 0)
    assert list(shape_on(array, gemm).under(RULES["square_tiles"], array)) == []


def moves(layout, role):
    """How many parts of conv3 load a, load b, store, and compute; 12 x 32 (or 8 x 48) tiles."""
    count = Counter()
    for part in unrolled(nest(shape(layout, CONV3, role), mapping(layout, CONV3, role))):
        for name in ("load_a", "load_b", "store", "computes"):
            count[name] += bool(getattr(part, name))
    return tuple(count.values())


@pytest.mark.parametrize(
    ("layout", "role", "wanted"),
    [  # 2 images, 12 tiles of filters, 32 of channels; an input gradient has 8 and 48
        ("bchw", Role.FORWARD, (768, 768, 24, 768)),
        ("bchw", Role.DGRAD, (768, 768, 16, 768)),
        ("bchw", Role.WGRAD, (768, 768, 384, 768)),
        ("bhwc", Role.FORWARD, (2, 768, 2, 768)),  # all maps of an image at once
        ("bhwc", Role.DGRAD, (2, 768, 2, 768)),
        ("bhwc", Role.WGRAD, (24, 24, 12, 768)),  # Tm gradients, then all maps
    ],
)
def test_the_layout_decides_what_moves_at_once(layout, role, wanted):
    assert moves(layout, role) == wanted


@pytest.mark.parametrize("layout", MACHINES)
def test_weights_come_in_whole_tiles_even_where_channels_do_not_fill_one(layout):
    asked = shape(layout, CONV1)
    tile = next(part for part in unrolled(nest(asked, mapping(layout, CONV1))) if part.load_b)
    weights = asked.b(tile.sizes)
    assert weights.bytes == weights.run == 32 * 8 * 121 * 4


def cycles(layout, c, role):
    hardware = MACHINES[layout]
    pricing = pricing_of(hardware.dram, hardware.interconnect)
    return map_shape(hardware.accelerator, pricing, shape(layout, c, role), 1)


def test_forward_with_channels_first_takes_its_closed_form():
    """Per output tile: the first load, a step per tile of channels, the store beside the last."""
    compute, maps, weights, out = 13 * 13 * 9, 2 * 15 * 15, 64 * 9, 8 * 13 * 13
    tile = max(maps, weights) + 31 * max(maps, weights, compute) + max(compute, out)
    fill = 8  # of the array, beside the second load
    work = cycles("bchw", CONV3, Role.FORWARD)
    assert work.progress.duration_ps(WHOLE) // 10_000 == pytest.approx(
        24 * tile + out + fill, abs=8
    )


def test_forward_with_channels_last_takes_its_closed_form():
    """All maps in, tiles of filters with their first weights, all maps out."""
    compute, maps, weights, out = 13 * 13 * 9, 64 * 15 * 15, 64 * 9, 96 * 13 * 13
    image = maps + 12 * (weights + 32 * compute) + out
    work = cycles("bhwc", CONV3, Role.FORWARD)
    assert work.progress.duration_ps(WHOLE) // 10_000 == pytest.approx(2 * image, abs=8)


CASES = {
    "tiles of a map": conv(20, 40, (48, 80), 3, padding=1),
    "strided": conv(10, 70, (22, 22), 5, 2, 2),
    "less than a tile": conv(3, 5, (9, 9), 3),
    "one image": conv(16, 64, (6, 6), 3, padding=1, images=1),
}


@pytest.mark.parametrize("layout", MACHINES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("c", CASES.values(), ids=CASES)
def test_both_fidelities_take_the_same_time(layout, role, c):
    work = cycles(layout, c, role)
    task = Task(work, 0, Phase.FORWARD, "", ())
    assert run_step((task,), "in_order", "tile").duration_ps == work.progress.duration_ps(WHOLE)
