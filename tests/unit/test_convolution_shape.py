"""Convolutions tap by tap against brute force: what tiles touch, compute and cost."""

from itertools import product
from math import prod

import pytest

from simulator.hardware.precision import PRECISION_BITS
from simulator.mapping import mapper
from simulator.mapping.convolution import ConvShape
from simulator.mapping.plan import Plan
from simulator.mapping.problem import Widths
from simulator.mapping.taps import ConvTile, backward_taps, forward_taps
from simulator.mapping.tiling import candidates
from simulator.timing.dataflows import OS, WS, Dims
from simulator.timing.pricing import pricing_of
from simulator.timing.systolic import tile_cycles
from simulator.trace.op import Conv, Role, convolution
from tests.builders import array_work, best_within_slack, machine, time_and_traffic

WIDTHS = Widths(8, 8)


def conv(channels, filters, size, kernel=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1)):
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, d, p in zip(size, kernel, stride, dilation, padding, strict=True)
    )
    return Conv(2, channels, filters, size, out, kernel, stride, padding, dilation)


CONVS = {
    "plain": conv(8, 12, (9, 10), padding=(0, 0)),
    "padded": conv(8, 12, (9, 10)),
    "strided": conv(8, 12, (11, 12), stride=(2, 2)),
    "strides apart": conv(5, 4, (13, 9), (2, 3), (3, 1), (0, 1)),
    "pointwise, strided": conv(16, 8, (8, 8), (1, 1), (2, 2), (0, 0)),
    "dilated": conv(4, 6, (12, 13), dilation=(2, 3), padding=(2, 3)),
    "seven by seven": conv(3, 16, (17, 17), (7, 7), (2, 2), (3, 3)),
}
ROLES = (Role.FORWARD, Role.DGRAD, Role.WGRAD)


def shape_of(c, role):
    taps = backward_taps(c) if role is Role.DGRAD else forward_taps(c, role)
    return ConvShape(1, taps, WIDTHS)


def along(c, role, axis, produced, taps):
    """Places of the map that is read which a run of produced places sees, along one axis."""
    step, gap, pad = c.stride[axis], c.dilation[axis], c.padding[axis]
    size = c.output[axis] if role is Role.DGRAD else c.input[axis]
    seen = set()
    for place, tap in product(produced, taps):
        if role is Role.DGRAD:
            at, off = divmod(place + pad - tap * gap, step)
            if off:
                continue
        else:
            at = place * step - pad + tap * gap
        if 0 <= at < size:
            seen.add(at)
    return len(seen)


def touched(c, role, shape, tile):
    """Return the most elements of the seen map under any tile of these sizes."""
    most = []
    for axis in (0, 1):
        whole = (shape.whole.row, shape.whole.col)[axis]
        size, taps = (tile.row, tile.col)[axis], (tile.tap_row, tile.tap_col)[axis]
        starts = range(0, whole - size + 1)
        kernel = c.kernel[axis]
        counts = [
            along(c, role, axis, range(at, at + size), range(tap, tap + taps))
            for at in starts
            for tap in range(kernel - taps + 1)
        ]
        most.append(max(counts))
    return tile.image * most[0] * most[1] * tile.channel


def tiles_of(whole):
    """A deterministic choice of tiles: whole, halves, single rows and columns, single taps."""
    for image, row, col, channel, tapped in product(
        (whole.image, 1), {whole.row, -(-whole.row // 2), 1}, {whole.col, 3, 1},
        {whole.channel, 1}, (True, False),
    ):  # fmt: skip
        taps = (whole.tap_row, whole.tap_col) if tapped else (1, 1)
        yield ConvTile(image, row, min(col, whole.col), whole.filter, channel, *taps)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CONVS)
def test_a_tile_loads_no_less_than_it_touches_and_not_much_more(name, role):
    c = CONVS[name]
    shape = shape_of(c, role)
    for tile in tiles_of(shape.whole):
        seen = (shape.b if role is Role.WGRAD else shape.a)(tile).bytes
        needed = touched(c, role, shape, tile)
        assert seen >= needed
        if name == "plain" and role is not Role.DGRAD:
            assert seen == needed, tile
        spans = [
            span(c, role, 0, tile.row, tile.tap_row),
            span(c, role, 1, tile.col, tile.tap_col),
        ]
        assert seen <= tile.image * tile.channel * prod(spans)


def span(c, role, axis, produced, taps):
    """Places between the first and the last one seen, those that are skipped and padding too."""
    reach = c.dilation[axis] * (taps - 1) + 1
    if role is Role.DGRAD:
        return (produced - 1 + reach - 1) // c.stride[axis] + 1
    return (produced - 1) * c.stride[axis] + reach


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CONVS)
def test_the_other_maps_and_the_weights_are_whole(name, role):
    c, shape = CONVS[name], shape_of(CONVS[name], role)
    weights = c.in_channels * c.out_channels * prod(c.kernel)
    produced = c.images * (
        c.in_channels * prod(c.input) if role is Role.DGRAD else c.out_channels * prod(c.output)
    )
    if role is Role.WGRAD:
        assert shape.a(shape.whole).bytes == produced
        assert shape.c(shape.whole, 32).bytes == 4 * weights
    else:
        assert shape.b(shape.whole).bytes == weights
        assert shape.c(shape.whole, 32).bytes == 4 * produced


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CONVS)
def test_macs_and_cycles_are_those_of_a_product_per_tap(name, role):
    c, shape, array = CONVS[name], shape_of(CONVS[name], role), machine().accelerator
    pixels = c.images * prod(c.input if role is Role.DGRAD else c.output)
    inputs, outputs = c.in_channels, c.out_channels
    each = {
        Role.FORWARD: Dims(pixels, outputs, inputs),
        Role.DGRAD: Dims(pixels, inputs, outputs),
        Role.WGRAD: Dims(outputs, inputs, pixels),
    }[role]
    assert shape.macs == prod(c.kernel) * prod(each)
    assert shape.cycles(array, shape.whole) == prod(c.kernel) * tile_cycles(array, each, WS)


def work_of(hardware, c, role):
    precision = hardware.accelerator.precision
    return array_work(hardware, convolution(c, role), PRECISION_BITS[precision])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "c", [conv(64, 64, (28, 28)), conv(64, 128, (28, 28), stride=(2, 2)), conv(3, 32, (64, 64))]
)
def test_a_channelwise_machine_moves_all_and_computes_what_im2col_does(c, role):
    small = {"accelerator__scratchpad": "32 KiB", "accelerator__accumulator": "32 KiB"}
    by_taps = work_of(machine(accelerator__im2col="channelwise", **small), c, role).counts
    plain = work_of(machine(**small), c, role).counts
    assert by_taps.macs == plain.macs
    assert by_taps.macs_issued == plain.macs_issued
    maps = c.images * c.in_channels * prod(c.input), c.images * c.out_channels * prod(c.output)
    weights = c.in_channels * c.out_channels * prod(c.kernel)
    read = {Role.FORWARD: maps[0] + weights, Role.DGRAD: maps[1] + weights, Role.WGRAD: sum(maps)}
    written = {Role.FORWARD: maps[1], Role.DGRAD: maps[0], Role.WGRAD: weights}
    assert by_taps.dram_read_bytes >= read[role]
    assert by_taps.dram_write_bytes >= written[role]


@pytest.mark.parametrize("role", ROLES)
def test_the_mapping_of_a_convolution_is_the_best_of_its_space(role):
    hardware = machine(accelerator__im2col="channelwise", accelerator__scratchpad="16 KiB")
    array, pricing = hardware.accelerator, pricing_of(hardware.dram, hardware.interconnect)
    shape = shape_of(conv(32, 48, (14, 14)), role)
    chosen = mapper.map_shape(array, pricing, shape, shape.macs)
    plans = [Plan(array, pricing, shape, mapping) for mapping in candidates(array, shape)]
    assert time_and_traffic(chosen.progress, chosen.counts) == best_within_slack(plans)


@pytest.mark.parametrize(("rows", "cols", "folds"), [(8, 32, 1), (32, 8, 4), (16, 16, 2)])
def test_a_gradient_that_stays_lies_on_the_array_as_its_weight_does_forward(rows, cols, folds):
    array = machine(
        accelerator__rows=rows, accelerator__cols=cols, accelerator__overlap="full",
        accelerator__structure="broadcast",
    ).accelerator  # fmt: skip
    c = conv(8, 32, (20, 20))
    forward = ConvShape(1, forward_taps(c, Role.FORWARD), WIDTHS)
    gradient = ConvShape(1, forward_taps(c, Role.WGRAD), WIDTHS, OS)
    for shape in (forward, gradient):
        assert shape.cycles(array, shape.whole) == folds * 9 * 2 * 20 * 20
