"""The folder of a sweep as a page shows it: a design space per trace, findings, constraints."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.results.metrics import AREA
from simulator.sweeps.answers import best, objectives_of
from simulator.sweeps.condition import condition, inner_units
from simulator.sweeps.folder import SWEEP, read_table
from simulator.sweeps.report import best_sentence, drawable, effects_sentence
from simulator.sweeps.request import as_list, read_request
from simulator.views.page.documents import BoundRow, SpaceSection
from simulator.views.page.space_section import SpaceText, space_section

if TYPE_CHECKING:
    import polars

_BOUND = re.compile(r'^"(?P<column>[^"]+)" (?P<sign><=?|>=?) (?P<number>[\d.eE+-]+)$')


def space_sections(folder: Path) -> list[SpaceSection]:
    """Return the design spaces of the sweep in `folder`, one for each trace that it ran.

    Raises InputError where none is finished.
    """
    table, request = read_table(folder), read_request(folder / SWEEP)
    objectives = objectives_of(request.minimize)
    constraints = as_list(request.constraints)
    command = shlex.join(["trainsoc", "sweep", "-o", folder.name])
    sections, traces = [], table["trace"].unique(maintain_order=True).to_list()
    for trace in traces:
        part = table.filter(table["trace"] == trace)
        prefix = f"{trace}: " if len(traces) > 1 else ""
        text = SpaceText(
            [prefix + sentence for sentence in _sentences(part, objectives)],
            command,
            constraints,
            list(_bounds(constraints, table.columns)),
        )
        space = drawable(part, objectives)
        sections.append(space_section(f"{folder.name}: {trace}", space, text))
    return sections


def _sentences(table: "polars.DataFrame", objectives: Sequence[str]) -> Iterable[str]:
    points = table.filter(table["baseline"] == "")
    for column in (*objectives, AREA.key) if points["feasible"].any() else ():
        if column in table.columns and table[column].count():
            yield _sentence(best_sentence(table, best(table, column), column))
    if effects := effects_sentence(table):
        yield _sentence(effects)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _bounds(constraints: Iterable[str], columns: Sequence[str]) -> Iterable[BoundRow]:
    """Yield the constraints that bound one column by a number: others are no line in a figure."""
    for text in constraints:
        for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE):
            try:
                sql = condition(part, columns).sql
            except InputError:  # of a column that this table has not
                continue
            if match := _BOUND.match(sql):
                sign = f"{match['sign'][0]}="
                number = float(match["number"]) * inner_units(match["column"])
                yield {"key": match["column"], "sign": sign, "value": number, "text": part.strip()}
