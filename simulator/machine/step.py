"""One step on a SoC of its own: section by section, each simulated where units meet in it."""

from collections.abc import Sequence
from dataclasses import replace

from simulator.activity import StepRun, Task
from simulator.errors import InputError
from simulator.lowering.program import LoweredStep, lowered_step
from simulator.machine.simulation import simulation
from simulator.memo import Memo
from simulator.step_run import SectionedRun, SectionRun
from simulator.timing.attribution import attribute
from simulator.timing.pipeline import Pipelined
from simulator.timing.precedence import Follows
from simulator.timing.sharing import Sharing

MOST_TILES = 1_000_000
"""The most tiles that are simulated one by one by default: about a minute."""

# A guess: different sections of a few tasks that the steps of a trace have on some designs. Designs
# that differ in what their works do not depend on share them.
_SECTIONS: Memo[SectionRun] = Memo("sections of steps", 2048)


class StepRunner:
    """Runs steps of a SoC, each alone on it.

    The tasks of a section depend on nothing outside of it, and time has no origin, so equal
    sections run once. A task that is a section of its own takes what its work takes alone.
    """

    def __init__(
        self, sharing: Sharing | None = None, fidelity: str = "flow", most_tiles: int = MOST_TILES
    ) -> None:
        """Let masters share the memory as `sharing` says, without it fairly and undisturbed.

        Fidelity "tile" takes `most_tiles` in a step.
        """
        self._sharing = sharing or Sharing()
        self._fidelity, self._most_tiles = fidelity, most_tiles

    def run(self, step: LoweredStep) -> SectionedRun:
        """Run `step` to completion and return what happened.

        Raises InputError where fidelity "tile" has too many tiles to simulate.
        """
        if self._fidelity == "tile":
            tasks = step.tasks
            _check_tiles(tasks, self._most_tiles)
            return _in_one(
                step, run_events(tasks, step.program.order.follows, "tile", self._sharing)
            )
        run = SectionedRun(step, self._shared(step))
        return run if all(run.alone_ps) else _attributed_anew(run)

    def record(self, step: LoweredStep) -> StepRun:
        """Run `step` event by event and return what happened, memory traffic over time too."""
        follows = step.program.order.follows
        return run_events(step.tasks, follows, self._fidelity, self._sharing, record=True)

    def _shared(self, step: LoweredStep) -> tuple[SectionRun, ...]:
        """Return how each distinct section with several tasks runs."""
        works, sharing = step.works, self._sharing
        keys = [
            (sharing, section.follows, tuple([works[number] for number in section.numbers]))
            for section in step.program.distinct
        ]
        runs = {key: run for key in keys if (run := _SECTIONS.find(key))}
        missing = [key for key in keys if key not in runs]
        if missing:
            with simulation(sharing=sharing) as simulated:
                for key in missing:
                    _, follows, section = key
                    runs[key] = _SECTIONS.keep(key, simulated.run(section, follows))
        return tuple([runs[key] for key in keys])


def _in_one(step: LoweredStep, whole: StepRun) -> SectionedRun:
    """Return a run of all tasks as if they were one section."""
    section = SectionRun(whole.spans, whole.attributed_ps, whole.duration_ps)
    return SectionedRun(step.undivided, (section,))


def _attributed_anew(run: SectionedRun) -> SectionedRun:
    """Return a run whose critical path is that of the whole step.

    Tasks without duration end when the section before them does, and so compete for its place on
    the path.
    """
    whole, follows = run.whole, run.lowered.program.order.follows
    units = [task.work.unit for task in whole.tasks]
    attributed = tuple(attribute(whole.spans, units, follows))
    return _in_one(run.lowered, replace(whole, attributed_ps=attributed))


def run_step(
    tasks: Sequence[Task],
    issue: str,
    fidelity: str = "flow",
    sharing: Sharing | None = None,
    *,
    record: bool = False,
    most_tiles: int = MOST_TILES,
) -> StepRun:
    """Run `tasks` alone on a SoC under `issue`; see `StepRunner` for the others.

    With `record` the memory traffic over time is kept too.
    """
    runner, step = StepRunner(sharing, fidelity, most_tiles), lowered_step(tasks, issue)
    return runner.record(step) if record else runner.run(step).whole


def run_events(
    tasks: Sequence[Task],
    follows: Follows,
    fidelity: str = "flow",
    sharing: Sharing | None = None,
    *,
    record: bool = False,
) -> StepRun:
    """Run `tasks` event by event, in whatever sections: task i follows all of `follows[i]`."""
    works = [task.work for task in tasks]
    with simulation(fidelity, sharing) as simulated:
        if record:
            section, flows = simulated.record(works, follows)
        else:
            section, flows = simulated.run(works, follows), ()
    return StepRun(tuple(tasks), *section, flows)


def _check_tiles(tasks: Sequence[Task], most: int) -> None:
    works = (task.work.progress for task in tasks)
    tiles = sum(progress.tiles for progress in works if isinstance(progress, Pipelined))
    if tiles > most:
        raise InputError(
            f"--fidelity tile would simulate {tiles:,} tiles in one step, and {most:,} is the "
            f"limit: use --fidelity flow, or lift it with --max-tiles {tiles}"
        )
