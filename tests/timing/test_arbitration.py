"""Who gets what of the memory under each policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.timing.arbitration import POLICIES, STARVED, Master, fair, first_come, priority
from simulator.timing.arbitration import weighted as in_turns
from simulator.timing.shares import WHOLE, max_min_fair

BOTH = [Master(), Master()]


def test_two_that_want_all_get_half():
    assert fair([WHOLE, WHOLE], BOTH, WHOLE) == [WHOLE // 2, WHOLE // 2]


def test_who_wants_little_on_average_still_bursts_at_what_is_left():
    grants = fair([WHOLE // 10, WHOLE * 4 // 10], BOTH, WHOLE)
    assert grants[0] == WHOLE - WHOLE * 4 // 10
    assert grants[1] == WHOLE - WHOLE // 10


def test_weights_decide_between_two_that_want_all():
    shares = in_turns([WHOLE, WHOLE], [Master(weight=3), Master(weight=1)], WHOLE)
    assert shares == [WHOLE * 3 // 4, WHOLE // 4]


def test_who_has_more_in_flight_has_more_of_the_queue():
    shares = first_come([WHOLE, WHOLE], [Master(outstanding=4), Master(outstanding=28)], WHOLE)
    assert shares == [WHOLE // 8, WHOLE * 7 // 8]


def test_who_goes_first_has_all_that_it_wants_and_the_other_the_rest():
    masters = [Master(), Master(first=True)]
    assert priority([WHOLE, WHOLE * 3 // 4], masters, WHOLE) == [WHOLE // 4, WHOLE]
    assert priority([WHOLE, WHOLE], masters, WHOLE) == [STARVED, WHOLE]
    assert priority([WHOLE], masters[:1], WHOLE) == [WHOLE]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@given(
    st.integers(1, WHOLE), st.integers(1, WHOLE), st.integers(1, 8), st.integers(1, 8),
    st.integers(WHOLE // 2, WHOLE),
)  # fmt: skip
def test_no_one_starves_and_no_one_has_more_than_there_is(policy, one, other, a, b, whole):
    masters = [Master(a, False, a), Master(b, True, b)]
    shares = policy([one, other], masters, whole)
    assert all(0 < share <= whole for share in shares)


@given(st.integers(1, WHOLE), st.integers(1, WHOLE))
def test_a_burst_never_has_less_than_the_average_that_is_granted(one, other):
    shares = fair([one, other], BOTH, WHOLE)
    for share, grant in zip(shares, max_min_fair([one, other]), strict=True):
        assert share >= grant
