"""Disk cache of access-pattern samples, one file per DRAM device."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simulator.errors import InputError
from simulator.files.cache import cache_folder
from simulator.files.writing import write_text
from simulator.hardware.dram import DramDevice
from simulator.memo import remember
from simulator.timing import dram
from simulator.timing.dram.cost import DeviceSamples, Sample, TrafficShape, Walk, samples_of

SampleTable = dict[tuple[TrafficShape, ...], Sample]


@contextmanager
def kept_samples(device: DramDevice | None) -> Iterator[None]:
    """Load the cached samples of `device` before the body; save those that the body adds.

    They are in `cache_folder`. An unwritable folder or an unreadable file costs time only: samples
    are then taken again.
    """
    if device is None:
        yield
        return
    samples, path = samples_of(device), cache_folder() / f"dram-{_key(device)}.json"
    if not samples.table:
        samples.table.update(_read(path))
    before = len(samples.table)
    try:
        yield
    finally:
        if len(samples.table) > before:
            _write(path, samples)


def _key(device: DramDevice) -> str:
    """Return the cache key of a device: itself, its constraints, and the model that samples it.

    The table of its standard is part of the key, those of other standards are not: adding one
    leaves all samples valid.
    """
    rows = device.standard.rows(device.refresh)
    return hashlib.sha256(f"{device.digest} {rows} {_model()}".encode()).hexdigest()[:24]


@remember("digest of the DRAM model", most=1)
def _model() -> str:
    """Return a digest of the source that takes samples, so that a changed model starts anew."""
    assert dram.__file__ is not None, "a package of files"
    digest = hashlib.sha256()
    for path in sorted(Path(dram.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> SampleTable:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {
            tuple(_traffic(*each) for each in key): Sample(*map(int, sample))
            for key, sample in rows
        }
    except (OSError, ValueError, TypeError):
        return {}


def _traffic(run: int, pitch: int, write: bool, mixed: bool) -> TrafficShape:
    return TrafficShape(Walk(int(run), int(pitch), bool(write)), bool(mixed))


def _write(path: Path, samples: DeviceSamples) -> None:
    """Write all samples at once, merged with those another process has saved meanwhile."""
    table = _read(path) | samples.table
    rows = [
        [[(*each.walk, each.mixed) for each in key], sample]
        for key, sample in sorted(table.items())
    ]
    with suppress(InputError):
        write_text(path, json.dumps(rows))
