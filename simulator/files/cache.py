"""What parsers made of files, remembered from process to process.

The libraries that read YAML and Parquet take longer to import than to read a small file. What they
made of one, plain data, is kept as JSON under a digest of the file and of the code that read it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from simulator.code import version_of
from simulator.errors import InputError
from simulator.files.writing import write_text

LARGEST = 1 << 18
"""Bytes of a file that is worth it: reading a larger one takes longer than its library's import."""

_MOST = 64  # files of each kind; the one that was read first goes first


def cache_folder() -> Path:
    """Return the folder of what can be made anew: `TRAINSOC_CACHE`, else that of the user."""
    own = os.environ.get("TRAINSOC_CACHE")
    if own:
        return Path(own)
    caches = os.environ.get("XDG_CACHE_HOME")
    if caches:
        return Path(caches) / "trainsoc"
    try:
        return Path.home() / ".cache" / "trainsoc"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "trainsoc"


@dataclass(frozen=True)
class FileParser:
    """What decides how a kind of file is read: a library, and sources of ours."""

    kind: str
    library: str
    sources: Sequence[Path]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of its code, so that what other code read is read anew."""
        digest = hashlib.sha256(f"{self.kind} {version_of(self.library)}".encode())
        for path in self.sources:
            digest.update(path.read_bytes())
        return digest.digest()


def recall(parser: FileParser, content: bytes, read: Callable[[], Any]) -> Any:
    """Return what `read` makes of a file's `content`: plain data, or what an earlier call made.

    A folder that cannot be written or a damaged file in it costs time only.
    """
    digest = hashlib.sha256(parser.digest + content).hexdigest()[:24]
    path = cache_folder() / f"{parser.kind}-{digest}.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = read()
        _keep(path, value)
        return value


def _keep(path: Path, value: Any) -> None:
    """Write `value`, unless JSON would give another one back, as of keys that are no text."""
    with suppress(TypeError, ValueError, OSError, InputError):
        text = json.dumps(value)
        if json.loads(text) == value:
            write_text(path, text)
            make_room(path)


def make_room(newest: Path) -> None:
    """Remove the oldest files beyond the most that are kept of the newest one's kind."""
    others = sorted(
        newest.parent.glob(f"{newest.name.partition('-')[0]}-*.json"),
        key=lambda path: path.stat().st_mtime,
    )
    for path in others[:-_MOST]:
        path.unlink(missing_ok=True)
