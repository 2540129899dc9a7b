"""Samples on disk: shipped or taken once, recalled for the same memory, never trusted blindly."""

from dataclasses import replace

import pytest

from simulator import memo, pattern_store
from simulator.activity import sequential
from simulator.hardware import load_hardware
from simulator.hardware.dram_standards import PRE, STANDARDS, Constraint
from simulator.pattern_store import SHIPPED, file_name, kept_samples
from simulator.replay import Replay, as_trace
from simulator.timing.dram import cost
from simulator.timing.dram.cost import DeviceSamples, pattern_cost, samples_of
from tests.builders import machine
from tests.dram_samples import sampled_presets


@pytest.fixture
def dram(monkeypatch, tmp_path):
    """A memory whose samples nobody has, and a cache folder of its own."""
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pattern_store, "SHIPPED", tmp_path / "none")
    samples_of.cache_clear()
    yield load_hardware("edge-16x16").dram
    samples_of.cache_clear()
    file_name.cache_clear()


def stored(tmp_path):
    """Return the files of samples, which lie beside those of descriptions."""
    return set((tmp_path / "cache").glob("dram-*"))


def priced(dram):
    with kept_samples(dram.device):
        return pattern_cost(dram, sequential(10**6, write=False), 300)


def test_samples_are_recalled(dram, monkeypatch):
    first = priced(dram)
    samples_of.cache_clear()
    monkeypatch.setattr(DeviceSamples, "_run", lambda *_: pytest.fail("taken before"))
    assert priced(dram) == first


def test_samples_of_another_memory_are_not(dram, tmp_path):
    priced(dram)
    other = load_hardware("edge-16x16", {"dram.preset": "DDR4-2400_x64_1ch"}).dram
    priced(other)
    assert len(stored(tmp_path)) == 2


def priced_with(dram, monkeypatch, standard, row):
    """Price with one more row in the table of `standard`."""
    table = STANDARDS[standard]
    longer = replace(table, constraints=(*table.constraints, row))
    monkeypatch.setitem(STANDARDS, standard, longer)
    samples_of.cache_clear()
    file_name.cache_clear()
    priced(dram)


def test_a_change_of_a_standard_concerns_the_samples_of_its_devices_alone(
    dram, monkeypatch, tmp_path
):
    priced(dram)
    files = stored(tmp_path)
    row = Constraint((PRE,), (PRE,), "rank", "1")
    priced_with(dram, monkeypatch, "DDR5", row)
    assert stored(tmp_path) == files
    assert dram.device.protocol == "LPDDR4"
    priced_with(dram, monkeypatch, "LPDDR4", row)
    assert len(stored(tmp_path) - files) == 1


@pytest.mark.parametrize("text", ["", "{", "[[1, 2]]", '[[["a"], [1, 2, 3]]]'])
def test_a_file_that_is_no_such_file_is_written_anew(dram, tmp_path, text):
    first = priced(dram)
    (path,) = stored(tmp_path)
    good = path.read_text()
    path.write_text(text)
    samples_of.cache_clear()
    assert priced(dram) == first
    assert path.read_text() == good


def test_a_folder_that_cannot_be_written_costs_time_alone(dram, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path / "file" / "below"))
    assert priced(dram).channel_ps > 0


def test_two_processes_lose_nothing_of_each_other(dram):
    priced(dram)
    samples_of.cache_clear()
    with kept_samples(None):
        samples = samples_of(dram.device)
    with kept_samples(dram.device):
        before = len(samples.table)
        samples.of(cost.TrafficShape(cost.Walk(1, 4, write=False)))
    samples_of.cache_clear()
    with kept_samples(dram.device):
        assert len(samples_of(dram.device).table) == before + 1


def device(preset):
    return machine(dram__preset=preset).dram.device


def test_the_samples_that_ship_are_those_of_this_model_and_these_presets():
    shipped = {path.name for path in SHIPPED.iterdir()}
    wanted = {file_name(device(preset)) for preset in sampled_presets()}
    assert shipped == wanted, (
        "the DRAM model or a preset has changed since the samples that ship were taken: "
        "run `make samples` and commit simulator/timing/dram/samples"
    )


@pytest.mark.parametrize("preset", ["LPDDR4-3200_x32_1ch", "DDR5-4800_2x32b_2ch", "HBM2_8ch"])
def test_a_sample_that_ships_is_the_one_that_would_be_taken(preset):
    spec = device(preset)
    shipped = pattern_store._read(SHIPPED / file_name(spec))
    for masters in sorted(shipped)[:: len(shipped) // 2]:
        assert DeviceSamples(spec).of(*masters) == shipped[masters]


@pytest.mark.parametrize("preset", ["LPDDR4-3200_x32_1ch", "DDR4-2400_x64_1ch"])
@pytest.mark.parametrize("trace", ["lenet_digits", "resnet20_digits"])
def test_a_first_run_takes_no_samples(preset, trace, monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(DeviceSamples, "_run", lambda *_: pytest.fail("it does not ship"))
    memo.clear()
    Replay(load_hardware("edge-16x16", {"dram.preset": preset}), as_trace(trace)).run()
    assert not list((tmp_path / "cache").glob("dram-*"))


def test_a_cache_extends_what_ships(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path / "cache"))
    spec = device("DDR4-2400_x64_1ch")
    own = (cost.TrafficShape(cost.Walk(3, 5, write=False)),)
    assert own not in pattern_store._read(SHIPPED / file_name(spec))
    samples_of.cache_clear()
    with kept_samples(spec):
        taken = samples_of(spec).of(*own)
    monkeypatch.setattr(DeviceSamples, "_run", lambda *_: pytest.fail("taken before"))
    samples_of.cache_clear()
    with kept_samples(spec):
        assert samples_of(spec).of(*own) == taken
