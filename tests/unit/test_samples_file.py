"""The samples of a run on disk: read as they were written, or refused in one sentence."""

import json
import math
from dataclasses import replace

import polars as pl
import pytest

from simulator.errors import InputError
from simulator.hardware.constant import KINDS, Constant
from simulator.results.samples import (
    FILE,
    Samples,
    compared,
    discard_samples,
    ratios,
    read_samples,
    write_samples,
)

KEY = "trainsoc.samples"
OVERHEAD = Constant("cpu.op_overhead", 20, 10, 40, "guess", "guess")
OURS = Samples(
    "edge", 3, (OVERHEAD,), {"cpu.op_overhead": [10, 20, 40]},
    {"latency_s": [1.0, 2.0, 4.0], "energy_j": [1.0, 1.0, 2.0],
     "eval_latency_s": [0.5, 0.5, 0.5], "eval_energy_j": [0.0, 0.0, 0.0]},
    3,
)  # fmt: skip
THEIRS = Samples(
    "cpu", 3, (), {}, {"latency_s": [2.0, 2.0, 2.0], "energy_j": [3.0, 3.0, 3.0]}, 3, {"no room": 1}
)


def test_what_is_written_is_read(tmp_path):
    write_samples(tmp_path, OURS)
    assert read_samples(tmp_path) == OURS
    discard_samples(tmp_path)
    assert read_samples(tmp_path) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_of_any_kind_is_read_back(tmp_path, kind):
    constant = replace(OVERHEAD, kind=kind, unit="ps")
    write_samples(tmp_path, replace(OURS, constants=(constant,)))
    (read,) = read_samples(tmp_path).constants
    assert (read, read.unit) == (constant, "ps")


def test_ratios_are_taken_sample_by_sample_where_both_have_the_phase():
    assert ratios(OURS, THEIRS) == {"speedup": [2.0, 1.0, 0.5], "energy_ratio": [3.0, 3.0, 1.5]}
    assert all(map(math.isnan, ratios(OURS, OURS)["eval_energy_ratio"]))


def test_two_folders_are_compared_only_if_they_drew_alike(tmp_path):
    write_samples(tmp_path / "a", OURS)
    write_samples(tmp_path / "b", THEIRS)
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found["speedup"] == {"low": 0.5, "median": 1.0, "high": 2.0}
    write_samples(tmp_path / "b", Samples("cpu", 4, (), {}, THEIRS.columns, 3))
    assert compared(tmp_path / "a", tmp_path / "b") == {}
    assert compared(tmp_path / "a", tmp_path / "c") == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame, _: (frame, {}), "not JSON"),
        (lambda frame, head: (frame, head | {"seed": -1}), "seed: -1"),
        (lambda frame, head: (frame, head | {"constants": [{"path": "a"}]}), "constants.0.value"),
        (lambda frame, head: (frame.with_columns(latency_s=pl.lit(-1.0)), head), "latency_s: -1.0"),
        (lambda frame, head: (frame.with_columns(energy_j=pl.lit("x")), head), "energy_j: 'x'"),
    ],
)  # fmt: skip
def test_damage_is_one_sentence_that_names_the_file(tmp_path, change, says):
    write_samples(tmp_path, OURS)
    path = tmp_path / FILE
    head = json.loads(pl.read_parquet_metadata(path)[KEY])
    frame, header = change(pl.read_parquet(path), head)
    frame.write_parquet(path, metadata={KEY: json.dumps(header)} if header else None)
    with pytest.raises(InputError) as caught:
        read_samples(tmp_path)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert str(caught.value).endswith("run `trainsoc run -o` again")


def test_a_constant_outside_its_range_is_damage_too(tmp_path):
    write_samples(tmp_path, OURS)
    path = tmp_path / FILE
    head = json.loads(pl.read_parquet_metadata(path)[KEY])
    head["constants"][0]["low"] = 30
    pl.read_parquet(path).write_parquet(path, metadata={KEY: json.dumps(head)})
    with pytest.raises(InputError, match="20 is not within 30"):
        read_samples(tmp_path)
