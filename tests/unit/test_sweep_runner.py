"""What becomes of points whose workers die: the innocent are finished, the guilty given up."""

from collections.abc import Sequence
from concurrent.futures import Future, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.replay import Replay
from simulator.sweeps import runner as runner_module
from simulator.sweeps.axis import parse_axes
from simulator.sweeps.executors import Here, WorkerLost, Workers
from simulator.sweeps.job import Delivery, Done, Job
from simulator.sweeps.run import run_study
from simulator.sweeps.runner import Runner
from simulator.sweeps.space import Point
from simulator.sweeps.store import FolderStore, MemoryStore
from simulator.sweeps.study import study
from simulator.sweeps.watch import Silent
from tests.builders import StepBuilder, one_step_trace

GIVEN_UP = "its worker died each time, as when memory is short"


class _Count(Silent):
    """How many points it was told of."""

    def __init__(self) -> None:
        self.points = 0

    def finished(self, row=None) -> None:  # noqa: ARG002 - the signature of a Watcher
        self.points += 1


class _Frail(Workers):
    """Workers that all die together, as a pool does, when one of them has a deadly point."""

    def __init__(self, room: int, deadly: dict[str, int]) -> None:
        """`deadly` is how often each point kills, by its address."""
        self._room, self._left = room, dict(deadly)
        self._batch: list[tuple[Job, Future]] = []
        self.submitted: list[str] = []

    @property
    def room(self) -> int:
        return self._room

    def submit(self, jobs: Sequence[Job]) -> Future:
        (job,) = jobs
        future: Future = Future()
        self.submitted.append(job.address)
        self._batch.append((job, future))
        return future

    def work(self) -> None:
        """Finish all that was submitted, or lose it."""
        batch, self._batch = self._batch, []
        killers = [job.address for job, _ in batch if self._left.get(job.address, 0) > 0]
        for address in killers:
            self._left[address] -= 1
        for job, future in batch:
            if killers:
                future.set_exception(WorkerLost("died"))
            else:
                future.set_result(Delivery([self.done(job)], 1.0))

    def done(self, job: Job) -> Done:
        return Done({"point": job.address, "feasible": True, "reason": ""})

    def close(self) -> None:
        """Nothing runs."""

    def waited_for(self, futures, *patience, **options):
        """Wait as `concurrent.futures.wait` does, after the workers have worked."""
        self.work()
        return wait(futures, *patience, **options)


def _job(address: str) -> Job:
    return Job(address, Point({}, {}), {})


def _run(workers: _Frail, addresses, store) -> tuple[Runner, _Count]:
    watch = _Count()
    runner = Runner(workers, store, watch)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner_module, "wait", workers.waited_for)
        runner.run(map(_job, addresses))
    return runner, watch


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 12), st.integers(1, 6), st.data())
def test_the_innocent_are_finished_and_the_guilty_given_up(count, room, data):
    addresses = [f"p{number}" for number in range(count)]
    guilty = data.draw(st.sets(st.sampled_from(addresses), max_size=4))
    workers, store = _Frail(room, dict.fromkeys(guilty, 99)), MemoryStore()
    runner, watch = _run(workers, addresses, store)
    innocent = sorted(set(addresses) - guilty)
    assert sorted(store.frame()["point"]) == innocent
    assert runner.given_up == dict.fromkeys(guilty, GIVEN_UP)
    assert (runner.finished, watch.points) == (len(innocent), count)
    for address in addresses:  # once beside others, then alone: twice where it kills
        assert workers.submitted.count(address) <= (3 if address in guilty else 2)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=8), st.integers(1, 4))
def test_one_death_beside_others_and_one_alone_are_no_reason_to_give_up(deaths, room):
    addresses = [f"p{number}" for number in range(len(deaths))]
    workers, store = _Frail(room, dict(zip(addresses, deaths, strict=True))), MemoryStore()
    runner, _ = _run(workers, addresses, store)
    assert runner.given_up == {}
    assert sorted(store.frame()["point"]) == sorted(addresses)


def test_two_deaths_alone_are():
    workers, store = _Frail(2, {"p1": 3}), MemoryStore()
    runner, _ = _run(workers, ["p0", "p1", "p2"], store)
    assert list(runner.given_up) == ["p1"]
    assert sorted(workers.submitted[:2] + workers.submitted[2:4]) == ["p0", "p0", "p1", "p1"]
    assert workers.submitted[4:] == ["p1", "p2"]


def test_workers_never_have_more_than_they_have_room_for():
    class Counting(_Frail):
        most = 0

        def work(self) -> None:
            self.most = max(self.most, len(self._batch))
            super().work()

    workers = Counting(3, {"p4": 99})
    _run(workers, [f"p{number}" for number in range(10)], MemoryStore())
    assert workers.most == 3


def test_a_point_given_up_is_a_row_and_is_tried_anew_the_next_time(tmp_path, monkeypatch):
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    asked = study("cpu-only", parse_axes(["cpu.cores=1,2,3,4"]), one_step_trace(builder))
    bad = [asked.job(point, {}).address for point in asked.points()][1]

    class Replaying(_Frail):
        def done(self, job: Job) -> Done:
            (done,) = Here(asked).submit([job]).result().done
            return done

    with monkeypatch.context() as patched:
        workers = Replaying(4, {bad: 99})
        patched.setattr(runner_module, "wait", workers.waited_for)
        table = run_study(asked, workers, tmp_path, Silent())
    assert table["feasible"].to_list() == [True, False, True, True]
    assert table["reason"].to_list() == ["", GIVEN_UP, "", ""]
    assert bad not in FolderStore(tmp_path)
    again = run_study(asked, Here(asked), tmp_path, Silent())
    assert again["feasible"].to_list() == [True] * 4


def test_points_of_equal_hardware_are_never_with_the_workers_twice():
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    axes, trace = parse_axes(["cpu.clock=1 GHz"]), one_step_trace(builder)
    asked = study("host", axes, {"one": trace, "the same": trace}, baselines={"host": "host"})
    workers = _Frail(4, {})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner_module, "wait", workers.waited_for)
        table = run_study(asked, workers, None, Silent())
    assert table.height == 4
    assert len(workers.submitted) == len(set(workers.submitted)) == 2


class _Together(Here):
    """This process, to which several points go at once."""

    def __init__(self, asked, most: int) -> None:
        super().__init__(asked)
        self._most, self.sizes = most, []

    @property
    def most(self) -> int:
        return self._most

    def submit(self, jobs: Sequence[Job]) -> Future:
        self.sizes.append(len(jobs))
        return super().submit(jobs)


def _clocks(count: int):
    builder = StepBuilder()
    builder.gemm(8, 8, 8)
    clocks = ",".join(f"{100 + number} MHz" for number in range(count))
    return study("cpu-only", parse_axes([f"cpu.clock={clocks}"]), one_step_trace(builder))


def test_points_that_take_little_go_together_and_give_the_same_table(monkeypatch):
    monkeypatch.setattr(runner_module, "_TOGETHER_S", 1e9)  # they always take less
    asked = _clocks(20)
    workers = _Together(asked, 7)
    table = run_study(asked, workers, None, Silent())
    assert workers.sizes == [1, 7, 7, 5]
    assert table.equals(run_study(asked, Here(asked), None, Silent()))


def test_a_point_that_fails_beside_others_is_named_and_they_are_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(runner_module, "_TOGETHER_S", 1e9)
    asked, run, clocks = _clocks(9), Replay.run, []

    def broken(self):
        clocks.append(self.hardware.cpu.clock)
        if clocks[-1] == 105_000_000:
            raise ZeroDivisionError("a defect")
        return run(self)

    monkeypatch.setattr(Replay, "run", broken)
    with pytest.raises(ZeroDivisionError) as told:
        run_study(asked, _Together(asked, 9), tmp_path, Silent())
    assert told.value.__notes__[0].startswith("in the point cpu.clock=105000000, ")
    assert len(FolderStore(tmp_path).frame()) == 5
