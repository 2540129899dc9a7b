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
class Form:
    """A format: what it is called, how its files begin and who reads them."""

    title: str
    detects: Callable[[str], bool]
    read: Callable[[Path], Trace]


FORMS = {
    "execution-trace": Form(
        "a PyTorch execution trace", execution_trace.detects, execution_trace.import_execution_trace
    ),
    "kineto": Form("a Chrome trace", kineto.detects, kineto.import_kineto),
    "scalesim": Form("a SCALE-Sim topology", scalesim.detects, scalesim.import_scalesim),
}


def detect(path: Path) -> str | None:
    """Return the name of the form that the file is in, None if it looks like none.

    Raises InputError if it cannot be read.
    """
    beginning = head(path)
    return next((name for name, form in FORMS.items() if form.detects(beginning)), None)


def import_any(path: Path) -> Trace:
    """Return the trace in a file of any form; raises InputError if it looks like none."""
    found = detect(path)
    if found is None:
        if kind := kind_by_name(path):
            raise InputError(f"{path} is {kind.title}, nothing to import: {kind.advice(path)}")
        known = ", ".join(form.title for form in FORMS.values())
        raise InputError(f"{path} is none of the files that can be imported: {known}")
    return FORMS[found].read(path)


def not_a_trace(path: Path) -> str:
    """Return how to say that a file is no trace of trainsoc: what it is, and what to do."""
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
    """Return the importer of a form, which tells of a file that is clearly of another."""

    def read(path: Path) -> Trace:
        found = detect(path)
        if found not in (None, name):
            raise InputError(
                f"{path} is {FORMS[found].title}, not {FORMS[name].title}: "
                f"use trainsoc import {found} {path} -o TRACE"
            )
        return FORMS[name].read(path)

    return read


IMPORTERS: dict[str, Callable[[Path], Trace]] = {
    **{name: _importer(name) for name in FORMS},
    "auto": import_any,
}
