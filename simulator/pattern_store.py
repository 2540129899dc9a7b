"""Samples of access patterns, kept on disk per DRAM: what was run once need not be run again."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simulator.errors import InputError
from simulator.files.writing import write_text
from simulator.hardware.dram import DramDevice
from simulator.memo import remember
from simulator.timing import dram
from simulator.timing.dram.cost import Sample, Samples, Traffic, Walk, samples_of

Known = dict[tuple[Traffic, ...], Sample]


@contextmanager
def kept_samples(device: DramDevice | None) -> Iterator[None]:
    """Recall the samples of `device` before the body, and keep those that it adds.

    They lie under `TRAINSOC_CACHE`, else under the user's cache folder. A folder that cannot be
    written, or a file that cannot be read, costs time alone.
    """
    if device is None:
        yield
        return
    samples, path = samples_of(device), _folder() / f"dram-{_key(device)}.json"
    if not samples.known:
        samples.known.update(_read(path))
    before = len(samples.known)
    try:
        yield
    finally:
        if len(samples.known) > before:
            _write(path, samples)


def _folder() -> Path:
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


def _key(device: DramDevice) -> str:
    """Return what names the samples of a device: itself, and the model that took them."""
    return hashlib.sha256(f"{device.digest} {_model()}".encode()).hexdigest()[:24]


@remember("digest of the DRAM model", most=1)
def _model() -> str:
    """Return a digest of the source that takes samples, so that another model starts anew."""
    assert dram.__file__ is not None, "a package of files"
    digest = hashlib.sha256()
    for path in sorted(Path(dram.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> Known:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {
            tuple(_traffic(*each) for each in key): Sample(*map(int, sample))
            for key, sample in rows
        }
    except (OSError, ValueError, TypeError):
        return {}


def _traffic(run: int, pitch: int, write: bool, mixed: bool) -> Traffic:
    return Traffic(Walk(int(run), int(pitch), bool(write)), bool(mixed))


def _write(path: Path, samples: Samples) -> None:
    """Write all samples in one piece, with those that another process has kept meanwhile."""
    known = _read(path) | samples.known
    rows = [
        [[(*each.walk, each.mixed) for each in key], sample]
        for key, sample in sorted(known.items())
    ]
    with suppress(InputError):
        write_text(path, json.dumps(rows))
