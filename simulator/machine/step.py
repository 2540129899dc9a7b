"""One step on a SoC of its own: section by section, each simulated where units meet in it."""

from collections.abc import Sequence
from typing import NamedTuple

from simpy import Environment

from simulator.activity import Span, StepRun, Task, Work
from simulator.errors import InputError
from simulator.machine.probe import Probe, Recorder
from simulator.machine.soc import Soc
from simulator.memo import Memo
from simulator.timing.attribution import attribute
from simulator.timing.pipeline import Pipelined
from simulator.timing.precedence import Follows, Precedence, Section, precedence
from simulator.timing.shares import WHOLE
from simulator.timing.sharing import Sharing

MOST_TILES = 1_000_000
"""The most tiles that are simulated one by one by default: about a minute."""

_SECTIONS = 1024  # a guess: different sections of a few tasks that the steps of a trace have


class _SectionRun(NamedTuple):
    """A section from its start: its spans, what is charged to each task, and its duration."""

    spans: tuple[Span, ...]
    attributed_ps: tuple[int, ...]
    duration_ps: int


class StepRunner:
    """Runs steps of a SoC, each alone on it.

    The tasks of a section depend on nothing outside of it, and time has no origin, so equal
    sections run once. A section of one task takes what its work takes alone.
    """

    def __init__(
        self, sharing: Sharing | None = None, fidelity: str = "flow", most_tiles: int = MOST_TILES
    ) -> None:
        """Let masters share the memory as `sharing` says, without it fairly and undisturbed."""
        self._sharing = sharing or Sharing()
        self._by_tiles, self._most_tiles = fidelity == "tile", most_tiles
        self._sections: Memo[_SectionRun] = Memo("sections of steps", _SECTIONS)

    def run(self, tasks: Sequence[Task], order: Precedence, *, record: bool = False) -> StepRun:
        """Run `tasks` to completion in this order and return what happened.

        With `record` the memory traffic over time is kept too. Raises InputError where fidelity
        "tile" has too many to simulate.
        """
        if self._by_tiles:
            _check_tiles(tasks, self._most_tiles)
        if self._by_tiles or record:
            fidelity = "tile" if self._by_tiles else "flow"
            return run_events(tasks, order.follows, fidelity, self._sharing, record=record)
        return self._by_section(tasks, order)

    def _by_section(self, tasks: Sequence[Task], order: Precedence) -> StepRun:
        spans: list[Span] = []
        attributed: list[int] = []
        now = 0
        works = [task.work for task in tasks]
        alone_ps = {work: work.progress.duration_ps(WHOLE) for work in set(works)}
        for section in order.sections:
            start, stop, _ = section
            if stop - start == 1:
                duration = alone_ps[works[start]]
                spans.append(Span(now, now + duration))
                attributed.append(duration)
                now += duration
                continue
            run = self._section(section, tasks, tuple(works[start:stop]))
            spans += [Span(now + begin, now + end) for begin, end in run.spans]
            attributed += run.attributed_ps
            now += run.duration_ps
        if not all(alone_ps.values()):  # ends of tasks without duration tie across sections
            attributed = attribute(spans, [work.unit for work in works], order.follows)
        return StepRun(tuple(tasks), tuple(spans), tuple(attributed), now)

    def _section(
        self, section: Section, tasks: Sequence[Task], works: tuple[Work, ...]
    ) -> _SectionRun:
        key = section.follows, works
        run = self._sections.find(key)
        if run is None:
            within = tasks[section.start : section.stop]
            whole = run_events(within, section.follows, "flow", self._sharing)
            run = _SectionRun(whole.spans, whole.attributed_ps, whole.duration_ps)
            self._sections.keep(key, run)
        return run


def run_step(
    tasks: Sequence[Task],
    issue: str,
    fidelity: str = "flow",
    sharing: Sharing | None = None,
    *,
    record: bool = False,
    most_tiles: int = MOST_TILES,
) -> StepRun:
    """Run `tasks` alone on a SoC under `issue`; see `StepRunner` for the others."""
    runner = StepRunner(sharing, fidelity, most_tiles)
    return runner.run(tasks, precedence(tasks, issue), record=record)


def run_events(
    tasks: Sequence[Task],
    follows: Follows,
    fidelity: str = "flow",
    sharing: Sharing | None = None,
    *,
    record: bool = False,
) -> StepRun:
    """Run `tasks` event by event, in whatever sections: task i follows all of `follows[i]`."""
    env = Environment()
    probe = Recorder(tasks) if record else Probe(tasks)
    Soc(env, fidelity=fidelity, sharing=sharing).start(tasks, follows, probe)
    env.run()
    spans = probe.spans
    duration = max((span.end_ps for span in spans), default=0)
    attributed = attribute(spans, [task.work.unit for task in tasks], follows)
    flows = tuple(probe.flows) if isinstance(probe, Recorder) else ()
    return StepRun(tuple(tasks), tuple(spans), tuple(attributed), duration, flows)


def _check_tiles(tasks: Sequence[Task], most: int) -> None:
    works = (task.work.progress for task in tasks)
    tiles = sum(progress.tiles for progress in works if isinstance(progress, Pipelined))
    if tiles > most:
        raise InputError(
            f"--fidelity tile would simulate {tiles:,} tiles in one step, and {most:,} is the "
            f"limit: use --fidelity flow, or lift it with --max-tiles {tiles}"
        )
