"""Interference among n masters: closed forms, and what any number of them may lose."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from simulator.hardware import load_hardware
from simulator.timing.dram.cost import traffic_of
from simulator.timing.shares import WHOLE, max_min_fair
from simulator.timing.sharing import Want, interference, masters_of, sharing_of


def test_two_masters_lose_what_both_move_twice():
    assert interference([300, 500], {(0, 1): 200}) == 2 * 300 * 200


def test_three_equal_masters_by_hand():
    """Each of 100 meets 200 of the others, of which it reaches 100: their mean loss."""
    lost = {(0, 1): 100, (0, 2): 300, (1, 2): 500}
    first, second, third = 100 * 200, 100 * 300, 100 * 400
    assert interference([100, 100, 100], lost) == first + second + third


def test_a_large_master_meets_no_more_than_the_others_move():
    """900 meets 20 of the others; each small one meets 10 of a mixture of 900 and 10."""
    lost = {(0, 1): 400, (0, 2): 400, (1, 2): 0}
    small = 10 * (900 * 400 + 10 * 0) // 910
    assert interference([900, 10, 10], lost) == 20 * 400 + 2 * small


def test_a_master_that_moves_nothing_changes_nothing():
    lost = dict.fromkeys(combinations(range(3), 2), 250)
    assert interference([300, 500, 0], lost) == interference([300, 500], {(0, 1): 250})


@given(
    st.lists(st.integers(1, WHOLE), min_size=2, max_size=5),
    st.lists(st.integers(0, 1000), min_size=10, max_size=10),
)
def test_no_set_of_masters_loses_more_than_its_worst_pair(demands, losses):
    grants = max_min_fair(demands)
    lost = dict(zip(combinations(range(len(grants)), 2), losses, strict=False))
    assert 0 <= interference(grants, lost) <= max(lost.values()) * sum(grants)


def test_shares_of_three_masters_fall_by_what_they_lose():
    hardware = load_hardware("edge-16x16")
    sharing = sharing_of(hardware)
    rows = traffic_of(hardware.dram.device, 1000, 0, 1000)  # each burst in another row
    wants = tuple(Want(unit, WHOLE, rows) for unit in ("cpu", "accelerator", "relu"))
    shares = sharing.shares(wants)
    assert len(set(shares)) <= 2  # equal but for a remainder
    assert sum(shares) <= WHOLE
    pair = sharing.shares(wants[:2])
    assert all(one < other for one, other in zip(shares, pair, strict=False))


def test_the_arbiter_knows_every_unit():
    hardware = load_hardware("gemmini-16x16", {"interconnect.accelerator_weight": 3})
    masters = masters_of(hardware)
    assert set(masters) == {"cpu", "accelerator"}
    assert (masters["accelerator"].weight, masters["cpu"].first) == (3, True)
