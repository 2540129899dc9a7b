"""Mappings on disk: chosen once, recalled for the same machine, never trusted blindly."""

import pytest

from simulator import mapping_store, memo
from simulator.mapping.search import Search
from simulator.mapping_store import kept_mappings
from simulator.replay import Replay
from tests.builders import StepBuilder, machine, one_step_trace
from tests.command_line import trainsoc


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A cache folder of its own, and a process that remembers nothing."""
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path))
    memo.clear()
    yield tmp_path
    memo.clear()


@pytest.fixture
def searches(monkeypatch):
    """The problems that were searched."""
    searched, best = [], Search.best

    def counted(self):
        searched.append(self.space.on_array.shape.text)
        return best(self)

    monkeypatch.setattr(Search, "best", counted)
    return searched


def result(changes=(), sizes=((96, 80, 72), (96, 64, 80))):
    """Run GEMMs of these sizes in a process that remembers nothing but what is on disk."""
    memo.clear()
    builder = StepBuilder()
    for size in sizes:
        builder.elementwise(builder.gemm(*size))
    soc = machine(**dict(changes))
    with kept_mappings(soc):
        return Replay(soc, one_step_trace(builder)).run().to_json()


def stored(folder):
    return sorted(folder.glob("mappings-*"))


def test_mappings_are_recalled(folder, searches):
    first = result()
    assert len(searches) == 2
    assert result() == first
    assert len(searches) == 2
    assert len(stored(folder)) == 1


def test_so_are_those_with_one_buffer(folder, searches):
    changes, sizes = {"accelerator__single_buffer": True}, ((512, 512, 512),)
    first = result(changes, sizes)
    assert stored(folder)[0].read_text().endswith(('["a"]]}', '["b"]]}'))
    assert result(changes, sizes) == first
    assert len(searches) == 1


@pytest.mark.usefixtures("folder")
def test_new_problems_join_those_of_before(searches):
    result()
    both = result(sizes=((96, 80, 72), (64, 64, 64)))
    assert len(searches) == 3
    assert result(sizes=((96, 80, 72), (64, 64, 64))) == both
    result()
    assert len(searches) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"accelerator__rows": "8"},
        {"accelerator__scratchpad": "8 KiB"},
        {"dram__preset": "HBM2_8ch"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_mappings_of_another_machine_are_not(folder, searches, changes):
    result()
    result(changes.items())
    assert len(searches) == 4
    assert len(stored(folder)) == 2


@pytest.mark.usefixtures("folder")
def test_mappings_that_other_code_chose_are_not(searches, monkeypatch):
    first = result()
    monkeypatch.setattr(mapping_store, "_models", lambda: "changed")
    assert result() == first
    assert len(searches) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:0],
        lambda text: text.partition("\n")[2],
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("64", "32"),  # another mapping, which would fit
        lambda text: text.replace("[", "{"),
    ],
)
def test_a_damaged_file_costs_time_only(folder, searches, damage):
    first = result()
    (path,) = stored(folder)
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert result() == first
    assert len(searches) == 4
    assert result() == first
    assert len(searches) == 4


def test_a_folder_that_cannot_be_written_costs_time_only(folder, searches, monkeypatch):
    first = result()
    (folder / "file").touch()
    monkeypatch.setenv("TRAINSOC_CACHE", str(folder / "file"))
    assert result() == first
    assert len(searches) == 4


@pytest.mark.usefixtures("folder")
def test_a_file_has_the_newest_problems(searches, monkeypatch):
    monkeypatch.setattr(mapping_store, "_MOST", 1)
    result()
    result()
    assert len(searches) == 3  # the second one was kept, now it is the first
    result(sizes=((96, 80, 72),))
    assert len(searches) == 3


def test_a_machine_without_arrays_has_none(folder):
    with kept_mappings(machine("cpu-only")):
        pass
    assert stored(folder) == []


def test_a_run_answers_alike_with_and_without(folder):
    one, two = (trainsoc("run", "edge-16x16", "mlp_digits", "--json").stdout for _ in range(2))
    memo.clear()
    assert trainsoc("run", "edge-16x16", "mlp_digits", "--json").stdout == one == two
    assert len(stored(folder)) == 1
