"""Tables of a SoC: its uncertain numbers first, then sourced ones, then all else."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.energy import price_constants
from simulator.energy.area import areas
from simulator.energy.factors import PREFIX
from simulator.energy.fpga import Resources, resources
from simulator.hardware import Hardware
from simulator.hardware.constant import Constant
from simulator.hardware.fpga import Fpga
from simulator.hardware.part import Part
from simulator.hardware.settings import UNITS, known_paths
from simulator.results.constants import text_of
from simulator.results.metric_row import Column
from simulator.results.metrics import RESOURCES
from simulator.si import digits


def hardware_table(hardware: Hardware) -> Group:
    """Return the tables of a SoC."""
    constants = (*hardware.constants, *price_constants(hardware))
    unsure = [each for each in constants if each.is_uncertain]
    sure = [each for each in constants if not each.is_uncertain]
    headline = ": ".join(filter(None, (hardware.name, hardware.description)))
    return Group(
        Text(f"{headline}\n\n{len(unsure)} of {len(constants)} numbers have a range:"),
        _unsure(unsure),
        Text("Numbers that have a source and no range:"),
        _sure(sure),
        Text("All else, most of it at its default:"),
        *_rest(hardware, {each.path for each in constants}),
        Text(""),
        Text(_area(hardware)),
        *_fpga(hardware),
    )


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True, justify="right" if column == "value" else "left")
    table.add_column(columns[-1])
    return table


def _unsure(constants: Sequence[Constant]) -> Table:
    table = _table("setting", "value", "range", "kind", "source")
    for _, group in groupby(constants, lambda each: each.path.partition(".")[0]):
        for each in group:
            low, high = (text_of(each, end) for end in (each.low, each.high))
            value = text_of(each, each.value)
            table.add_row(each.path, value, f"{low} .. {high}", each.kind, _reason(each))
        table.add_section()
    return table


def _sure(constants: Sequence[Constant]) -> Table:
    """Return settings one by one, and entries of lists or by name as one row for all of them."""
    table = _table("setting", "value", "kind", "source")
    for path, group in groupby(constants, lambda each: _shown_path(each.path)):
        entries = list(group)
        first = entries[0]
        value = text_of(first, first.value) if first.path == path else f"{len(entries)} numbers"
        table.add_row(path, value, first.kind, _reason(first))
    return table


def _shown_path(path: str) -> str:
    """Return a setting, or the list or mapping that holds a number which is none."""
    if path in known_paths() or path.startswith((PREFIX, UNITS)):
        return path
    names = path.split(".")
    return ".".join(names[:-2]) if len(names) > 2 else path


def _reason(constant: Constant) -> str:
    """Return the source without the word that its kind repeats."""
    return re.sub(rf"^{constant.kind}\b[:,]? *", "", constant.source)


def _rest(hardware: Hardware, paths: set[str]) -> Iterable[Padding]:
    """Yield a line for each part with what has no source: choices by name, and defaults.

    `paths` are the settings that have one.
    """
    for name in type(hardware).model_fields:
        part = getattr(hardware, name)
        if isinstance(part, Part):
            yield _line(name, part, paths)
    for name, unit in (hardware.further or {}).items():
        yield _line(f"units.{name}", unit, paths)


def _line(name: str, part: Part, paths: set[str]) -> Padding:
    entries = [f"{key} {value}" for key, value in _texts(part, f"{name}.", paths)]
    return Padding(Text(f"{name}: {', '.join(entries)}"), (0, 0, 0, 2))


def _texts(part: Part, prefix: str, paths: set[str]) -> Iterable[tuple[str, str]]:
    """Yield paths within a part and their values as a description would have them."""
    for key, value in part.as_text().items():
        path = f"{prefix}{key}"
        inner = getattr(part, key)
        if isinstance(inner, Part):
            deeper = _texts(inner, f"{path}.", paths)
            yield from ((f"{key}.{name}", text) for name, text in deeper)
        elif path not in paths and (text := _plain(value)):
            yield key, text


def _plain(value: Any) -> str:
    """Return a value on a line; nothing for rules and points, which are parts themselves."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return " ".join(each for each in value if isinstance(each, str))
    return str(value) if isinstance(value, str | int) else ""


def _fpga(hardware: Hardware) -> list[Text]:
    """Return what the arrays take of their FPGA on a line; none where they are no part of one."""
    fpga, demand = hardware.technology.fpga, resources(hardware)
    if fpga is None or demand is None:
        return []
    amounts = (_amount(each, demand, fpga) for each in RESOURCES)
    return [Text(f"{fpga.part}: the arrays take {', '.join(amounts)}.")]


def _amount(column: Column, demand: Resources, fpga: Fpga) -> str:
    """Return an amount beside what there is of it: "12,744 of 53,200 LUTs"."""
    bound = getattr(fpga, column.key)
    limit = "" if bound is None else f" of {bound:,}"
    return f"{getattr(demand, column.key):,}{limit} {column.label}"


def _area(hardware: Hardware) -> str:
    parts = [f"{part.component} {digits(part.mm2)}" for part in areas(hardware) if part.mm2]
    return f"Area in mm2: {', '.join(parts)}." if parts else "No part has a known area."
