"""Traces from files that other tools wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.errors import InputError
from simulator.files.kind import HEAD, kind_by_name, kind_of
from simulator.trace.importers import execution_trace, kineto, scalesim
from simulator.trace.importers.stream import head
from simulator.trace.trace import Trace


@dataclass(frozen=True, slots=True)
class TraceForm:
    """A file format: its title, a test on its first characters, and its reader."""

    title: str
    detects: Callable[[str], bool]
    read: Callable[[Path], Trace]


FORMS = {
    "execution-trace": TraceForm(
        "a PyTorch execution trace", execution_trace.detects, execution_trace.import_execution_trace
    ),
    "kineto": TraceForm("a Chrome trace", kineto.detects, kineto.import_kineto),
    "scalesim": TraceForm("a SCALE-Sim topology", scalesim.detects, scalesim.import_scalesim),
}


def detect(path: Path) -> str | None:
    """Return the name of a file's format, None if it has none of these.

    Raises InputError if the file cannot be read.
    """
    beginning = head(path)
    return next((name for name, form in FORMS.items() if form.detects(beginning)), None)


def import_any(path: Path) -> Trace:
    """Return the trace in a file of any of the formats; raises InputError for any other file."""
    name = detect(path)
    if name is None:
        if kind := kind_by_name(path):
            raise InputError(f"{path} is {kind.title}, nothing to import: {kind.advice(path)}")
        forms = ", ".join(form.title for form in FORMS.values())
        raise InputError(f"{path} has none of the formats that can be imported: {forms}")
    return FORMS[name].read(path)


def not_a_trace(path: Path) -> str:
    """Return the message for a file that is no trainsoc trace: what it is, and what to do."""
    with path.open("rb") as file:
        kind = kind_of(file.read(HEAD))
    try:
        form = detect(path)
    except InputError as error:
        form = None
        if kind and not kind.is_trace:
            return str(error)
    if form:
        command = f"trainsoc import {form} {path} -o run.trace"
        return f"{path} is {FORMS[form].title}, not a trainsoc trace: {command}"
    if named := kind_by_name(path):
        return f"{path} is {named.title}, not a trainsoc trace: {named.advice(path)}"
    return f"{path} is not a trainsoc trace: make one with trainsoc capture or trainsoc import"


def _importer(name: str) -> Callable[[Path], Trace]:
    """Return the importer of a format, which refuses a file of another one."""

    def read(path: Path) -> Trace:
        other = detect(path)
        if other not in (None, name):
            raise InputError(
                f"{path} is {FORMS[other].title}, not {FORMS[name].title}: "
                f"use trainsoc import {other} {path} -o TRACE"
            )
        return FORMS[name].read(path)

    return read


IMPORTERS: dict[str, Callable[[Path], Trace]] = {
    **{name: _importer(name) for name in FORMS},
    "auto": import_any,
}
