"""Files are written whole, through links, and never over a device."""

import os
import stat
import threading
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.files.writing import put, try_place, write_bytes


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("target", ["real", "missing"])
def test_a_link_is_followed(tmp_path, target):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "real").write_text("old")
    (tmp_path / "link").symlink_to(f"other/{target}")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "other" / target).read_bytes() == b"new"
    assert names(tmp_path) == ["link", "other"]


def test_a_link_in_a_circle_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / "a", b"x")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has such a file")
def test_a_device_stays_one(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    write_bytes(tmp_path / "null", b"x")
    write_bytes(Path("/dev/null"), b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(InputError, match="/dev/full: cannot be written: No space left"):
        write_bytes(Path("/dev/full"), b"x")
    try_place(Path("/dev/null"))
    assert names(tmp_path) == ["null"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_a_pipe_gets_the_bytes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    put(tmp_path / "pipe", b"all of it")
    reader.join()
    assert read == [b"all of it"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no such folder here")
def test_an_open_file_is_written_where_it_is(tmp_path):
    with (tmp_path / "log").open("w+b") as file:
        put(Path(f"/dev/fd/{file.fileno()}"), b"x")
        assert os.path.samestat(os.fstat(file.fileno()), (tmp_path / "log").stat())
    assert names(tmp_path) == ["log"]


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    write_bytes(tmp_path / ("é" * 127), b"x")
    assert len(names(tmp_path)) == 1


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "kept").write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path / "kept", b"new", durable=True)
    assert names(tmp_path) == ["kept"]
    assert (tmp_path / "kept").read_text() == "old"
