"""Files are written whole, through links, never over a device, and by one writer."""

import ast
import os
import stat
import threading
from pathlib import Path

import pytest

import simulator
import workloads
from simulator.errors import InputError
from simulator.files.writing import append_lines, put, try_place, write_bytes


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


def test_lines_of_several_writers_stay_whole(tmp_path):
    path, lines = tmp_path / "rows", [c * 5000 for c in "abcd"]
    threads = [
        threading.Thread(target=lambda line=line: [append_lines(path, [line]) for _ in range(50)])
        for line in lines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().splitlines()) == sorted(50 * lines)


def test_a_line_on_a_full_disk_is_refused():
    with pytest.raises(OSError, match="No space left"):
        append_lines(Path("/dev/full"), ["line"])


WRITERS = {"write_text", "write_bytes", "mkstemp", "NamedTemporaryFile"}
BUFFERS = {"savefig", "write_parquet", "write_csv", "to_csv"}
OWN = {
    "simulator/files/writing.py",
    "workloads/recipes/methods_digits.py",  # a script that is captured: its own torch.save
}


def _writes(call, source):
    """Whether a call writes to a file: not to a buffer, nor to the device that drops all."""
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
    text = ast.unparse(call)
    if name == "open":
        modes = [a.value for a in call.args if isinstance(a, ast.Constant)]
        flags = any(flag in text for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND"))
        written = flags or any(isinstance(m, str) and set(m) & set("wax+") for m in modes)
        return written and "os.devnull" not in text
    if isinstance(call.func, ast.Name):
        return False  # a function of ours
    if name in WRITERS:
        return True
    if name in BUFFERS:
        into = ast.unparse(call.args[0]) if call.args else ""
        return not any(f"{into} = io.{kind}()" in source for kind in ("BytesIO", "StringIO"))
    return text.startswith("torch.save(")


def test_one_module_writes_files():
    rooms = [Path(package.__file__).parent for package in (simulator, workloads)]
    writing = set()
    for path in (path for room in rooms for path in room.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
        if any(_writes(call, source) for call in calls):
            writing.add(path.relative_to(rooms[0].parent).as_posix())
    assert writing == OWN
