"""README and the pages of docs/: their text, blocks, commands and the tables that code makes."""

import re
import shlex
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

from simulator.results.metric_row import Metric
from simulator.results.metrics import TABLE
from tests import pins

ROOT = Path(__file__).parents[1]
SITE = ROOT / "mkdocs.yml"
_BLOCK = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")


class Block(NamedTuple):
    """A fenced block: its language and lines."""

    language: str
    text: str


class Command(NamedTuple):
    """A line to type, and what the page says that it prints: lines in order, some left out."""

    words: tuple[str, ...]
    printed: tuple[str, ...]


def pages() -> list[Path]:
    """Return README, then the pages of the site in the order of its navigation."""
    nav = YAML(typ="safe", pure=True).load(SITE.read_text())["nav"]
    return [ROOT / "README.md", *(ROOT / "docs" / name for name in _leaves(nav))]


def _leaves(entry: object) -> Iterable[str]:
    if isinstance(entry, str):
        yield entry
    for each in entry.values() if isinstance(entry, dict) else entry:  # type: ignore[attr-defined]
        yield from [each] if isinstance(each, str) else _leaves(each)


def text() -> str:
    """Return the text of all pages."""
    return "\n".join(page.read_text() for page in pages())


def blocks(language: str = "", page: Path | None = None) -> list[Block]:
    """Return the fenced blocks of a page, else of all, in a language, else in any."""
    found = [Block(*match) for match in _BLOCK.findall(page.read_text() if page else text())]
    return [block for block in found if language in ("", block.language)]


def commands(page: Path) -> list[Command]:
    """Return the commands in the `sh` blocks of a page, with what a `text` block behind shows."""
    every, found = blocks(page=page), []
    for block, following in pairwise([*every, Block("", "")]):
        lines = [re.sub(r" +#.*", "", line) for line in block.text.splitlines()]
        lines = [line for line in lines if line.startswith("trainsoc ")]
        if block.language == "sh" and lines:
            shown = following.text.splitlines() if following.language == "text" else []
            printed = tuple(line.strip() for line in shown if line.strip(" ."))
            found += [Command(tuple(shlex.split(line)[1:]), ()) for line in lines[:-1]]
            found.append(Command(tuple(shlex.split(lines[-1])[1:]), printed))
    return found


def metric_lines() -> list[str]:
    """Return the table of what a result says of each part of a run."""
    rows = []
    for row in TABLE:
        if isinstance(row, Metric):
            rows.append((f"`{row.key}`", row.label, row.unit or "-"))
        else:
            rows.append((f"`{row.key or row.column}`", row.label.format("..."), "by name"))
    return pins.table(("key", "what", "unit"), rows)
