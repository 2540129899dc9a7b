"""Writes traces for other tools."""

import os
from typing import Protocol

from simulator.trace.exporters.chakra import export_chakra
from simulator.trace.trace import Trace


class Exporter(Protocol):
    """Writes a distinct step of a trace, by default the typical one, to a file."""

    def __call__(self, trace: Trace, path: str | os.PathLike[str], step: int | None = None) -> None:
        """Raises InputError if there is no such step or the file cannot be written."""


EXPORTERS: dict[str, Exporter] = {"chakra": export_chakra}
