"""Lists of indices in one column read as the lists that were put in."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.timing.index_lists import IndexLists

lists = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=4).map(tuple), max_size=12)
places = st.none() | st.integers(-15, 15)


@given(lists, st.builds(slice, places, places))
def test_lists_are_what_was_appended(wanted, part):
    found = IndexLists()
    for each in wanted:
        found.append(each)
    assert len(found) == len(wanted)
    assert list(found) == wanted
    assert [found[place] for place in range(-len(wanted), len(wanted))] == wanted * 2
    assert list(found[part]) == wanted[part]
