"""Convolutions on a CPU without oneDNN: what ATen and NNPACK compute and move, by hand."""

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.hardware import load_hardware
from simulator.timing.convolutions import (
    FOURIER_8,
    FOURIER_16,
    WINOGRAD,
    algorithm,
    convolution,
)
from simulator.trace.op import Conv, Role
from simulator.trace.op import convolution as product

# Costs that make results read as counts: a cycle is 1 ns, and what a test does not ask for is free.
_FREE = dict.fromkeys(
    (
        "product_pack", "unfold", "fold", "row_start", "pack", "transform",
    ),
    "0 cycles",
) | dict.fromkeys(("product_fork", "inner_dispatch", "fork", "page_walk"), "0 cycles")  # fmt: skip


def cpu(**settings):
    """A Raspberry Pi 4 at 1 GHz with every cost at nothing but those given."""
    costs = {f"cpu.costs.{name}": value for name, value in (_FREE | settings).items()}
    return load_hardware("raspberry-pi-4", {"cpu.clock": "1 GHz"} | costs).cpu


def conv(channels, filters, size, kernel, *, images=16, stride=1, groups=1, padding=None):
    """A square convolution with its usual padding."""
    padding = kernel // 2 if padding is None else padding
    out = (size + 2 * padding - kernel) // stride + 1
    return Conv(
        images, channels, filters, (size, size), (out, out), (kernel, kernel), (stride, stride),
        (padding, padding), (1, 1), groups,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "size", "expected"),
    [  # tiles of 8 x 8 against four times those of 16 x 16 (convolution-output.c)
        (3, 112, FOURIER_16),  # 19 x 19 > 4 x 8 x 8
        (3, 14, FOURIER_16),  # 3 x 3 > 4
        (3, 7, WINOGRAD),  # 2 x 2 = 4
        (1, 56, FOURIER_8),  # 7 x 7 < 4 x 4 x 4
        (5, 14, FOURIER_8),  # 4 x 4 = 4 x 2 x 2
        (7, 56, FOURIER_16),  # 28 x 28 > 4 x 6 x 6
        (11, 27, FOURIER_16),  # larger than a tile of 8 x 8
    ],
)
def test_nnpack_chooses_by_tiles(kernel, size, expected):
    assert algorithm(conv(8, 8, size, kernel)) is expected


def test_fourier_products_of_a_pointwise_convolution_are_twice_its_own():
    # 8 x 8 real elements: 128 real products per pair of channels for 64 outputs.
    found = convolution(cpu(tuple_efficiency="100 %"), product(conv(32, 64, 56, 1)))
    macs = 2 * 56 * 56 * 16 * 32 * 64
    assert sum(stretch.ps for stretch in found) == macs * 1000 // (4 * 4)  # 4 lanes, 4 cores


def test_winograd_takes_64_products_for_36_outputs_of_nine():
    # 7 x 7 is 2 x 2 tiles of 6 x 6; 16 images and 63 filters are whole rows of 3: 18 and 63.
    found = convolution(cpu(tuple_efficiency="100 %"), product(conv(32, 63, 7, 3)))
    assert sum(stretch.ps for stretch in found) == 4 * 64 * 18 * 63 * 32 * 1000 // 16


def test_loops_start_threads_for_every_tile_and_tuple():
    # 5 x 5 over 14 x 14: 4 x 4 tiles of 4 x 4; transforms there and back and 64 / 8 tuples each.
    found = convolution(cpu(fork="1 kcycles"), product(conv(8, 8, 14, 5)))
    free = convolution(cpu(), product(conv(8, 8, 14, 5)))
    taken = sum(stretch.ps for stretch in found) - sum(stretch.ps for stretch in free)
    assert taken == 16 * (2 + 8) * 10**6


def test_depthwise_groups_are_convolutions_in_turn():
    one = convolution(cpu(fork="1 kcycles"), product(conv(1, 1, 14, 5)))
    found = convolution(cpu(fork="1 kcycles"), product(conv(24, 24, 14, 5, groups=24)))
    assert sum(stretch.ps for stretch in found) == 24 * sum(stretch.ps for stretch in one)
    copied = 4 * 16 * 24 * 14 * 14  # groups are cut out of the input and joined to the output
    assert found[-1].read_bytes == found[-1].write_bytes == 2 * copied


def test_fewer_than_16_images_are_unfolded():
    # Columns of 64 x 9 x 56 x 56 words are written by im2col and read by the product.
    found = convolution(cpu(unfold="1 cycles"), product(conv(64, 64, 56, 3, images=4)))
    elements = 4 * 64 * 9 * 56 * 56
    assert 4 * elements < 32 * 2**20  # larger buffers are new to the process at every call
    assert found[0].ps == elements * 1000 // 4
    assert found[0].read_bytes == found[0].write_bytes == 4 * elements


def test_large_columns_are_new_memory_at_every_call():
    (columns, _) = convolution(cpu(first_touch="1 GB/s"), product(conv(64, 64, 56, 3), Role.WGRAD))
    assert columns.ps == 4 * 16 * 64 * 9 * 56 * 56 * 1000


def test_columns_that_fit_the_cache_stay_there():
    found = convolution(cpu(), product(conv(8, 8, 14, 3, images=4), Role.WGRAD))
    assert 4 * 4 * 8 * 9 * 14 * 14 < 3 * 2**20 // 4
    assert found[0].read_bytes == found[0].write_bytes == 0


def test_pointwise_convolutions_need_no_columns():
    found = convolution(cpu(), product(conv(64, 64, 56, 1, images=4), Role.WGRAD))
    assert [stretch.read_bytes for stretch in found] == [0]


def test_dgrad_folds_every_column():
    found = convolution(
        cpu(fold="1 cycles", row_start="1 cycles"), product(conv(16, 16, 28, 3), Role.DGRAD)
    )
    rows = 16 * 16 * 9 * 28
    assert found[1].ps == rows * (1 + 28) * 1000 // 4


def test_columns_that_do_not_fit_are_written_and_read_again():
    # 4 cores with a column of 9 x 64 x 56 x 56 words each: 28.9 MB, far more than 1 MiB.
    found = convolution(cpu(), product(conv(64, 64, 56, 3), Role.DGRAD))
    assert found[1].read_bytes == found[1].write_bytes == 4 * 16 * 64 * 9 * 56 * 56


@pytest.mark.parametrize(("role", "dispatches"), [(Role.FORWARD, 8), (Role.WGRAD, 12)])
def test_every_group_dispatches_ops_of_its_own(role, dispatches):
    groups = conv(24, 24, 14, 3, groups=24)
    calls, *_ = convolution(cpu(inner_dispatch="1 kcycles"), product(groups, role))
    assert calls.ps == 24 * dispatches * 10**6


def test_bias_of_a_strided_convolution_is_added_by_one_core():
    found = convolution(cpu(), product(conv(16, 32, 28, 3, stride=2)))
    assert (found[-1].ps, found[-1].threads) == (16 * 32 * 14 * 14 * 1000, 1)


def test_a_transposed_convolution_is_the_dgrad_of_its_mirror():
    mirror = conv(16, 8, 28, 3, stride=2, images=4)
    transposed = Conv(
        4, 8, 16, mirror.output, mirror.input, (3, 3), (2, 2), (1, 1), (1, 1), transposed=True
    )
    machine = cpu(fold="1 cycles", unfold="1 cycles")
    assert convolution(machine, product(transposed)) == convolution(
        machine, product(mirror, Role.DGRAD)
    )
    assert convolution(machine, product(transposed, Role.DGRAD)) == convolution(
        machine, product(mirror)
    )


@settings(max_examples=100, deadline=None)
@given(
    channels=st.integers(1, 64),
    filters=st.integers(1, 64),
    size=st.integers(3, 40),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    images=st.sampled_from([1, 4, 16]),
    role=st.sampled_from([Role.FORWARD, Role.DGRAD, Role.WGRAD]),
)
def test_more_of_anything_never_takes_less(channels, filters, size, kernel, stride, images, role):
    # On one core: BLAS takes all of them from some size on, which pays off there.
    machine = load_hardware("raspberry-pi-4", {"cpu.cores": 1}).cpu
    smaller = conv(channels, filters, size, kernel, images=images, stride=stride)
    larger = conv(channels + 1, filters + 1, size, kernel, images=images, stride=stride)
    less, more = (
        sum(stretch.ps for stretch in convolution(machine, product(each, role)))
        for each in (smaller, larger)
    )
    assert less <= more
    assert prod(smaller.output) == prod(larger.output)
