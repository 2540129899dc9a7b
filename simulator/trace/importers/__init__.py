"""Traces from files that other tools wrote."""

from collections.abc import Callable
from pathlib import Path

from simulator.trace.importers.scalesim import import_scalesim
from simulator.trace.trace import Trace

IMPORTERS: dict[str, Callable[[Path], Trace]] = {"scalesim": import_scalesim}
