"""What is best in larger memories is taken for smaller ones only where a search says the same."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.errors import Infeasible
from simulator.mapping import tiling
from simulator.mapping.memories import Demand
from simulator.mapping.problem import TileNeeds
from simulator.mapping.search import Search
from simulator.mapping.shape import GemmShape, Widths
from simulator.mapping.tiling import Room
from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.pricing import pricing_of
from tests.builders import machine

PRESETS = ("ideal", "LPDDR4-3200_x32_1ch")
SIZES = st.tuples(st.sampled_from((2, 3, 8, 16, 48)), st.sampled_from((2, 8)))


def forget():
    tiling._SPACES.clear()
    tiling._MAPSPACES.clear()


def mapping_of(hardware, shape):
    """Return the mapping that a search takes, None where nothing fits."""
    pricing = pricing_of(hardware.dram, hardware.interconnect)
    try:
        return Search(hardware.accelerator, pricing, shape).best().mapping
    except Infeasible:
        return None


# All three objectives at their usual slack, and one where the fastest moves much more.
OBJECTIVES = (("time", 2), ("time", 30), ("traffic", 2), ("edp", 2))
LADDER = [(size, 8) for size in (48, 16, 8, 3, 2)]


@settings(max_examples=60, deadline=None)
@example((33, 59, 55), 3, "ws", ("time", 30), "ideal", LADDER)
@given(
    st.tuples(*[st.integers(1, 200)] * 3),
    st.sampled_from((1, 3)),
    st.sampled_from(("ws", "os", "is")),
    st.sampled_from(OBJECTIVES),
    st.sampled_from(PRESETS),
    st.lists(SIZES, min_size=2, max_size=5, unique=True),
)
def test_searches_in_memories_of_many_sizes_find_what_each_finds_alone(
    dims, repeats, dataflow, objective, preset, sizes
):
    shape = GemmShape(repeats, Dims(*dims), Widths(8, 32), dataflow_of(dataflow))
    mapping, slack = objective
    machines = [
        machine(**{
            "accelerator.rows": 16, "accelerator.cols": 8, "accelerator.dataflow": dataflow,
            "accelerator.mapping": mapping, "accelerator.mapping_slack": f"{slack} %",
            "dram.preset": preset,
            "accelerator.scratchpad": f"{scratchpad} KiB",
            "accelerator.accumulator": f"{accumulator} KiB",
        })
        for scratchpad, accumulator in sizes
    ]  # fmt: skip
    alone = []
    for each in machines:
        forget()
        alone.append(mapping_of(each, shape))
    forget()
    assert [mapping_of(each, shape) for each in machines] == alone


def test_a_mapping_that_fits_smaller_memories_is_not_searched_for_again(monkeypatch):
    """A product whose operands fit 8 KiB twice needs no more of 512 KiB."""
    searches = []
    of_these = Search._of_these
    monkeypatch.setattr(Search, "_of_these", lambda self: searches.append(1) or of_these(self))
    shape = GemmShape(1, Dims(32, 32, 32), Widths(8, 32), dataflow_of("ws"))
    forget()
    sizes = ("512 KiB", "64 KiB", "8 KiB")
    mappings = {
        mapping_of(machine(**{"accelerator.scratchpad": size}), shape).text for size in sizes
    }
    assert len(mappings) == len(searches) == 1


def test_less_room_is_no_larger_in_any_memory_and_considers_no_other_level():
    large = Room(Demand(64, 16), TileNeeds(64, 16), ("coarse", "fine"))
    assert large.holds(large)
    assert large.holds(large._replace(sizes=Demand(8, 16), levels=("fine",)))
    assert not large.holds(large._replace(sizes=Demand(8, 17)))
    assert not large.holds(large._replace(needs=TileNeeds(65, 16)))
    assert not large.holds(large._replace(levels=("fine", "finer")))
