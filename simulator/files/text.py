"""Text files: which there are, and reading them whole, whatever encoding they declare."""

import codecs
import stat
from pathlib import Path

from simulator.errors import InputError, reason
from simulator.files.kind import kind_of

_LARGEST = 1 << 26  # bytes of a file that is read whole
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def is_file(path: Path) -> bool:
    """Tell whether there is such a file; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def encoding_of(start: bytes) -> str:
    """Return the encoding of a file that begins like this: UTF-8 unless a mark says otherwise."""
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


def check_readable(path: Path) -> None:
    """Raise InputError unless `path` is a file that can be read more than once."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if stat.S_ISDIR(mode):
        raise InputError(f"cannot read {path}: it is a folder; give the name of a file in it")
    if not stat.S_ISREG(mode):
        raise InputError(f"cannot read {path}: it is a pipe or device; save it as a file first")


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """Return how to say that a file cannot be opened."""
    return InputError(f"cannot read {path}: {reason(error)}; check the path")


def read_text(path: Path, largest: int = _LARGEST) -> str:
    """Return the text of a file of at most `largest` bytes, in UTF-8, or UTF-16 with a mark.

    Raises InputError for files that cannot be read, or hold no text: archives, images.
    """
    check_readable(path)
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if kind := kind_of(content):
        raise InputError(f"{path} is {kind.title}, not text: {kind.advice(path)}")
    if len(content) > largest:
        raise InputError(f"{path} has more than {largest:,} bytes: is it the file you meant?")
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> str:
    try:
        text = content.decode(encoding_of(content))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        if b"\0" in content:
            raise InputError(f"{path} is not a text file: is it the file you meant?") from None
        raise InputError(f"{path}: line {line} is not UTF-8: save the file as UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path} is not a text file: is it the file you meant?")
    return text
