"""What parsers made of files is remembered exactly, or not at all."""

import json
import os

import pytest

from simulator import memo
from simulator.files.cache import FileParser, recall
from simulator.files.yaml import read_document
from simulator.hardware.shipped import CONFIGS
from simulator.trace.storage import BUNDLED, load_trace

PARSER = FileParser("text", "pytest", [])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def calls():
    return []


def read(calls, value, content=b"content", parser=PARSER):
    return recall(parser, content, lambda: calls.append(value) or value)


@pytest.mark.usefixtures("folder")
def test_equal_content_is_read_once(calls):
    assert read(calls, [1, "a"]) == read(calls, [2]) == [1, "a"]
    assert read(calls, [3], b"other") == [3]
    assert calls == [[1, "a"], [3]]


@pytest.mark.usefixtures("folder")
def test_other_code_reads_anew(calls, tmp_path):
    source = tmp_path / "parser.py"
    for text in ("first", "second"):
        source.write_text(text)
        read(calls, text, parser=FileParser("text", "pytest", [source]))
    assert calls == ["first", "second"]


@pytest.mark.parametrize("value", [{1: 2}, (1, 2), b"bytes", float("nan"), {("a", "b"): 1}])
def test_what_json_would_change_is_read_every_time(folder, calls, value):
    assert read(calls, value) is read(calls, value) is value
    assert len(calls) == 2
    assert not folder.exists()


def test_a_damaged_file_is_read_anew(folder, calls):
    read(calls, ["first"])
    (entry,) = folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-2])
    assert read(calls, ["second"]) == ["second"]
    assert json.loads(entry.read_bytes()) == ["second"]


def test_a_folder_that_cannot_be_made_costs_time_only(monkeypatch, calls, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path / "file" / "below"))
    assert read(calls, [1]) == read(calls, [1]) == [1]
    assert len(calls) == 2


def test_the_oldest_of_a_kind_makes_room(folder, calls):
    other = FileParser("other", "pytest", [])
    read(calls, "other", parser=other)
    for number in range(70):
        read(calls, number, str(number).encode())
        for age, entry in enumerate(sorted(folder.iterdir(), key=os.path.getmtime)):
            os.utime(entry, (age, age))
    assert len(list(folder.glob("text-*"))) == 64
    assert read(calls, "new", b"69") == 69
    assert read(calls, "new", b"0") == "new"
    assert read(calls, "new", parser=other) == "other"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_description_is_the_same_out_of_the_cache(folder, path):
    documents = []
    for _ in range(2):
        memo.clear()
        documents.append(read_document(path, "an example"))
    first, second = documents
    assert first is not second
    assert (repr(first.content), first.comments) == (repr(second.content), second.comments)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*.trace")), ids=lambda path: path.stem)
def test_a_trace_is_the_same_out_of_the_cache(folder, path):
    first, second = load_trace(path), load_trace(path)
    assert repr(first) == repr(second)
    assert first.digest == second.digest
    assert len(list(folder.iterdir())) == 1
