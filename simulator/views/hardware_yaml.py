"""A SoC as the YAML that describes it whole: every value, its range, its source; peaks first."""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simulator.energy import price_constants
from simulator.energy.area import areas
from simulator.energy.fpga import Resources, resources
from simulator.hardware import Hardware
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.constant import Constant
from simulator.hardware.cpu import Cpu
from simulator.hardware.fpga import Fpga
from simulator.hardware.stated import kind_of
from simulator.results.constants import text_of
from simulator.results.metric_row import Column
from simulator.results.metrics import RESOURCES
from simulator.si import digits, si

_WIDTH = 80
_PLAIN = re.compile(r"[A-Za-z0-9][\w ,.;/()%+*'-]*")  # texts that need no quotes
_OTHER = re.compile(r"[\d._eE+-]+|0[xo].*|true|false|null|yes|no|on|off", re.IGNORECASE)


def hardware_yaml(hardware: Hardware) -> str:
    """Return the description of a SoC with all defaults, which `run` takes as it stands.

    It begins with comments: peak rates and areas. Numbers have the ranges and sources that the
    description and the classes of its cores state; prices of energy, which are no settings, follow
    as comments.
    """
    constants = {each.path: each for each in hardware.constants}
    prices = price_constants(hardware)
    unsure = [each for each in (*hardware.constants, *prices) if each.is_uncertain]
    head = [
        ": ".join(filter(None, (hardware.name, hardware.description))),
        *_peaks(hardware),
        _area(hardware),
        *_fpga(hardware),
        f"{len(unsure)} numbers have a range, which one would bet nine to one on; a number without "
        "a source is a choice or a default",
    ]
    comments = [line for text in head for line in _comment(text)]
    body = _mapping(hardware.as_text(), (), constants)
    return "\n".join([*comments, "", *body, "", *_prices(prices)]) + "\n"


def _peaks(hardware: Hardware) -> Iterator[str]:
    """Yield the peak rates of the units, and of the memory."""
    for name, unit in hardware.units.items():
        if isinstance(unit, Accelerator):
            elements = f"{unit.elements} {unit.precision} elements at {si(unit.clock, 'Hz')}"
            yield f"{name}: {si(unit.peak_macs_per_s, 'MAC/s')}, {elements}"
        elif isinstance(unit, Cpu):
            macs = unit.cores * unit.clock * unit.simd_pipes * unit.simd // 4
            cores = f"{unit.cores} cores at {si(unit.clock, 'Hz')}"
            yield f"{name}: {si(macs, 'MAC/s')} in fp32, {cores}"
    yield f"dram: {si(hardware.dram.peak_bytes_per_s, 'B/s')}, {hardware.dram.preset}"


def _area(hardware: Hardware) -> str:
    parts = [f"{part.component} {digits(part.mm2)}" for part in areas(hardware) if part.mm2]
    return f"area in mm2: {', '.join(parts)}" if parts else "no part has a known area"


def _fpga(hardware: Hardware) -> list[str]:
    """Return what the arrays take of their FPGA; none where they are no part of one."""
    fpga, demand = hardware.technology.fpga, resources(hardware)
    if fpga is None or demand is None:
        return []
    amounts = (_amount(each, demand, fpga) for each in RESOURCES)
    return [f"{fpga.part}: the arrays take {', '.join(amounts)}"]


def _amount(column: Column, demand: Resources, fpga: Fpga) -> str:
    """Return an amount and its limit: "12,744 of 53,200 LUTs"."""
    bound = getattr(fpga, column.key)
    limit = "" if bound is None else f" of {bound:,}"
    return f"{getattr(demand, column.key):,}{limit} {column.label}"


def _comment(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"# {indent}", subsequent_indent=f"# {indent}  ",
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _prices(constants: Iterable[Constant]) -> Iterator[str]:
    """Yield the factors on the prices of energy, which samples draw too."""
    yield "# Factors on energy prices (`trainsoc recost` applies others):"
    for each in constants:
        low, high = text_of(each, each.low), text_of(each, each.high)
        kind = "" if kind_of(each.source) == each.kind else f"{each.kind}: "
        yield from _comment(f"{each.path}: {low} .. {high}, {kind}{each.source}", "  ")


def _mapping(
    content: Mapping[str, Any], path: tuple[str, ...], constants: Mapping[str, Constant]
) -> Iterator[str]:
    """Yield the lines of a part, two spaces deeper than its key."""
    indent = "  " * len(path)
    for key, value in content.items():
        at = (*path, key)
        start = f"{indent}{_scalar(key)}:"
        if isinstance(value, Mapping) and value:
            yield start
            yield from _mapping(value, at, constants)
        elif isinstance(value, list | tuple) and value:
            yield start
            for number, each in enumerate(value):
                yield from _item(each, (*at, str(number)), constants)
        else:
            yield from _entry(start, value, constants.get(".".join(at)))


def _item(value: Any, path: tuple[str, ...], constants: Mapping[str, Constant]) -> Iterator[str]:
    """Yield an entry of a list: on its line with the source that its numbers share, else over
    several.
    """
    indent = "  " * (len(path) - 1)
    if not isinstance(value, Mapping):
        yield f"{indent}- {_scalar(value)}"
        return
    stem = ".".join(path)
    own = [each for key, each in constants.items() if key.startswith(f"{stem}.")]
    sources = {" ".join(each.source.split()) for each in own}
    if len(sources) > 1 or any(each.is_uncertain for each in own):
        first, *rest = _mapping(value, path, constants)
        yield f"{indent}- {first.lstrip()}"
        yield from rest
        return
    comment = f"  # {sources.pop()}" if sources else ""
    yield f"{indent}- {_flow(value)}{comment.rstrip(' #')}"


def _entry(start: str, value: Any, constant: Constant | None) -> Iterator[str]:
    """Yield a setting: on a line with its source where that fits, else over several."""
    text = _scalar(value)
    if constant is None:
        is_long = isinstance(value, str) and len(start) + len(text) >= _WIDTH
        yield from _folded(start, text) if is_long else [f"{start} {text}"]
        return
    source, parts = " ".join(constant.source.split()), {"value": text}
    if constant.is_uncertain:
        low, high = text_of(constant, constant.low), text_of(constant, constant.high)
        parts["range"] = f"{low} .. {high}"
    if kind_of(source) != constant.kind:
        parts["kind"] = constant.kind
    stated = f"{{{', '.join(f'{key}: {part}' for key, part in parts.items())}}}"
    line = f"{start} {stated if len(parts) > 1 else text}"
    line += f"  # {source}" if source else ""
    if len(line) <= _WIDTH:
        yield line
        return
    indent = _indent(start)
    yield start
    yield from (f"{indent}{key}: {part}" for key, part in parts.items())
    if source:
        yield from _folded(f"{indent}source:", source)


def _folded(start: str, text: str) -> Iterator[str]:
    """Yield a long text below its key, in lines that YAML joins by spaces."""
    indent = _indent(start)
    yield f"{start} >-"
    for line in textwrap.wrap(
        text, _WIDTH - len(indent), break_on_hyphens=False, break_long_words=False
    ):
        yield f"{indent}{line}"


def _indent(start: str) -> str:
    """Return the indent of what stands below a key."""
    return " " * (len(start) - len(start.lstrip()) + 2)


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_scalar(key)}: {_flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value, flow=True)


def _scalar(value: Any, *, flow: bool = False) -> str:
    """Return a value that YAML reads back as the same; texts without quotes where it does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple):
        return _flow(value)
    if not isinstance(value, str):
        return json.dumps(value)
    plain = _PLAIN.fullmatch(value) and not _OTHER.fullmatch(value)
    return value if plain and not (flow and "," in value) else json.dumps(value)
