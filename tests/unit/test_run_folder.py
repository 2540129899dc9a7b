"""The files of a run's folder are checked where they are read: a damaged one is one sentence."""

import json
import shutil

import polars as pl
import pytest

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.replay import Replay
from simulator.results.records import read_records
from simulator.results.result import read_result
from simulator.results.step import read_step
from simulator.run_folder import save_run
from tests.builders import StepBuilder, one_step_trace

KEY = "trainsoc.records"
NAN = float("nan")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(16, 16, 16))
    replay = Replay(load_hardware("edge-16x16"), one_step_trace(builder, 2))
    folder = tmp_path_factory.mktemp("run")
    save_run(replay, replay.run(), folder, ops=True)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def refusal(read, folder, name):
    with pytest.raises(InputError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.startswith(str(folder / name))
    assert message.endswith("run `trainsoc run -o` again")
    assert "\n" not in message
    return message.removeprefix(f"{folder / name}: ")


def put(path, where, value):
    """Set the value at a dotted path in a JSON file; `...` deletes it."""
    content = json.loads(path.read_text())
    *parents, last = (int(part) if part.isdecimal() else part for part in where.split("."))
    place = content
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("schema", "x", "schema: 'x': string should match pattern"),
        ("schema", 1, "schema: 1: should be a valid string"),
        ("phases", ..., "phases: missing"),
        ("phases", {}, "phases: {}: should be a valid array"),
        ("total", [], "total: []: should be an object"),
        ("total.latency_s", NAN, "total.latency_s: NaN: should be a finite number"),
        ("total.latency_s", "1", "total.latency_s: '1': should be a valid number"),
        ("total.latency_ps", 1.5, "total.latency_ps: 1.5: should be a valid integer"),
        ("total.energy_aj", 10**90, "total.energy_aj: a number of 299 bits"),
        ("total.energy_by_component_j.dram", -1.0, "total.energy_by_component_j.dram: -1.0: s"),
        ("phases.0.energy_j", -1e-9, "phases.0.energy_j: -1e-09: should be greater than or equal"),
        ("phases.0.phase", None, "phases.0.phase: null: should be a valid string"),
        ("layers.0.layer", 5, "layers.0.layer: 5: should be a valid string"),
        ("epochs.0.epoch", -1, "epochs.0.epoch: -1: should be greater than or equal to 0"),
        ("epochs.0.dram_read_bytes", ..., "epochs.0.dram_read_bytes: missing"),
        ("memory.peak_bytes", "big", "memory.peak_bytes: 'big': should be a valid integer"),
        ("precision.traced", "fp32", "precision.traced: 'fp32': should be a valid array"),
        ("precision.executed.0", 8, "precision.executed.0: 8: should be a valid string"),
        ("provenance.energy_digest", ..., "provenance.energy_digest: missing"),
        ("area.0.mm2", NAN, "area.0.mm2: NaN: should be a finite number"),
        ("hardware", ["a"], "hardware: ['a']: should be a valid string"),
        ("ops.0.attributed_s", None, "ops.0.attributed_s: null: should be a valid number"),
    ],
)  # fmt: skip
def test_a_wrong_value_of_a_result_is_named(folder, where, value, says):
    put(folder / "result.json", where, value)
    assert refusal(read_result, folder, "result.json").startswith(says)


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("tasks", ..., "tasks: missing"),
        ("tasks.0.unit", None, "tasks.0.unit: null: should be a valid string"),
        ("tasks.0.start_ps", 1.5, "tasks.0.start_ps: 1.5: should be a valid integer"),
        ("tasks.0.start_ps", 10**18, "tasks.0: "),
        ("tasks.0.end_ps", 10**18, "a task or flow ends at 1000000000000000000 ps, after the step"),
        ("tasks.0.counts", [1] * 99, "tasks.0.counts: [1, 1"),
        ("tasks.0.counts.cpu_cycles", -1, "tasks.0.counts.cpu_cycles: -1: should be greater"),
        ("tasks.0.mnk", [1], "tasks.0.mnk: [1]: list should have at least 4 items"),
        ("flows.0.bytes", -1, "flows.0.bytes: -1: should be greater than or equal to 0"),
        ("power.0.power_uw", "1", "power.0.power_uw: '1': should be a valid integer"),
        ("machine", [], "machine: []: should be an object"),
        ("machine.dram_bytes_per_s", ..., "machine.dram_bytes_per_s: missing"),
        ("duration_ps", -1, "duration_ps: -1: should be greater than or equal to 0"),
    ],
)
def test_a_wrong_value_of_a_step_is_named(folder, where, value, says):
    put(folder / "step.json", where, value)
    assert refusal(read_step, folder, "step.json").startswith(says)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[1]", "{}", "5", "[" * 100_000, '{"schema": "1.0"', "NaN", '"\\ud800"',
     '{"schema": "1.0", "x": NaN}', "9" * 5000],
)  # fmt: skip
@pytest.mark.parametrize(("name", "read"), [("result.json", read_result), ("step.json", read_step)])
def test_what_is_no_document_is_refused(folder, name, read, text):
    (folder / name).write_text(text)
    refusal(read, folder, name)


def test_bytes_that_are_no_text_are_refused(folder):
    (folder / "result.json").write_bytes(b'{"schema": "1.0", "trace": "\xff"}')
    assert "not JSON" in refusal(read_result, folder, "result.json")


def test_a_newer_result_says_so_whatever_else_it_holds(folder):
    (folder / "result.json").write_text('{"schema": "2.0", "total": 5}')
    with pytest.raises(InputError, match=r"schema 2\.0 is newer .*: upgrade trainsoc"):
        read_result(folder)


def test_keys_that_a_later_version_added_stay(folder):
    put(folder / "result.json", "later", [{"a": 1}])
    assert read_result(folder)["later"] == [{"a": 1}]


def rewritten(folder, change=lambda frame: frame, header=lambda told: told):
    path = folder / "records.parquet"
    told = header(json.loads(pl.read_parquet_metadata(path)[KEY]))
    change(pl.read_parquet(path)).write_parquet(path, metadata={KEY: json.dumps(told)})


def first(name, value):
    """Return a change of the first cell of a column."""
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(value).otherwise(pl.col(name)).alias(name)
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop("op"), "op: no column of Int64"),
        (lambda frame: frame.with_columns(pl.col("op").cast(pl.Float64)), "op: no column of Int64"),
        (first("op", 99), "row 0: op: 99: no op of its step"),
        (first("op", -1), "row 0: op: -1: not a whole number from 0 on"),
        (first("op", None), "row 0: op: null: not a whole number from 0 on"),
        (first("record", 7), "row 0: record: 7: the file has 2 records"),
        (first("phase", pl.lit("later")), "row 0: phase: 'later': no phase that trainsoc knows"),
        (first("unit", pl.lit("gpu")), "row 0: unit: 'gpu': no unit that trainsoc knows"),
        (first("stage", pl.lit("x")), "row 0: stage: 'x': no stage that trainsoc knows"),
        (first("layer", None), "row 0: layer: null: missing"),
        (first("start_ps", 10**18), "row 0: end_ps: "),
        (first("macs", -1), "row 0: macs: -1: not a whole number from 0 on"),
        (first("work", 1), "rows of the same work differ"),
    ],
)
def test_a_wrong_value_of_a_task_is_named(folder, change, says):
    rewritten(folder, change)
    assert says in refusal(read_records, folder, "records.parquet")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("schema", 1, "schema 1 is not 4"),
        ("schema", "2", "schema: '2': should be a valid integer"),
        ("macs_per_s", NAN, "macs_per_s: NaN: should be a valid integer"),
        ("records", [{"step": 0, "runs": [[0, -1]], "ops": []}], "records.0.runs.0.1: -1: should"),
        ("prices", {}, "prices.dynamic_aj: missing"),
    ],
)
def test_a_wrong_value_beside_the_tasks_is_named(folder, key, value, says):
    rewritten(folder, header=lambda told: told | {key: value})
    assert refusal(read_records, folder, "records.parquet").startswith(says)
