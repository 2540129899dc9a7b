"""Does a finished run at other prices cost what a new run with them would, to the attojoule?"""

import json
import subprocess
import sys

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.energy import COMPONENTS, price_file
from simulator.energy.price_file import (
    Dynamic,
    EnergyTable,
    Static,
    plain_prices,
    read_plain_prices,
    read_table,
    table_text,
    with_table,
)
from simulator.energy.prices import OWN_COMPONENTS, prices
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.shipped import hardware_names
from simulator.replay import Replay
from simulator.results import saved
from simulator.results.recost import recost, save_recosted
from simulator.run_folder import save_run
from tests.builders import ACTIONS, StepBuilder, one_step_trace
from tests.command_line import ROOT, trainsoc
from tests.system.strategies import machines, traces

EDGE = load_hardware("edge-16x16")
KEY = "trainsoc.records"
CYCLES = ACTIONS["cpu_cycles"]
FILES = ("result.json", "step.json", "hardware.json", "energy.yaml", "records.parquet")


def _table(folder, text):
    path = folder / "prices.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(96, 64, 80))
    folder = tmp_path_factory.mktemp("recost") / "run"
    replay = Replay(EDGE, one_step_trace(builder, 7))
    result = replay.run()
    save_run(replay, result, folder, ops=True)
    return folder, result


def test_a_table_names_every_count_and_every_component():
    assert {action.key for action in prices(EDGE).dynamic_aj} <= set(Dynamic.model_fields)
    assert (*Static.model_fields, "regulators") == OWN_COMPONENTS


@pytest.mark.parametrize("name", hardware_names())
def test_prices_survive_being_written(name, tmp_path):
    paid = prices(load_hardware(name))
    nothing = read_plain_prices(_free(plain_prices(paid)))
    assert with_table(nothing, read_table(_table(tmp_path, table_text(paid)))) == paid
    assert read_plain_prices(json.loads(json.dumps(plain_prices(paid)))) == paid


_FREE_CPU = """
dynamic: {cpu_cycles: 0 pJ, cpu_wait_cycles: 0 pJ, cpu_vector_macs: 0 pJ, cpu_cache_bytes: 0 pJ}
static: {cpu: 0 mW}
"""


def _free(plain):
    """Return plain prices of the same actions, all of them zero."""
    return {
        name: _free(value) if isinstance(value, dict) and name != "state_uw" else
        [0] * len(value) if name == "dynamic_aj" else
        value if name in ("actions", "boundary") else
        {key: [0, 0] for key in value} if name == "state_uw" else 0
        for name, value in plain.items()
    } | ({"board_uw": None} if "board_uw" in plain else {})  # fmt: skip


@given(machines(), traces())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_same_prices_give_the_same_folder(tmp_path_factory, hardware, trace):
    folder = tmp_path_factory.mktemp("same")
    replay = Replay(hardware, trace)
    save_run(replay, replay.run(), folder / "run", ops=True)
    again = recost(folder / "run", read_table(folder / "run" / "energy.yaml"))
    save_recosted(folder / "run", again, folder / "again", ops=True)
    for name in FILES:
        assert (folder / "again" / name).read_bytes() == (folder / "run" / name).read_bytes()


def test_a_mac_of_twice_the_price_adds_what_the_macs_cost(finished, tmp_path):
    folder, before = finished
    paid = before.prices.dynamic_aj[ACTIONS["array_macs_issued"]]
    table = _table(tmp_path, f"dynamic: {{array_macs_issued: {2 * paid} aJ}}\n")
    after = recost(folder, read_table(table))
    macs = 96 * 64 * 80 * 7  # of the product, as often as it ran; nothing else is on the array
    assert after.total["energy_aj"] == before.total["energy_aj"] + macs * paid
    for part in COMPONENTS:
        spent = [result.total["energy_by_component_j"][part] for result in (before, after)]
        assert (spent[0] == spent[1]) == (part != "array")
    same = ("latency_ps", "macs", "dram_read_bytes", "contention_s", "row_hit_rate")
    assert all(after.total[key] == before.total[key] for key in same)
    for late, early in zip(after.ops, before.ops, strict=True):
        grown = late["energy_aj"] - early["energy_aj"]
        assert grown == (early["macs"] * paid if early["unit"] == "accelerator" else 0)


def test_other_prices_cost_what_a_new_run_with_them_costs(finished, tmp_path):
    """A datasheet's DRAM against typical silicon: the same counts, other prices, other peaks."""
    folder, _ = finished
    half = load_hardware(EDGE, {"technology.dram_typical": "55 %"})
    builder = StepBuilder()
    builder.elementwise(builder.gemm(96, 64, 80))
    replay = Replay(half, one_step_trace(builder, 7))
    new = replay.run()
    save_run(replay, new, tmp_path / "new")
    table = _table(tmp_path, table_text(new.prices))
    found = recost(folder, read_table(table))
    assert found.total == new.total
    assert (found.phases, found.layers, found.epochs, found.ops) == (
        new.phases, new.layers, new.epochs, new.ops,
    )  # fmt: skip
    save_recosted(folder, found, tmp_path / "found")
    for name in ("step.json", "energy.yaml", "records.parquet"):
        assert (tmp_path / "found" / name).read_bytes() == (tmp_path / "new" / name).read_bytes()


@given(st.integers(1, 10**12))
@settings(deadline=None, max_examples=40)
def test_a_range_keeps_its_ratio_to_a_new_price(price):
    paid = prices(EDGE)
    table = EnergyTable.model_validate({"dynamic": {"cpu_cycles": f"{price} aJ"}})
    found = with_table(paid, table)
    assert found.dynamic_aj[CYCLES] == price
    assert found.low.dynamic_aj[CYCLES] == pytest.approx(price * 84 / 110, rel=1e-3, abs=1)
    assert found.high.dynamic_aj[CYCLES] == pytest.approx(price * 140 / 110, rel=1e-3, abs=1)


def test_static_power_and_ranges_and_the_board_may_be_given(tmp_path):
    text = "static: {cpu: 1 mW}\nlow: {static: {cpu: 0.9 mW}}\nboard: 3 W\n"
    found = with_table(prices(EDGE), read_table(_table(tmp_path, text)))
    assert (found.low.static_uw["cpu"], found.static_uw["cpu"]) == (900, 1000)
    assert found.board_uw == 3 * 10**6


def test_recost_simulates_nothing(finished):
    folder, _ = finished
    script = (
        "import sys; from pathlib import Path; "
        "from simulator.energy.price_file import read_table; "
        "from simulator.results.recost import recost; "
        f"folder = Path({str(folder)!r}); "
        "recost(folder, read_table(folder / 'energy.yaml')).total; "
        "print(*sorted(n for n in sys.modules if n == 'simpy' or n.startswith("
        "('simulator.machine', 'simulator.lowering', 'simulator.replay'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == ""


@pytest.fixture
def built(monkeypatch):
    """What is built and read beyond columns, as it happens."""
    seen = []

    def telling(function):
        def call(*arguments, **keywords):
            seen.append(function.__name__)
            return function(*arguments, **keywords)

        return call

    for name in ("Task", "Work"):
        monkeypatch.setattr(saved, name, telling(getattr(saved, name)))
    monkeypatch.setattr(price_file, "load_part", telling(price_file.load_part))
    return seen


def test_recost_builds_tasks_for_rows_of_ops_alone_and_reads_no_yaml(finished, built, tmp_path):
    """What makes it fast, without a clock: columns are summed, and prices were kept as numbers."""
    folder, before = finished
    found = recost(folder, EnergyTable.model_validate({"dynamic": {"cpu_cycles": "5 pJ"}}))
    found.as_dict()
    save_recosted(folder, found, tmp_path / "out")
    assert built == []
    assert len(found.ops) == len(before.ops)
    tasks = [task for record in before.records for task in record.tasks]
    assert built.count("Task") == len(tasks)
    assert built.count("Work") == len({task.work for task in tasks})


def test_a_run_keeps_as_many_works_as_it_had(finished):
    """Equal work is one object again, so that what is known of it is found out once."""
    folder, before = finished
    found = recost(folder, EnergyTable())
    pairs = [
        {(new.work, old.work) for new, old in zip(after.tasks, record.tasks, strict=True)}
        for after, record in zip(found.records, before.records, strict=True)
    ]
    distinct = {pair for part in pairs for pair in part}
    assert len({new for new, _ in distinct}) == len({old for _, old in distinct}) == len(distinct)


def test_prices_with_a_remark_are_still_those_of_the_run(finished, built, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    text = (tmp_path / "energy.yaml").read_text()
    (tmp_path / "energy.yaml").write_text(f"# typical silicon\n{text}")
    assert recost(tmp_path, EnergyTable()).total == finished[1].total
    assert built == ["load_part"]


def test_the_verb_prints_a_table_writes_a_folder_and_leaves_the_run_alone(finished, tmp_path):
    folder, before = finished
    kept = {name: (folder / name).read_bytes() for name in FILES}
    table = _table(tmp_path, _FREE_CPU)
    done = trainsoc("recost", folder, "--energy", table, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert " .. " in done.stdout
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert found["total"]["energy_by_component_j"]["cpu"] == 0
    assert found["total"]["latency_ps"] == before.total["latency_ps"]
    digests = [found["provenance"]["energy_digest"], before.identity.provenance["energy_digest"]]
    assert digests[0] != digests[1]
    assert {name: (folder / name).read_bytes() for name in FILES} == kept
    shown = json.loads(trainsoc("recost", folder, "--energy", table, "--json").stdout)
    assert shown["total"] == found["total"]
    assert trainsoc("timeline", tmp_path / "out").returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dynamic: {array_mac_issued: 1 pJ}\n", "did you mean dynamic.array_macs_issued?"),
        ("dynamic: {cpu_cycles: 1}\n", "has no unit"),
        ("dynamic: {cpu_cycles: -1 pJ}\n", "greater than or equal to 0"),
        ("", "the energy.yaml of a run"),
        ("- 1\n", "the energy.yaml of a run"),
        (None, "no energy table at"),
    ],
)
def test_a_wrong_table_is_one_sentence(finished, text, told, tmp_path):
    path = tmp_path / "missing.yaml" if text is None else _table(tmp_path, text)
    done = trainsoc("recost", finished[0], "--energy", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["result.json", "energy.yaml", "records.parquet"])
def test_a_folder_without_all_it_needs_says_so(finished, missing, tmp_path):
    for name in FILES:
        if name != missing:
            (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    with pytest.raises(InputError, match=f"no {missing} here"):
        recost(tmp_path, EnergyTable())


def test_prices_edited_in_place_are_refused(finished, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    text = (tmp_path / "energy.yaml").read_text()
    (tmp_path / "energy.yaml").write_text(text.replace("cpu_cycles: 89 pJ", "cpu_cycles: 90 pJ"))
    with pytest.raises(InputError, match="no longer the prices of this run: edit a copy"):
        recost(tmp_path, EnergyTable())


def test_damaged_and_foreign_steps_are_refused(finished, tmp_path):
    folder, _ = finished
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "records.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match="is damaged"):
        recost(tmp_path, EnergyTable())
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    replay = Replay(EDGE, one_step_trace(builder, 1))
    save_run(replay, replay.run(), tmp_path / "other")
    other = (tmp_path / "other" / "records.parquet").read_bytes()
    (tmp_path / "records.parquet").write_bytes(other)
    with pytest.raises(InputError, match="different runs"):
        recost(tmp_path, EnergyTable())


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("stage", "nowhere", "ops"),
        ("phase", "nowhere", "total"),
        ("unit", "nowhere", "total"),
        ("alone_ps", None, "total"),
    ],
)
def test_steps_with_missing_or_unknown_words_are_damaged(finished, column, value, told, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    path = tmp_path / "records.parquet"
    metadata = polars.read_parquet_metadata(path)
    frame = polars.read_parquet(path)
    frame = frame.with_columns(polars.lit(value, frame.schema[column]).alias(column))
    frame.write_parquet(path, metadata={KEY: metadata[KEY]})
    with pytest.raises(InputError, match=rf"records.parquet: row 0: {column}: .*run -o. again"):
        getattr(recost(tmp_path, EnergyTable()), told)


def test_steps_of_an_earlier_schema_are_refused(finished, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    path = tmp_path / "records.parquet"
    header = json.loads(polars.read_parquet_metadata(path)[KEY]) | {"schema": 1}
    polars.read_parquet(path).write_parquet(path, metadata={KEY: json.dumps(header)})
    with pytest.raises(InputError, match="schema 1 is not 4: run `trainsoc run -o` again"):
        recost(tmp_path, EnergyTable())
