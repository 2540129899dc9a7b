"""Whose joules are they, and do they add up to the attojoule within every boundary?"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import simulate
from simulator.activity import Counts, DramStates
from simulator.energy import price_constants, prices
from simulator.energy.boundary import Boundary, boundary_of, takes_in
from simulator.energy.price_file import EnergyTable, read_table
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.replay import Replay
from simulator.results.recost import recost
from simulator.results.result import read_result
from simulator.run_folder import save_run
from simulator.views.joules import check_boundaries
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc

EDGE = load_hardware("edge-16x16", {"technology.board_static": "1 W"})
PRICES = prices(EDGE)
EVERY = tuple(PRICES.dynamic_aj)
amounts = st.lists(st.integers(0, 10**15), min_size=len(EVERY), max_size=len(EVERY)).map(
    lambda found: Counts(dict(zip(EVERY, found, strict=True)))
)
times = st.integers(0, 10**15)


def _trace():
    builder = StepBuilder()
    builder.elementwise(builder.gemm(96, 64, 80))
    return one_step_trace(builder, 7)


@given(amounts, times, times, times)
@settings(deadline=None, max_examples=60)
def test_each_boundary_takes_in_the_ones_before_it_and_its_own_components(
    counts, duration, standby, more
):
    states, before = DramStates(standby, standby + more), {}
    for boundary in Boundary:
        account = PRICES.account(PRICES.costs, boundary)
        spent = account.by_component_aj(counts, duration, states)
        assert sum(spent.values()) == account.energy_aj(counts, duration, states)
        assert {name: spent[name] for name in before} == before
        before = spent


def test_the_components_of_each_boundary():
    inside = {each: {*PRICES.by_boundary[each].static_uw} for each in Boundary}
    assert inside[Boundary.ARRAY] == {"array", "scratchpad"}
    assert inside[Boundary.CHIP] - inside[Boundary.ARRAY] == {"cpu", "interconnect", "controller"}
    assert inside[Boundary.CHIP_DRAM] - inside[Boundary.CHIP] == {"dram"}
    assert inside[Boundary.BOARD] - inside[Boundary.CHIP_DRAM] == {"board", "regulators"}


def test_a_further_array_is_one_of_the_arrays_and_a_further_cpu_is_not():
    npu = prices(load_hardware("edge-16x16-npu"))
    units = [name for name in npu.static_uw if name not in PRICES.static_uw]
    assert [boundary_of(name, npu.component) for name in units] == [Boundary.ARRAY] * len(units)
    assert units
    assert boundary_of("little", npu.component) is Boundary.CHIP
    assert takes_in(Boundary.BOARD, Boundary.ARRAY)
    assert not takes_in(Boundary.ARRAY, Boundary.CHIP)


@given(amounts, times)
@settings(deadline=None, max_examples=60)
def test_supplies_lose_what_their_efficiencies_leave(counts, duration):
    """85 % of the regulators times 81 % of the adapter: 45.2 % of what they deliver, by price."""
    board, chip = (PRICES.by_boundary[each] for each in (Boundary.BOARD, Boundary.CHIP_DRAM))
    spent = board.by_component_aj(counts, duration, DramStates())
    delivered = chip.energy_aj(counts, duration, DramStates()) + 10**6 * duration
    assert spent["regulators"] == pytest.approx(0.452 * delivered, rel=1e-4)
    assert spent["board"] == 10**6 * duration
    assert pytest.approx(1.452, abs=1e-3) == 1 / (0.85 * 0.81)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boundary") / "run"
    replay = Replay(EDGE, _trace())
    save_run(replay, replay.run(), folder, ops=True)
    return folder


@pytest.mark.parametrize("boundary", list(Boundary))
def test_a_finished_run_within_another_boundary_is_a_new_run_within_it(finished, boundary):
    new = simulate(EDGE, _trace(), boundary=boundary)
    again = recost(finished, EnergyTable(), boundary)
    assert again.as_dict(ops=True)["boundary"] == boundary
    for part in ("total", "phases", "layers", "epochs", "ops"):
        assert again.as_dict(ops=True)[part] == new.as_dict(ops=True)[part]
    within = read_result(finished)["total"]["energy_by_boundary_j"]
    assert new.total["energy_j"] == within[boundary]
    assert new.total["energy_low_j"] < new.total["energy_j"] < new.total["energy_high_j"]
    whole = sum(row["energy_aj"] * row["count"] for row in new.ops)
    assert new.total["energy_aj"] == whole == sum(row["energy_aj"] for row in new.phases)


def test_every_table_says_whose_joules_it_has(finished, tmp_path):
    shown = trainsoc("recost", finished, "--boundary", "board", "-o", tmp_path / "board")
    assert "Energy is that of the board, as a meter at the wall reads it." in " ".join(
        shown.stdout.split()
    )
    assert " regulators" in shown.stdout
    usual = trainsoc("recost", finished)
    assert "Energy is that of the chip and its memory." in " ".join(usual.stdout.split())
    assert " regulators" not in usual.stdout
    told = json.loads(trainsoc("recost", tmp_path / "board", "--json").stdout)
    assert told["boundary"] == "board"
    refused = trainsoc("recost", finished, "--boundary", "package")
    assert refused.returncode == 2
    assert "use array, chip, chip+dram, board" in refused.stderr
    both = trainsoc("diff", finished, tmp_path / "board")
    assert both.returncode == 2
    assert "--boundary" in both.stderr


def test_results_of_earlier_versions_are_of_the_chip_and_its_memory(finished):
    document = read_result(finished)
    earlier = {key: value for key, value in document.items() if key != "boundary"}
    check_boundaries(document, earlier)
    with pytest.raises(InputError, match="energy within chip"):
        check_boundaries(document, {**earlier, "boundary": "board"})


def test_a_doubt_counts_where_its_price_is_paid():
    paths = {each: {c.path for c in price_constants(EDGE, each)} for each in Boundary}
    assert paths[Boundary.BOARD] == {each.path for each in price_constants(EDGE)}
    board = paths[Boundary.BOARD] - paths[Boundary.CHIP_DRAM]
    assert board == {"energy.regulators", "energy.board_static"}
    memory = paths[Boundary.CHIP_DRAM] - paths[Boundary.CHIP]
    assert memory
    assert all(each.startswith("energy.dram_") for each in memory)


def test_supplies_and_states_of_the_memory_can_be_priced_anew(finished, tmp_path):
    """Exactly: what standby drew is gone, and what supplies lost is nothing."""
    path = tmp_path / "prices.yaml"
    path.write_text("loss: 0 %\nstandby: {dram: 0 mW}\n")
    board, cheaper = (
        recost(finished, table, Boundary.BOARD) for table in (EnergyTable(), read_table(path))
    )
    states, counts = board.whole.tally.states, board.whole.counts
    standby_uw = PRICES.costs.state_uw["dram"][0]
    lost = board.prices.within.by_component_aj(counts, board.whole.tally.latency_ps, states)
    before, after = board.total["energy_aj"], cheaper.total["energy_aj"]
    assert before - after == lost["regulators"] + standby_uw * states.standby_ps
    assert cheaper.total["energy_by_component_j"]["regulators"] == 0
    assert states.standby_ps > 0
