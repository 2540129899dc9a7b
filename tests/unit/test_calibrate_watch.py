# ruff: noqa: E402 - without torch nothing here can be imported
"""A calibration by a clock that only benches move: limit, order, progress, other programs."""

import importlib
import io
from itertools import chain, repeat

import pytest

torch = pytest.importorskip("torch")

from simulator.cli.exits import exit_code
from simulator.cli.meter import plain_lines
from simulator.errors import InputError
from simulator.hardware import load_hardware
from workloads.calibrate import calibrate
from workloads.calibrate.dispatch import Overheads
from workloads.calibrate.groups import BenchGroup, groups, measure, turns
from workloads.calibrate.measure import Bench, HostClocks, seconds, too_slow
from workloads.calibrate.watch import Load, TimeLimit, load_now, refuse_if_busy

MODULE = importlib.import_module("workloads.calibrate.calibrate")
pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Time:
    """A wall clock and that of the process, which gets `share` of a core."""

    def __init__(self, share=1.0):
        self.now, self.share = 0.0, share
        self.clock = HostClocks(lambda: self.now, lambda: self.now * self.share)

    def bench(self, took, macs=0):
        """Return a bench whose calls take so long by this clock."""

        def run(a):
            self.now += took
            return torch.neg(a)

        return Bench(lambda: (torch.ones(4),), run, macs)


def nothing(*_):
    return None


def test_a_bench_takes_the_time_of_one_call():
    assert seconds((time := Time()).bench(0.002), time.clock) == pytest.approx(0.002)
    assert time.now < 0.2


def test_a_slow_call_is_timed_once():
    assert seconds((time := Time()).bench(5.0), time.clock) == 5
    assert time.now == 5


@pytest.mark.parametrize(("macs", "wanted"), [(200, True), (20, False), (5, False), (0, False)])
def test_the_speed_of_smaller_products_foretells_slow_ones(macs, wanted):
    time = Time()
    known = [(time.bench(0, 10), 0.02)]  # 500 MACs a second, and a tenth is too long
    assert too_slow(time.bench(0, macs), known) is wanted


def test_slow_formats_do_not_take_minutes():
    time = Time()
    sizes = [10**n for n in range(3, 10)]
    slow = BenchGroup("slow", [time.bench(n / 1_200_000, n) for n in sizes])
    watch = TimeLimit(60, turns([slow]), nothing, time.clock)
    found = measure([slow], watch)
    assert len(found.samples["slow"]) == 3  # the next one would take 0.8 s
    assert time.now < 5


def test_what_matters_most_is_measured_within_the_limit_and_the_rest_named():
    time = Time()
    plan = [BenchGroup(name, [time.bench(0.05)] * 10) for name in ("first", "second", "third")]
    watch = TimeLimit(10, turns(plan), nothing, time.clock)
    found = measure(plan, watch)
    assert "first" in found.samples
    assert found.left_out == ["third"]
    assert 10 <= time.now < 12


def test_with_time_left_all_is_measured_again():
    time, seen = Time(), []
    plan = [BenchGroup("a", [time.bench(0.01)] * 3), BenchGroup("b", [time.bench(0.01)], threads=2)]
    watch = TimeLimit(100, turns(plan), lambda *now: seen.append((*now, time.now)), time.clock)
    found = measure(plan, watch)
    assert found.left_out == []
    assert set(found.samples) == {"a", "b on 2 threads"}
    assert [what for _, _, what, *_ in seen] == 2 * (3 * ["a"] + ["b on 2 threads"])
    assert [done for done, *_ in seen] == list(range(1, 9))
    assert {total for _, total, *_ in seen} == {8}
    *_, left_s, elapsed_s = seen[3]
    assert left_s == pytest.approx(elapsed_s)  # half of the turns are done
    assert seen[-1][3] == 0


def test_repeats_tell_how_disturbed_they_were():
    time = Time()
    slower = chain([1.0, 1.5], repeat(1.0))

    def run(a):
        time.now += 0.2 * next(slower)
        return torch.neg(a)

    plan = [BenchGroup("a", [Bench(lambda: (torch.ones(4),), run)])]
    assert measure(plan, TimeLimit(9, 2, nothing, time.clock)).spread == pytest.approx(1.5)


def test_time_left_ends_with_the_limit():
    time = Time()
    watch = TimeLimit(10, 100, nothing, time.clock)
    time.now = 4
    watch.passed("a")
    assert watch.left_s == 6
    assert not watch.over
    time.now = 11
    assert (watch.left_s, watch.over) == (0, True)


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Load(0.99, 1.03, 1.2, 2), ""),
        (Load(0.60, 1.03, 1.2, 2), "this program got 60 % of a core"),
        (Load(0.99, 1.40, 1.2, 2), "repeats took 1.40 times as long as the fastest"),
        (Load(0.99, 1.03, 5.5, 2), "5.5 programs want to run on 2 cores"),
    ],
)
def test_a_busy_machine_is_refused_in_one_sentence(load, why):
    assert load.busy == why
    if not why:
        refuse_if_busy(load)
        return
    with pytest.raises(InputError) as refused:
        refuse_if_busy(load)
    assert str(refused.value).startswith(f"the machine is too busy to measure, {why}: ")
    assert "--force" in str(refused.value)


def test_the_share_of_a_core_is_process_time_over_wall_time():
    time = Time(share=0.5)
    watch = TimeLimit(100, 2, nothing, time.clock)
    assert watch.share == 1
    watch.timed(lambda: seconds(time.bench(0.01), time.clock), "a", 1)
    assert watch.share == pytest.approx(0.5)


def test_several_threads_tell_nothing_of_the_share():
    time = Time(share=2.0)
    watch = TimeLimit(100, 2, nothing, time.clock)
    watch.timed(lambda: seconds(time.bench(0.01), time.clock), "a", 2)
    assert watch.share == 1


def test_what_runs_now_is_seen_by_products():
    found = load_now()
    assert 0 < found.share < 2
    assert found.spread >= 1
    assert found.cores >= 1


def test_calibrating_a_busy_machine_stops_before_it_measures(monkeypatch):
    monkeypatch.setattr(MODULE, "load_now", lambda _: Load(0.5, 1, 9, 2))
    with pytest.raises(InputError, match="too busy to measure, this program got 50 %"):
        calibrate([1], nothing)


def test_every_group_is_measured_on_every_number_of_threads():
    found = groups([1, 2, 4])
    titles = [group.title for group in found]
    assert len(set(titles)) == len(titles)
    assert titles[:3] == ["calls", "bandwidths", "products"]
    for name in ("products", "attention", "bfloat16 convolutions"):
        assert {f"{name} on 2 threads", f"{name} on 4 threads"} <= set(titles)
    assert "calls on 2 threads" not in titles
    assert titles[-1] == "float16 convolutions"


def test_lines_come_at_the_start_and_every_ten_seconds():
    out, time = io.StringIO(), Time()
    report = plain_lines("calibrate", out, lambda: time.now)
    for second in range(21):
        time.now = second
        report(second, 40, "products", 40.0 - second)
    assert out.getvalue().splitlines() == [
        "calibrate: 0 %, products, about 40 s left",
        "calibrate: 25 %, products, about 30 s left",
        "calibrate: 50 %, products, about 20 s left",
    ]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--threads", "0", "--threads '0': write numbers from 1 to 1024 such as 2 or 1,2,4"),
        ("--threads", "1,two", "--threads '1,two': write numbers"),
        ("--threads", "9999", "--threads '9999': write numbers"),
        ("--limit", "120", "'120' has no unit"),
        ("--limit", "1 s", "--limit 1 s is too short: allow 20 s or more"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, capsys, option, value, said):
    assert exit_code(["calibrate", "-o", str(tmp_path / "host.yaml"), option, value]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert len(printed.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_short_calibration_loads_and_has_no_more_than_was_measured(tmp_path, monkeypatch):
    few = [BenchGroup(g.name, g.benches[39:46] or g.benches[-2:]) for g in groups([1])[:6]]
    plan = [*few, *(BenchGroup(g.name, g.benches, 2) for g in few[1:3])]
    monkeypatch.setattr(MODULE, "groups", lambda _: plan)
    found = Overheads(5_000_000, 3_000_000, 2_000_000, 700_000, {"forward": 10**6})
    monkeypatch.setattr("workloads.calibrate.measure._BUDGET_S", 1e-3)
    monkeypatch.setattr(MODULE, "overheads", lambda _: found)
    monkeypatch.setattr(MODULE, "_copy_rate", lambda: 1e10)
    monkeypatch.setattr(MODULE, "_first_touch", lambda: 4e9)
    before = torch.get_num_threads()
    text = calibrate([2], force=True, limit_s=60)
    path = tmp_path / "host.yaml"
    path.write_text(text)
    host = load_hardware(path)
    assert host.cpu.cores == 2
    assert host.cpu.kernels.gemm is not None
    assert host.cpu.kernels.gemm.parallel_efficiency is not None
    assert host.cpu.kernels.pointwise.parallel_efficiency is None
    assert host.cpu.kernels.attention is None
    assert torch.get_num_threads() == before
