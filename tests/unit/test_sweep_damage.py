"""Damaged parts of a sweep are set aside and computed again; nothing else is lost."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from simulator import sweep
from simulator.errors import InputError
from simulator.replay import Replay
from simulator.sweeps.folder import read_table
from simulator.sweeps.job import Done
from simulator.sweeps.store import FolderStore
from tests.builders import StepBuilder, one_step_trace

SPACE = {"accelerator.rows": [8, 16], "accelerator.cols": [8, 16]}


def swept(out, quiet=True):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(32, 32, 32))
    return sweep(SPACE, one_step_trace(builder, 3), out, workers=1, quiet=quiet)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def replays(monkeypatch):
    """Return the list of hardware digests that have been replayed."""
    digests, run = [], Replay.run

    def counted(self, *args):
        digests.append(self.hardware.digest)
        return run(self, *args)

    monkeypatch.setattr(Replay, "run", counted)
    return digests


def garbage(part):
    part.write_bytes(b"PAR1" + bytes(300) + b"PAR1")


def cut(part):
    part.write_bytes(part.read_bytes()[:-10])


def of_nothing(part):
    pl.DataFrame({"a": [1]}).write_parquet(part)


def of_text(part):
    pl.read_parquet(part).with_columns(pl.col("latency_s").cast(pl.String)).write_parquet(part)


def of_lists(part):
    pl.read_parquet(part).with_columns(extra=pl.lit([1])).write_parquet(part)


def with_nan(part):
    value = pl.when(pl.int_range(pl.len()) == 2).then(float("nan")).otherwise(pl.col("energy_j"))
    pl.read_parquet(part).with_columns(energy_j=value).write_parquet(part)


def negative(part):
    value = pl.when(pl.int_range(pl.len()) < 1).then(-1.0).otherwise(pl.col("latency_s"))
    pl.read_parquet(part).with_columns(latency_s=value).write_parquet(part)


def unmeasured(part):
    value = pl.when(pl.int_range(pl.len()) > 1).then(pl.col("energy_j"))
    pl.read_parquet(part).with_columns(energy_j=value).write_parquet(part)


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (garbage, 4), (cut, 4), (of_nothing, 4), (of_text, 4), (of_lists, 4),
        (with_nan, 1), (negative, 1), (unmeasured, 2),
    ],
)  # fmt: skip
def test_a_damaged_part_is_set_aside_and_its_points_computed_again(
    damage, again, whole, replays, tmp_path, capsys
):
    swept(tmp_path)
    (part,) = (tmp_path / "points").glob("*.parquet")
    damage(part)
    replays.clear()
    assert_frame_equal(swept(tmp_path, quiet=False), whole)
    assert len(replays) == again
    told = capsys.readouterr().err.strip()
    assert told == (
        f"trainsoc: {part} was damaged: it is {part.name}.damaged now; {4 - again} points in it "
        "are kept, the others are computed again"
    )
    assert part.with_name(f"{part.name}.damaged").is_file()
    replays.clear()
    assert_frame_equal(swept(tmp_path, quiet=False), whole)
    assert replays == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        b"junk", b"\xff\xfe", b"5", b"[]", b"{}", b'{"point": 5, "feasible": true}', b"[" * 10_000,
        b'{"point": "", "feasible": false}', b'{"point": "p", "feasible": 1}',
        b'{"point": "p", "feasible": true}',
        b'{"point": "p", "feasible": true, "latency_s": NaN, "energy_j": 1}',
        b'{"point": "p", "feasible": true, "latency_s": "1", "energy_j": 1}',
        b'{"point": "p", "feasible": true, "latency_s": -1, "energy_j": 1}',
        b'{"point": "p", "feasible": true, "latency_s": 1, "energy_j": 1, "eval_energy_j": "x"}',
        b'{"point": "p", "feasible": false, "cpu.clock": 1e999}',
        b'{"point": "p", "feasible": false, "cpu.clock": [1]}',
        b'{"point": "p", "feasible": false, "cpu.clock": 99999999999999999999}',
        b'{"point": "p", "feasible": false, "reason": 5}',
    ],
)  # fmt: skip
def test_a_damaged_line_costs_its_point_alone(line, tmp_path):
    store = FolderStore(tmp_path)
    for number in range(3):
        row = {"point": f"p{number}", "feasible": True, "latency_s": 1.0, "energy_j": 2.0}
        store.add([Done(row)])
    (part,) = (tmp_path / "points").iterdir()
    first, *rest = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(first + line + b"\n" + b"".join(rest))
    found = FolderStore(tmp_path)
    assert "3 points in it are kept" in found.set_aside[0]
    assert [name in found for name in ("p0", "p1", "p2", "p")] == [True, True, True, False]
    assert sorted(found.frame()["point"]) == ["p0", "p1", "p2"]
    assert FolderStore(tmp_path).set_aside == []


def test_a_whole_result_that_was_damaged_is_not_there(tmp_path):
    store = FolderStore(tmp_path, full=True)
    row = {"point": "p", "feasible": True, "latency_s": 1.0, "energy_j": 2.0}
    store.add([Done(row, json.dumps({"schema": "1.0", "total": {}}))])
    store.close()
    assert "p" in FolderStore(tmp_path, full=True)
    (tmp_path / "results" / "p.json").write_text('{"schema": "1.0", "to')
    assert "p" not in FolderStore(tmp_path, full=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: table.drop("trace"), "trace: missing"),
        (lambda table: table.with_columns(baseline=pl.lit(None, pl.String)), "baseline: null"),
        (lambda table: table.with_columns(feasible=pl.lit(1)), "feasible: a column of Int"),
        (lambda table: table.with_columns(energy_j=pl.lit("x")), "energy_j: a column of String"),
        (lambda table: table.with_columns(energy_j=-pl.col("energy_j")), "energy_j: -"),
        (
            lambda table: table.with_columns(latency_s=pl.lit(float("inf"))),
            "latency_s: Infinity: not f",
        ),
        (lambda table: table.with_columns(latency_s=pl.lit(None)), "feasible: true: not measured"),
        (lambda table: table.with_columns(pl.lit([1]).alias("cpu.clock")), "cpu.clock: a column"),
    ],
)
def test_a_damaged_table_is_one_sentence(change, says, tmp_path):
    swept(tmp_path)
    path = tmp_path / "points.parquet"
    change(pl.read_parquet(path)).write_parquet(path)
    with pytest.raises(InputError) as caught:
        read_table(tmp_path)
    assert f"{path}: {says}" in str(caught.value)
    assert str(caught.value).endswith(f"`trainsoc sweep -o {tmp_path}` writes it again")
