"""Why a step takes its time, and what would change that: two tables, or two lines."""

from collections.abc import Iterable, Iterator

from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.counterfactuals import Explanation
from simulator.results.causes import Cause
from simulator.si import percent, share, si
from simulator.units import AJ_PER_J, PS_PER_S
from simulator.views.report import amount_table

_BAR = 20  # characters for the longest bar
_IN_A_LINE = 4
_WORTH_A_LINE = 0.01  # of the step's time; less is no help


def explanation_report(explanation: Explanation) -> Group:
    """Return the causes of a step's time and the changes that were simulated, in 80 columns."""
    took = si(explanation.time_ps / PS_PER_S, "s")
    return Group(
        Text(f"{explanation.trace} on {explanation.hardware}: a step takes {took}."),
        _causes(explanation),
        _changes(explanation),
        Text(
            "Each change is simulated by itself, for one typical step after another such step; "
            "gains do not add up.",
            style="dim",
        ),
    )


def cause_line(causes: Iterable[Cause]) -> str:
    """Return in one line what most of a step's time goes to."""
    causes = tuple(causes)
    whole = sum(cause.time_ps for cause in causes)
    parts = (f"{each.name} {share(each.time_ps, whole)}" for each in causes[:_IN_A_LINE])
    return f"Time of a step: {', '.join(parts)}."


def answer_line(explanation: Explanation, more: str) -> str:
    """Return in one line what helps against the first causes; `more` tells of other changes."""
    whole = explanation.time_ps
    helpful = [each for each in explanation.changes if whole - each.time_ps > _WORTH_A_LINE * whole]
    parts = [f"{each.name} ({_more(each.time_ps, whole)})" for each in helpful]
    return f"What would help: {', '.join(parts)}; {more}." if parts else f"What would help: {more}."


def _causes(explanation: Explanation) -> Table:
    table = amount_table("where the time goes (critical path)", "time", "share")
    table.add_column("")
    longest = max((cause.time_ps for cause in explanation.causes), default=1)
    for name, time_ps in explanation.causes:
        bar = "#" * round(_BAR * time_ps / longest)
        part = percent(time_ps, explanation.time_ps)
        table.add_row(name, si(time_ps / PS_PER_S, "s"), part, bar)
    return table


def _changes(explanation: Explanation) -> Table:
    table = amount_table("what would change it (simulated)", "time", "", "energy", "")
    for each in explanation.changes:
        table.add_row(
            each.name,
            si(each.time_ps / PS_PER_S, "s"),
            _more(each.time_ps, explanation.time_ps),
            si(each.energy_aj / AJ_PER_J, "J"),
            _more(each.energy_aj, explanation.energy_aj),
        )
    return table


def setting_lines(explanation: Explanation) -> Iterator[str]:
    """Yield the options that make each change, each in a line of its own, to be copied."""
    for each in explanation.changes:
        if each.setting:
            yield f"{each.name}:"
            yield f"  {each.setting}"


def _more(value: int, before: int) -> str:
    """Return by how much a value is more, or less, in whole percent."""
    text = f"{100 * (value - before) / before:+.0f} %" if before else "-"
    return "0 %" if text in ("+0 %", "-0 %") else text
