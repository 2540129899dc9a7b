"""What observers are told while a step runs. Observation never changes timing."""

from simulator.activity import Flow, Span


class Probe:
    """Keeps when each task ran."""

    def __init__(self, tasks: int) -> None:
        """Expect so many tasks."""
        self.spans: list[Span] = [Span(0, 0)] * tasks

    def ran(self, task: int, start_ps: int, end_ps: int) -> None:
        """Take note that `task` ran from start to end."""
        self.spans[task] = Span(start_ps, end_ps)

    def flowed(self, flow: Flow) -> None:
        """Take note of memory traffic at a constant rate; nothing is kept here."""


class Recorder(Probe):
    """Keeps the memory traffic over time too, for a timeline or a figure."""

    def __init__(self, tasks: int) -> None:
        """Expect so many tasks."""
        super().__init__(tasks)
        self.flows: list[Flow] = []

    def flowed(self, flow: Flow) -> None:
        """Keep the flow."""
        self.flows.append(flow)
