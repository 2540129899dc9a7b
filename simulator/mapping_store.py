"""Mappings on disk: what searches chose for an array and a memory, one file for each pair of them.

A command that runs one machine finds there what it would search for most of its time. A sweep asks
for too many machines, each once.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from simulator import activity, hardware, mapping, sparsity, timing, units
from simulator.errors import InputError
from simulator.files.cache import cache_folder, make_room
from simulator.files.writing import write_text
from simulator.hardware import Hardware
from simulator.hardware.part import Part
from simulator.mapping.loops import For, Mapping
from simulator.mapping.mapper import Choices, choices_of
from simulator.memo import remember
from simulator.timing.dataflows import DATAFLOWS
from simulator.timing.pricing import pricing_of
from simulator.trace import sparsity as sparse_operands

_MOST = 1024  # a guess: operations of some tens of traces, of 200 bytes each


@contextmanager
def kept_mappings(soc: Hardware) -> Iterator[None]:
    """Load the mappings that were chosen on `soc` before; keep those that the body adds.

    They are in `cache_folder`. An unwritable folder or a damaged file costs time only: mappings
    are then searched for again.
    """
    array = soc.accelerator
    if array is None or not {array.dataflow, array.wgrad_dataflow} <= {None, *DATAFLOWS}:
        yield  # nothing to search for, or under a dataflow of whose source nothing is known
        return
    choices = choices_of(array, pricing_of(soc.dram, soc.interconnect))
    path = cache_folder() / _file_name(array, soc.dram, soc.interconnect)
    choices.update(_read(path))
    before = len(choices)
    try:
        yield
    finally:
        if len(choices) > before:
            _write(path, choices)


def _file_name(*parts: Part) -> str:
    """Return a name that tells arrays, memory paths and the models that choose mappings apart."""
    key = " ".join([*(part.digest for part in parts), _models()])
    return f"mappings-{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


@remember("digest of what chooses mappings", most=1)
def _models() -> str:
    """Return a digest of the source of the mapper and of all that it asks."""
    digest = hashlib.sha256()
    for source in (activity, hardware, mapping, sparsity, sparse_operands, timing, units):
        assert source.__file__ is not None, "our own"
        path = Path(source.__file__)
        for each in sorted(path.parent.rglob("*.py")) if path.stem == "__init__" else [path]:
            digest.update(each.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> Choices:
    """Return the mappings in a file, none unless it is as it was written."""
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest != _digest(text):
            return {}
        return {problem: _mapping(row) for problem, row in json.loads(text).items()}
    except (OSError, ValueError):
        return {}


def _mapping(row: Any) -> Mapping:
    loops, a_from, b_from, c_from, preloaded, single = row
    cuts = tuple(For(*loop) for loop in loops)
    return Mapping(cuts, a_from, b_from, c_from, tuple(preloaded), single=tuple(single))


def _row(chosen: Mapping) -> tuple[object, ...]:
    """Return what a search decides on; all other fields of a mapping are of rules."""
    return chosen.loops, *chosen.reuse_levels, chosen.preloaded, chosen.single


def _write(path: Path, choices: Choices) -> None:
    """Write the newest mappings, with those that another process has saved meanwhile."""
    newest = list((_read(path) | choices).items())[-_MOST:]
    text = json.dumps({problem: _row(chosen) for problem, chosen in newest})
    with suppress(InputError, OSError):
        write_text(path, f"{_digest(text)}\n{text}")
        make_room(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
