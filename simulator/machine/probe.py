"""Observers of a program while it runs. Observation never changes timing."""

from collections.abc import Sequence
from typing import ClassVar

from simulator.activity import Flow, Span


class Probe:
    """Keeps when each task ran."""

    keeps_flows: ClassVar[bool] = False
    """Whether it wants memory traffic: without, none is computed."""

    def __init__(self, tasks: Sequence[object], origin_ps: int = 0) -> None:
        """Observe these tasks; times are counted from `origin_ps` on."""
        self.origin_ps = origin_ps
        self.spans: list[Span] = [Span(0, 0)] * len(tasks)

    def ran(self, task: int, start_ps: int, end_ps: int) -> None:
        """Keep the span of `task`."""
        self.spans[task] = Span(start_ps - self.origin_ps, end_ps - self.origin_ps)

    def flowed(self, flow: Flow) -> None:
        """Ignore memory traffic."""


class Recorder(Probe):
    """Keeps the memory traffic over time too, for a timeline or a figure."""

    keeps_flows: ClassVar[bool] = True

    def __init__(self, tasks: Sequence[object], origin_ps: int = 0) -> None:
        """Observe these tasks; times are counted from `origin_ps` on."""
        super().__init__(tasks, origin_ps)
        self.flows: list[Flow] = []

    def flowed(self, flow: Flow) -> None:
        """Keep the flow."""
        start_ps, end_ps = flow.start_ps - self.origin_ps, flow.end_ps - self.origin_ps
        self.flows.append(flow._replace(start_ps=start_ps, end_ps=end_ps))
