"""A run against another one: the answer in a sentence, and ratios by phase."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.html import html_table
from simulator.results.metrics import COMPARED, ENERGY, LATENCY
from simulator.results.result import Result
from simulator.si import times
from simulator.views.sheet import TOTAL
from simulator.views.verdict import Summary, summary

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a run costs beside another one; ratios are of the other over the run's own."""

    document: Summary

    @classmethod
    def of(cls, run: Result, other: Result) -> "Verdict":
        """Return the verdict on `run` against `other`."""
        return cls(summary(run.as_dict(), other.as_dict()))

    def __repr__(self) -> str:
        """Return the verdict in a sentence."""
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [
            (name, *("-" if each is None else times(each) for each in ratios.values()))
            for name, ratios in self.document["phases"].items()
        ]
        return html_table(self.sentence, ("phase", *(ratio.label for _, ratio in COMPARED)), rows)

    @property
    def sentence(self) -> str:
        """The verdict in a sentence, naming both machines."""
        return self.document["sentence"]

    @property
    def speedup(self) -> float | None:
        """How many times as fast the run is as the other one; None where it takes no time."""
        return self.document["phases"][TOTAL][LATENCY.ratio.key] if LATENCY.ratio else None

    @property
    def energy_ratio(self) -> float | None:
        """How many times its energy the other one takes."""
        return self.document["phases"][TOTAL][ENERGY.ratio.key] if ENERGY.ratio else None

    def table(self) -> "polars.DataFrame":
        """Return the ratios, a row for each phase that both runs have, and the total."""
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        return pl.DataFrame(
            [{"phase": name, **ratios} for name, ratios in self.document["phases"].items()]
        )
