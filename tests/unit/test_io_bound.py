"""No plan moves less than the I/O lower bound of a matrix product allows.

2 M N K / sqrt(S) words for a fast memory of S words (Hong and Kung, STOC 1981, with the constant of
Smith et al., arXiv:1702.02017, and Kwasniewski et al., SC 2019), less what stays in it.
"""

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.hardware.precision import PRECISION_BITS
from simulator.trace.op import Gemm, Role
from tests.builders import array_work, machine

SUM_BYTES = 4


def words_moved(hardware, m, n, k):
    work = array_work(hardware, Gemm(Role.FORWARD, 1, m, n, k, 0, 1, 0), 8 * SUM_BYTES)
    operand = PRECISION_BITS[hardware.accelerator.precision] / 8
    written, read = work.counts.dram_write_bytes, work.counts.dram_read_bytes
    returned = written - SUM_BYTES * m * n  # sums that leave before they are complete
    return (read - returned) / operand + (written + returned) / SUM_BYTES


def words_on_chip(hardware):
    array = hardware.accelerator
    operand = PRECISION_BITS[array.precision] / 8
    return array.scratchpad / operand + array.accumulator / SUM_BYTES


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(1, 700)] * 3),
    st.sampled_from(["int8", "bf16", "fp32"]),
    st.sampled_from(["time", "traffic", "energy", "edp", "gemmini"]),
    st.sampled_from(["8 KiB", "64 KiB"]),
    st.booleans(),
    st.booleans(),
)
def test_no_plan_moves_less_than_the_bound(sizes, precision, mapping, scratchpad, spill, single):
    hardware = machine(
        accelerator__precision=precision, accelerator__mapping=mapping,
        accelerator__scratchpad=scratchpad, accelerator__accumulator="8 KiB",
        accelerator__spill=spill, accelerator__single_buffer=single,
    )  # fmt: skip
    on_chip = words_on_chip(hardware)
    m, n, k = sizes
    least = max(2 * m * n * k / sqrt(on_chip) - 2 * on_chip, m * k + k * n + m * n)
    assert words_moved(hardware, *sizes) >= least


@pytest.mark.parametrize("precision", ["int8", "bf16", "fp32"])
def test_large_products_come_near_the_bound_of_the_memory_of_sums(precision):
    """Sums live in the accumulator alone, so that S is its words: within 1.5 by traffic."""
    hardware = machine(accelerator__precision=precision, accelerator__mapping="traffic")
    assert words_moved(hardware, 2048, 2048, 2048) <= 1.5 * bound(hardware, 2048, 2048, 2048)


def bound(hardware, m, n, k):
    return 2 * m * n * k / sqrt(hardware.accelerator.accumulator / SUM_BYTES) + m * n


@pytest.mark.parametrize("sizes", [(1000, 1000, 4096), (1000, 1000, 1000), (512, 4096, 1000)])
def test_so_do_products_that_powers_of_two_do_not_divide(sizes):
    assert words_moved(machine(accelerator__mapping="traffic"), *sizes) <= 1.5 * bound(
        machine(), *sizes
    )


@pytest.mark.parametrize("sizes", [(2048, 2048, 2048), (1000, 1000, 4096), (4096, 256, 512)])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_by_time_they_come_within_two_and_a_half(sizes, precision):
    hardware = machine(accelerator__precision=precision)
    assert words_moved(hardware, *sizes) <= 2.5 * bound(hardware, *sizes)
