"""A SoC in an environment of its own, on which programs run one after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from simpy import Environment

from simulator.activity import Flow, Work
from simulator.machine.probe import Probe, Recorder
from simulator.machine.soc import Soc
from simulator.step_run import SectionRun
from simulator.timing.attribution import attribute
from simulator.timing.precedence import Follows
from simulator.timing.sharing import Sharing


class Simulation:
    """Runs tasks event by event, each program when all before it have ended."""

    def __init__(self, env: Environment, soc: Soc) -> None:
        """Run on `soc` in `env`."""
        self._env, self._soc = env, soc

    def run(self, works: Sequence[Work], follows: Follows) -> SectionRun:
        """Run tasks with these works: i follows all of `follows[i]`; times are from their start."""
        return self._observed(works, follows, Probe(works, int(self._env.now)))

    def record(
        self, works: Sequence[Work], follows: Follows
    ) -> tuple[SectionRun, tuple[Flow, ...]]:
        """Do what `run` does, and return the memory traffic over time too."""
        recorder = Recorder(works, int(self._env.now))
        section = self._observed(works, follows, recorder)
        return section, tuple(recorder.flows)

    def _observed(self, works: Sequence[Work], follows: Follows, probe: Probe) -> SectionRun:
        self._soc.start(works, follows, probe)
        self._env.run()
        attributed = attribute(probe.spans, [work.unit for work in works], follows)
        duration_ps = max((span.end_ps for span in probe.spans), default=0)
        return SectionRun(tuple(probe.spans), tuple(attributed), duration_ps)


@contextmanager
def simulation(fidelity: str = "flow", sharing: Sharing | None = None) -> Iterator[Simulation]:
    """Open a simulation; at its end environment and units forget each other.

    So they are freed at once, and a sweep needs no garbage collector.
    """
    env = Environment()
    soc = Soc(env, fidelity=fidelity, sharing=sharing)
    try:
        yield Simulation(env, soc)
    finally:
        soc.close()
        vars(env).clear()  # SimPy binds events to their environment in itself
