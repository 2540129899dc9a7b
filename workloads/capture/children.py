"""Child processes of a captured script: those that train are recorded as well."""

import atexit
import json
import multiprocessing
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trainsoc.child
from simulator.files.writing import put, write_text
from simulator.trace.storage import unwritable
from simulator.trace.trace import Trace
from trainsoc.border import ours
from workloads.capture.endings import Guard, Outcome
from workloads.capture.session import capture, capturing

_SETTINGS = "settings.json"
_BUSY = ".busy"
_PATIENCE_S = 5  # a guess: time to save a trace
_HOOK = str(Path(trainsoc.child.__file__).with_name("children"))


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


@dataclass
class Children:
    """Records the child processes of a script into a folder, each distinct step `depth` times."""

    depth: int
    timed: bool
    _folder: Path | None = None
    _busy_s: float = field(default_factory=_children_s)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Record processes that start inside the block, if there is space for their traces."""
        with suppress(OSError):
            self._folder = Path(tempfile.mkdtemp(prefix="trainsoc-"))
        if self._folder is None:
            yield
            return
        settings = {"steps": self.depth, "time": self.timed}
        write_text(self._folder / _SETTINGS, json.dumps(settings))
        before = {name: os.environ.get(name) for name in (trainsoc.child.FOLDER, "PYTHONPATH")}
        paths = [_HOOK, before["PYTHONPATH"]]
        os.environ[trainsoc.child.FOLDER] = str(self._folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        process = os.getpid()
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            if os.getpid() == process:  # not in a fork of this process
                shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def ran(self) -> bool:
        """Whether child processes have ended."""
        return _children_s() > self._busy_s

    def traces(self, *, stopped: bool) -> list[Trace]:
        """Return the traces of children that trained, by rank and then by start, and forget them.

        If a signal `stopped` the script, its children are ending too: wait a moment.
        """
        if self._folder is None:
            return []
        end = time.monotonic() + (_PATIENCE_S if stopped else 0)
        while any(map(_alive, self._folder.glob(f"*{_BUSY}"))) and time.monotonic() < end:
            time.sleep(0.02)
        files = sorted(self._folder.glob("*.pickle"))
        traces = [pickle.loads(file.read_bytes()) for file in files]
        shutil.rmtree(self._folder, ignore_errors=True)
        return traces


def _alive(mark: Path) -> bool:
    """Whether the process that wrote `mark` still runs."""
    try:
        os.kill(int(mark.stem), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def record_here() -> None:
    """Record this child process; when it ends, its trace goes to the script's folder."""
    folder = Path(os.environ.get(trainsoc.child.FOLDER, ""))
    if capturing() or not (folder / _SETTINGS).is_file():
        return  # it records itself, or the captured script has ended
    keeper = _ChildTraceWriter(folder)
    keeper.mark.touch()
    settings = json.loads((folder / _SETTINGS).read_text())
    recording = capture(name=Path(sys.argv[0]).stem, **settings)
    recording.gives_way = True
    guard = Guard(recording.name, recording, keeper.keep)
    watching = ExitStack()
    watching.enter_context(guard.watching())
    recording.__enter__()
    atexit.register(_end, guard, keeper.keep, watching)


def _end(guard: Guard, keep: Callable[[Outcome], None], watching: ExitStack) -> None:  # noqa: ARG001
    """End the recording with the process; keeps `watching` alive until then."""
    if guard.copied or guard.ended:
        return
    guard.end()
    error = getattr(sys, "last_value", None)  # also if the process fails
    guard.recording.__exit__(type(error) if error else None, error, None)
    keep(Outcome(guard.recording.cut()))


@dataclass
class _ChildTraceWriter:
    """Writes the trace of a child process that trained."""

    folder: Path
    _started_ns: int = field(default_factory=time.time_ns)

    @property
    def mark(self) -> Path:
        """The file that marks this process as running."""
        return self.folder / f"{os.getpid()}{_BUSY}"

    def keep(self, outcome: Outcome) -> None:
        """Write the trace of `outcome`, under a name that sorts the children."""
        if outcome.trace is None or not outcome.trained or not self.folder.is_dir():
            return
        name = f"{_rank():06}-{self._started_ns:020}-{os.getpid()}.pickle"
        with ours():  # not as Parquet: polars hangs in a forked process
            data = pickle.dumps(outcome.trace)
        try:
            put(self.folder / name, data)
        except OSError as error:
            print(f"trainsoc: {unwritable(self.folder / name, error)}", file=sys.stderr)
        self.mark.unlink(missing_ok=True)


def _rank() -> int:
    """Return the rank of this process, or its number among its siblings."""
    rank = os.environ.get("RANK", "")
    started = getattr(multiprocessing.current_process(), "_identity", ())
    return int(rank) if rank.isdecimal() else sum(started[-1:])


def _after_fork() -> None:
    if trainsoc.child.FOLDER in os.environ:
        trainsoc.child.arm(record_here, networks=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
