"""Observers of a program while it runs. Observation never changes timing."""

from collections.abc import Sequence
from typing import ClassVar

from simulator.activity import Flow, Span


class Probe:
    """Keeps when each task ran."""

    keeps_flows: ClassVar[bool] = False
    """Whether it wants memory traffic: without, none is computed."""

    def __init__(self, tasks: Sequence[object]) -> None:
        """Observe these tasks."""
        self.spans: list[Span] = [Span(0, 0)] * len(tasks)

    def ran(self, task: int, start_ps: int, end_ps: int) -> None:
        """Keep the span of `task`."""
        self.spans[task] = Span(start_ps, end_ps)

    def flowed(self, flow: Flow) -> None:
        """Ignore memory traffic."""


class Recorder(Probe):
    """Keeps the memory traffic over time too, for a timeline or a figure."""

    keeps_flows: ClassVar[bool] = True

    def __init__(self, tasks: Sequence[object]) -> None:
        """Observe these tasks."""
        super().__init__(tasks)
        self.flows: list[Flow] = []

    def flowed(self, flow: Flow) -> None:
        """Keep the flow."""
        self.flows.append(flow)
