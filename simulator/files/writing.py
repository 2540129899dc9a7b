"""The one writer: a file is written whole, in one move, or grows by whole lines."""

import errno
import os
import stat
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from simulator.errors import InputError

_LONGEST = 50  # characters of up to 4 bytes; file systems allow 255 bytes
_OPEN_FILES = ("/dev", "/dev/fd", "/proc/self/fd")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one piece. Raises InputError when the place is not writable."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one piece, and make the folders above it.

    Raises InputError when the place is not writable.
    """
    if is_folder(path):
        raise InputError(f"{path}: cannot be written: it is a folder; name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, data)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError, then: str = "") -> InputError:
    """Return the error that says why `path` cannot be written, and what follows from it."""
    why = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        files = [each for each in path.parents if each.exists() and not each.is_dir()]
        why = f"{files[0]} is a file; name a folder" if files else why
    return InputError(f"{path}: cannot be written: {why}{then}")


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append `lines` to the file at `path`, which it makes where there is none.

    It is one write: who reads meanwhile sees all of the lines, or an end that is cut off.
    Raises OSError.
    """
    data = "".join([f"{line}\n" for line in lines]).encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def put(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Let `data` take the place of the file at `path`, or of the one that a link there leads to.

    The data go to a temporary file in the same folder first, with `durable` down to the disk, and
    that file replaces the target in one move. A device or a pipe gets the bytes and stays.
    Raises OSError, and leaves no temporary file behind.
    """
    if is_stream(path):
        with path.open("wb") as stream:
            stream.write(data)
        return
    target, temporary = _target(path), _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def try_place(path: Path) -> None:
    """Raise OSError now if `put` could not write there later; what is there stays as it is."""
    if is_folder(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    temporary = _temporary(path)
    temporary.touch()
    temporary.unlink()


def is_folder(path: Path) -> bool:
    """Whether `path` names a folder, or nothing at all."""
    return not path.name or path.is_dir()


def is_stream(path: Path) -> bool:
    """Whether `path` is a device, a pipe or a socket, or leads to an open file (/dev/stdout).

    Raises OSError for a link that leads in a circle.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_ISREG(mode) or str(path.absolute().parent) in _OPEN_FILES


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _temporary(path: Path) -> Path:
    target = _target(path)  # its name may be as long as the file system allows
    return target.with_name(f"{target.name[:_LONGEST]}.{uuid.uuid4().hex[:8]}.part")
