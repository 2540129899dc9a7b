"""Access-pattern samples on disk, one file per DRAM device: those that ship, and a cache."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simulator.errors import InputError
from simulator.files.cache import cache_folder
from simulator.files.writing import write_text
from simulator.hardware.dram import DramDevice
from simulator.hardware.part import canonical_json
from simulator.memo import remember
from simulator.timing import dram
from simulator.timing.dram.cost import DeviceSamples, Sample, TrafficShape, Walk, samples_of

SampleTable = dict[tuple[TrafficShape, ...], Sample]

assert dram.__file__ is not None, "a package of files"
MODEL = Path(dram.__file__).parent
SHIPPED = MODEL / "samples"  # of the presets; taken anew by `make samples`


@contextmanager
def kept_samples(device: DramDevice | None) -> Iterator[None]:
    """Load the samples of `device` that ship or are cached; cache those that the body adds.

    They are in `cache_folder`. An unwritable folder or an unreadable file costs time only: samples
    are then taken again.
    """
    if device is None:
        yield
        return
    samples, name = samples_of(device), file_name(device)
    path = cache_folder() / name
    if not samples.table:
        samples.table.update(_read(path) | _read(SHIPPED / name))
    before = len(samples.table)
    try:
        yield
    finally:
        if len(samples.table) > before:
            _write(path, samples)


@remember("names of sample files", most=64)
def file_name(device: DramDevice) -> str:
    """Return a name that tells devices, their constraints and the models that sample them apart.

    The table of its standard is part of it, those of other standards and energies are not: adding
    one, or pricing a command anew, leaves all samples valid.
    """
    rows = device.standard.rows(device.refresh)
    timed = {name: value for name, value in device.plain().items() if name != "energy"}
    text = f"{canonical_json(timed)} {rows} {_model()}"
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    return f"dram-{key}.json"


@remember("digest of the DRAM model", most=1)
def _model() -> str:
    """Return a digest of the source that takes samples, so that a changed model starts anew."""
    digest = hashlib.sha256()
    for path in sorted(MODEL.rglob("*.py")):
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
        write_text(path, "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
