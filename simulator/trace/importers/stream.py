"""Reads a large JSON file, plain or gzip, one list element at a time."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from simulator.errors import InputError
from simulator.files.kind import GZIP, HEAD, kind_of
from simulator.files.text import check_readable, encoding_of, unreadable

_CHUNK = 1 << 20  # characters: more than an element, less than a file
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)


def head(path: Path, characters: int = 1 << 16) -> str:
    """Return the first characters of a text file, decompressed; raises InputError if unreadable."""
    try:
        with _opened(path) as file:
            return file.read(characters)
    except OSError as error:
        raise unreadable(path, error) from None
    except EOFError:
        raise _cut_short(path) from None
    except (UnicodeDecodeError, zlib.error):
        raise InputError(f"{path} is not a text file: is it the file you meant?") from None


def entries(path: Path, array: str) -> Iterator[tuple[str, Any]]:
    """Yield the members of the JSON object in a file; the list `array` element by element.

    A file that is a list counts as that array. Raises InputError for a file that cannot be read, is
    cut short or is not JSON.
    """
    try:
        with _opened(path) as file:
            yield from _members(_Text(file), array)
    except OSError as error:
        if isinstance(error, _DAMAGE):
            raise _cut_short(path) from None
        raise unreadable(path, error) from None
    except _DAMAGE:
        raise _cut_short(path) from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file: is it the file you meant?") from None
    except _CutShort:
        raise _cut_short(path) from None
    except _NotJson as error:
        raise InputError(f"{path} is not valid JSON ({error}): export it again") from None
    except RecursionError:
        raise InputError(f"{path} is not valid JSON (nested too deep): export it again") from None
    except ValueError:
        raise InputError(f"{path}: a number has thousands of digits: export it again") from None


def _opened(path: Path) -> TextIO:
    check_readable(path)
    with path.open("rb") as file:
        start = file.read(HEAD)
    if not start:
        raise InputError(f"{path} is empty: export or copy it again")
    packed = start.startswith(GZIP)
    if packed:
        with gzip.open(path) as unpacked:
            start = unpacked.read(HEAD)
    if kind := kind_of(start):
        raise InputError(f"{path} is {kind.title}: {kind.advice(path)}")
    encoding = encoding_of(start)
    return gzip.open(path, "rt", encoding=encoding) if packed else path.open(encoding=encoding)


def _cut_short(path: Path) -> InputError:
    return InputError(f"{path} is cut short: export or copy it again")


class _CutShort(Exception):
    pass


class _NotJson(Exception):
    pass


class _Text:
    """A window on the text of a file, which moves forward as values are read."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Return the next character that is no white space."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            self._more()

    def skip(self, expected: str) -> str:
        """Move past the next character, which must be one of `expected`."""
        character = self.peek()
        if character not in expected:
            place = self._before + self._at
            raise _NotJson(f"{character!r} at character {place}, not {' or '.join(expected)}")
        self._at += 1
        return character

    def value(self) -> Any:
        """Read the next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended and not _unfinished(error, self._text):
                    place = self._before + error.pos
                    raise _NotJson(f"{error.msg} at character {place}") from None
                if len(self._text) - self._at > 64 * _CHUNK:
                    raise _NotJson(f"{error.msg} after character {self._before}") from None
                self._more()
                continue
            if end < len(self._text) or self._ended:
                self._at = end
                return value
            self._more()

    def _more(self) -> None:
        if self._ended:
            raise _CutShort
        chunk = self._file.read(_CHUNK)
        self._before += self._at
        self._text = self._text[self._at :] + chunk
        self._at = 0
        self._ended = not chunk


def _unfinished(error: json.JSONDecodeError, text: str) -> bool:
    return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")


def _members(text: _Text, array: str) -> Iterator[tuple[str, Any]]:
    if text.peek() == "[":
        yield from _elements(text, array)
        return
    text.skip("{")
    if text.peek() == "}":
        return
    while True:
        key = text.value()
        text.skip(":")
        if key == array and text.peek() == "[":
            yield from _elements(text, array)
        else:
            yield key, text.value()
        if text.skip(",}") == "}":
            return


def _elements(text: _Text, array: str) -> Iterator[tuple[str, Any]]:
    text.skip("[")
    if text.peek() == "]":
        text.skip("]")
        return
    while True:
        yield array, text.value()
        if text.skip(",]") == "]":
            return
