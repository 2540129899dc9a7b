"""Points on disk: whatever stops a sweep, those that were finished are there, each once."""

import errno
import json
import os
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.sweeps import store as store_module
from simulator.sweeps.job import Done
from simulator.sweeps.store import FolderStore, MemoryStore


def _row(number: int) -> dict:
    return {
        "point": f"p{number}",
        "feasible": True,
        "accelerator.rows": number,
        "latency_s": number / 7,
        "energy_j": number / 3,
        "ä.ö": "µ",
    }


def _parts(folder, suffix):
    return sorted((folder / "points").glob(f"*.{suffix}"))


def _points(store) -> list[str]:
    return sorted(store.frame()["point"])


def _filled(folder, numbers) -> FolderStore:
    store = FolderStore(folder)
    for number in numbers:
        store.add([Done(_row(number))])
    return store


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_line_that_was_cut_off_is_no_point(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    _filled(folder, range(3))
    (part,) = _parts(folder, "jsonl")
    whole = part.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    part.write_bytes(whole[:cut])
    lines = [json.dumps(_row(number)) for number in range(3)]
    ends = [sum(len(line) + 1 for line in lines[: n + 1]) - 1 for n in range(3)]
    kept = [f"p{number}" for number in range(3) if ends[number] <= cut]
    left = FolderStore(folder)
    assert _points(left) == kept
    assert [f"p{n}" in left for n in range(3)] == [f"p{n}" in kept for n in range(3)]
    left.add([Done(_row(9))])
    left.close()
    assert _points(FolderStore(folder)) == sorted([*kept, "p9"])


_floats = st.floats(0, 1e60)
_rows = st.lists(
    st.fixed_dictionaries(
        {
            "latency_s": _floats,
            "energy_j": _floats,
            "macs": st.integers(0, 2**63 - 1),
            "feasible": st.booleans(),
            "reason": st.text(max_size=5),
        },
        optional={"contention_s": _floats, "cpu.clock": st.integers(0, 10**12)},
    ),
    min_size=1,
    max_size=6,
).map(
    lambda rows: [
        {"point": f"p{number}", "feasible": True, **row} for number, row in enumerate(rows)
    ]
)


@settings(deadline=None, max_examples=60)
@given(rows=_rows, split=st.integers(0, 6))
def test_rows_come_back_bit_for_bit_from_json_and_from_parquet(rows, split, tmp_path_factory):
    """The first rows become Parquet, the others stay lines."""
    folder, memory = tmp_path_factory.mktemp("rows"), MemoryStore()
    first, second = FolderStore(folder), FolderStore(folder)
    for number, row in enumerate(rows):
        (first if number < split else second).add([Done(row)])
        memory.add([Done(row)])
    first.close()
    for store in (FolderStore(folder), memory):
        found = {row["point"]: row for row in store.frame().to_dicts()}
        told = {
            key: {name: value for name, value in row.items() if value is not None}
            for key, row in found.items()
        }
        assert told == {row["point"]: row for row in rows}
        for row in rows:
            assert found[row["point"]]["latency_s"].hex() == row["latency_s"].hex()


def test_two_stores_fill_one_folder_at_once(tmp_path):
    one, two = FolderStore(tmp_path), FolderStore(tmp_path)
    for number in range(4):
        (one, two)[number % 2].add([Done(_row(number))])
    two.add([Done(_row(0))])  # both have this one
    assert _points(one) == _points(two) == ["p0", "p1", "p2", "p3"]
    one.close()
    assert _points(two) == ["p0", "p1", "p2", "p3"]
    two.close()
    third = FolderStore(tmp_path)
    assert _points(third) == ["p0", "p1", "p2", "p3"]
    assert all(f"p{number}" in third for number in range(4))
    assert "p4" not in third


def test_a_store_compacts_while_it_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_LINES", 3)
    store = _filled(tmp_path, range(8))
    assert (len(_parts(tmp_path, "parquet")), len(_parts(tmp_path, "jsonl"))) == (2, 1)
    assert _points(store) == [f"p{number}" for number in range(8)]
    store.close()
    assert (len(_parts(tmp_path, "parquet")), len(_parts(tmp_path, "jsonl"))) == (3, 0)
    store.close()
    assert _points(FolderStore(tmp_path)) == [f"p{number}" for number in range(8)]


def test_a_store_that_stopped_between_parquet_and_its_lines_repeats_nothing(tmp_path):
    store = _filled(tmp_path, range(3))
    (part,) = _parts(tmp_path, "jsonl")
    lines = part.read_bytes()
    store.close()
    part.write_bytes(lines)
    assert _points(FolderStore(tmp_path)) == ["p0", "p1", "p2"]


def test_points_are_seen_while_another_store_compacts_them(tmp_path, monkeypatch):
    """The other one closes between the looks of this one for its two kinds of files."""
    look, looks = FolderStore._files, []

    def looking(self, suffix):
        looks.append(suffix)
        if len(looks) == 2:
            other.close()
        return look(self, suffix)

    other = _filled(tmp_path, range(3))
    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "_files", looking)
        reader = FolderStore(tmp_path)
    assert all(f"p{number}" in reader for number in range(3))
    other = _filled(tmp_path, range(3, 5))
    looks.clear()
    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "_files", looking)
        assert _points(reader) == [f"p{number}" for number in range(5)]


def test_an_empty_store_has_no_rows(tmp_path):
    for store in (FolderStore(tmp_path), MemoryStore()):
        store.close()
        assert (store.frame().height, "p0" in store) == (0, False)
    assert not list((tmp_path / "points").iterdir())


def test_points_without_whole_results_are_not_there_when_those_are_asked(tmp_path):
    _filled(tmp_path, range(2)).close()
    full = FolderStore(tmp_path, full=True)
    assert "p0" not in full
    full.add([Done(_row(0), '{"schema": "1.0"}')])
    assert "p0" in full
    assert (tmp_path / "results" / "p0.json").read_text() == '{"schema": "1.0"}'
    again = FolderStore(tmp_path, full=True)
    assert ("p0" in again, "p1" in again) == (True, False)
    assert "p1" in FolderStore(tmp_path)
    assert _points(again) == ["p0", "p1"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written: .*; finished points are kept"):
        FolderStore(tmp_path / "file")


def _full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _short(file, data, write=os.write):
    return write(file, data[: len(data) // 2])


@pytest.mark.parametrize("failing", [_full_disk, _short])
def test_a_disk_that_fills_up_keeps_what_was_finished(tmp_path, monkeypatch, failing):
    store = _filled(tmp_path, range(2))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing)
        with pytest.raises(InputError, match="No space left on device; finished points") as told:
            store.add([Done(_row(2))])
    assert str(tmp_path) in str(told.value)
    assert "p2" not in store
    assert _points(store) == ["p0", "p1"]
    store.add([Done(_row(3))])  # there is room again
    store.close()
    assert _points(FolderStore(tmp_path)) == ["p0", "p1", "p3"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has such a file")
def test_a_part_that_cannot_become_parquet_stays_as_lines(tmp_path, monkeypatch):
    name = uuid.UUID(int=7)
    with monkeypatch.context() as patched:
        patched.setattr(uuid, "uuid4", lambda: name)
        store = _filled(tmp_path, range(2))
        full = tmp_path / "points" / f"{name.hex}.parquet.{name.hex[:8]}.part"
        full.symlink_to("/dev/full")
        with pytest.raises(InputError, match=r"parquet: cannot be written: No space left"):
            store.close()
    assert [path.suffix for path in (tmp_path / "points").iterdir()] == [".jsonl"]
    assert _points(FolderStore(tmp_path)) == ["p0", "p1"]
