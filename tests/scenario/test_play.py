"""Scenarios against closed forms and invariants: arrivals, queues, shares, energy, conservation."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.energy import prices
from simulator.energy.boundary import Boundary
from simulator.hardware import load_hardware
from simulator.replay import Replay
from simulator.scenario import play
from simulator.scenario.description import Scenario
from simulator.scenario.load import load_scenario
from simulator.scenario.result import charged_ps
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Segment
from simulator.units import PS_PER_S

MS = 10**9
SERVER = {"rate": "1 TMAC/s", "power": "2 W", "idle": "1 W"}


def scenario(**parts):
    """Return a scenario of these parts."""
    return Scenario.model_validate({"devices": {"server": SERVER}} | parts)


def timed(milliseconds, **settings):
    """Return a program on the server that takes so long."""
    return {"on": "server", "time": f"{milliseconds} ms"} | settings


def row(rows, name):
    """Return the row of this name, which is its first value."""
    return next(each for each in rows if next(iter(each.values())) == name)


def conserves(result):
    """Whether all sums over devices, programs and links equal the totals, exactly."""
    total, span = result.total, result.duration_ps
    devices, programs, links = result.devices, result.programs, result.links
    assert sum(each["energy_aj"] for each in devices) == total["energy_aj"]
    parts = sum(each["energy_aj"] for each in (*programs, *links))
    assert parts + total["idle_aj"] == total["energy_aj"]
    assert sum(each["links_aj"] for each in devices) == sum(each["energy_aj"] for each in links)
    for key in ("dynamic_aj", "jobs", "macs"):
        assert sum(each[key] for each in devices) == sum(each[key] for each in programs), key
    assert sum(each["busy_ps"] for each in devices) == sum(e["charged_ps"] for e in programs)
    assert all(each["busy_ps"] + each["idle_ps"] == span for each in devices)
    return True


def test_a_source_at_a_rate_is_served_at_once_while_there_is_room():
    """20 jobs of 10 ms each 50 ms: the last ends 10 ms after it came."""
    result = play(scenario(programs={"camera": timed(10, arrive="20 fps", jobs=20)}))
    camera = row(result.programs, "camera")
    assert result.duration_ps == 19 * 50 * MS + 10 * MS
    assert camera["latency_max_s"] == camera["latency_p50_s"] == 0.010
    assert row(result.devices, "server")["energy_aj"] == 2_000_000 * 20 * 10 * MS + (
        1_000_000 * result.duration_ps
    )
    assert conserves(result)


def test_a_queue_grows_where_jobs_come_faster_than_they_go():
    """Job n of 100 ms waits 50 ms longer than the one before it; late ones miss the deadline."""
    camera = timed(100, arrive="20 fps", jobs=10, deadline="300 ms")
    result = play(scenario(programs={"camera": camera}))
    assert [j.end_ps - j.came_ps for j in result.played.jobs] == [
        (100 + 50 * n) * MS for n in range(10)
    ]
    assert row(result.programs, "camera")["misses"] == 5


def test_a_backlog_drops_what_would_wait_too_long():
    """One job runs and one waits: of 10 that come twice as fast as they go, 4 are dropped."""
    camera = timed(100, arrive="20 fps", jobs=10, backlog=1)
    result = play(scenario(programs={"camera": camera}))
    camera = row(result.programs, "camera")
    assert (camera["jobs"], camera["dropped"]) == (6, 4)
    assert camera["latency_max_s"] <= 0.2


def test_a_queue_at_random_waits_as_queueing_theory_says():
    """M/D/1 at load 0.8: mean wait = rho s / (2 (1 - rho)) = 2 s (Pollaczek and Khinchine)."""
    camera = timed(1, arrive="poisson 800 fps", jobs=20_000)
    result = play(scenario(programs={"camera": camera}))
    assert row(result.programs, "camera")["wait_mean_s"] == pytest.approx(0.002, rel=0.15)


def test_urgent_jobs_go_first_and_wait_for_one_at_most():
    slow = timed(30, arrive="always", jobs=20)
    quick = timed(1, arrive="every 45 ms", jobs=10, priority=1)
    result = play(scenario(programs={"slow": slow, "quick": quick}))
    assert row(result.programs, "quick")["latency_max_s"] <= 0.031
    assert conserves(result)


def test_alternatives_come_in_their_shares_exactly():
    """Of 40 jobs 40 % go one way, 1/8 another one, the rest ends: over each 40, in any order."""
    then = [{"to": "hard", "share": "40 %"}, {"to": "cloud", "share": "1/8"}]
    programs = {
        "camera": timed(1, arrive="100 fps", jobs=120, then=then),
        "hard": timed(2),
        "cloud": timed(3),
    }
    result = play(scenario(programs=programs))
    assert [each["jobs"] for each in result.programs] == [120, 48, 15]
    other = play(scenario(programs=programs, seed=1))
    order = [job.program for job in result.played.jobs]
    assert order != [job.program for job in other.played.jobs]


def test_a_join_waits_for_all_that_lead_to_it():
    programs = {
        "camera": timed(1, arrive="10 fps", jobs=5, then=[{"to": "left"}, {"to": "right"}]),
        "left": timed(4, then=[{"to": "both"}]),
        "right": timed(9, then=[{"to": "both"}]),
        "both": timed(1, join=True),
    }
    devices = {"server": SERVER | {"count": 1}, "other": SERVER}
    programs["right"]["on"] = "other"
    result = play(scenario(devices=devices, programs=programs))
    both = row(result.programs, "both")
    assert (both["jobs"], both["latency_max_s"]) == (5, 0.011)


def test_jobs_go_round_equal_devices():
    """4 devices take a job of 100 ms in turn: 40 jobs per second fit exactly."""
    devices = {"server": SERVER | {"count": 4}}
    camera = timed(100, arrive="40 fps", jobs=80)
    result = play(scenario(devices=devices, programs={"camera": camera}))
    assert row(result.programs, "camera")["latency_max_s"] == 0.1
    assert [each["jobs"] for each in result.devices] == [20] * 4


def test_a_window_of_jobs_is_always_under_way():
    """Two stages of 10 ms on two devices: one at a time takes 20 ms a frame, two at a time 10."""
    devices = {"server": SERVER, "other": SERVER}
    programs = {
        "head": timed(10, arrive="always", jobs=50, then=[{"to": "tail"}]),
        "tail": timed(10) | {"on": "other"},
    }
    assert play(scenario(devices=devices, programs=programs)).duration_ps == 1000 * MS
    programs["head"]["window"] = 2
    result = play(scenario(devices=devices, programs=programs))
    assert result.duration_ps == 510 * MS
    assert row(result.sources, "head")["bound_per_s"] == 100


def test_jobs_that_come_one_after_the_other_begin_when_they_may():
    programs = {
        "camera": timed(1, arrive="10 fps", jobs=20),
        "training": timed(7, arrive="always", start="500 ms"),
    }
    result = play(scenario(programs=programs))
    first = min(job.start_ps for job in result.played.jobs if job.program == 1)
    assert first == 500 * MS


def test_jobs_of_a_program_run_one_after_the_other_on_a_shared_soc():
    """Frames that come faster than they go end as on a SoC that no other program shares."""
    frames = {
        "on": "phone", "trace": "mlp_digits", "part": "phase=eval", "arrive": "5000 fps",
        "jobs": 30,
    }  # fmt: skip
    never = timed(1, arrive="1 fps", jobs=0) | {"on": "phone"}
    phone = {"phone": {"hardware": "edge-16x16"}}
    alone = play(scenario(devices=phone, programs={"camera": frames}))
    shared = play(scenario(devices=phone, programs={"camera": frames, "never": never}))
    ends = [[job.end_ps for job in each.played.jobs] for each in (alone, shared)]
    assert ends[0] == ends[1]


def test_programs_in_the_background_end_with_the_others():
    programs = {"camera": timed(1, arrive="10 fps", jobs=10), "training": timed(7, arrive="always")}
    result = play(scenario(programs=programs))
    assert 900 * MS <= result.duration_ps < 920 * MS
    assert row(result.programs, "training")["jobs"] > 100


def test_a_trace_that_is_alone_costs_what_its_replay_does(tmp_path):
    """A step cold, then 19 times steady: to the picosecond and attojoule."""
    trace = load_trace("mlp_digits")
    trace = replace(trace, steps=trace.steps[1:2], segments=(Segment(0, 0, 20),), timings=())
    save_trace(trace, tmp_path / "steps.trace")
    training = {"on": "phone", "trace": str(tmp_path / "steps.trace"), "arrive": "always"}
    result = play(
        scenario(
            devices={"phone": {"hardware": "edge-16x16"}},
            programs={"training": training | {"jobs": 20}},
        )
    )
    alone = Replay(load_hardware("edge-16x16"), trace).run()
    assert result.duration_ps == alone.whole.tally.latency_ps
    assert result.total["energy_aj"] == alone.whole.energy_aj
    assert result.total["macs"] == alone.whole.counts.macs
    busy = result.devices[0]["unit_busy_s"]
    assert busy == {n: u.busy_ps / PS_PER_S for n, u in alone.whole.tally.units.items()}
    whole = play(
        scenario(
            devices={"phone": {"hardware": "edge-16x16"}},
            programs={"training": training | {"jobs": 1, "job": "run"}},
        )
    )
    assert (whole.duration_ps, whole.total["energy_aj"]) == (
        result.duration_ps,
        result.total["energy_aj"],
    )


@pytest.mark.parametrize("boundary", ["array", "chip", "chip+dram", "board"])
def test_joules_are_those_within_the_boundary_of_a_device(boundary):
    """One step back to back from a cold start, against its replay within the same boundary."""
    phone = {"hardware": "raspberry-pi-4", "boundary": boundary}
    training = {"on": "phone", "trace": "mlp_digits", "job": "run", "arrive": "always", "jobs": 1}
    result = play(scenario(devices={"phone": phone}, programs={"training": training}))
    within = prices(load_hardware("raspberry-pi-4")).at(Boundary(boundary))
    assert result.devices[0]["static_aj"] == within.whole_static_uw * result.duration_ps
    assert conserves(result)


def two_programs(**camera):
    """Return a scenario of inference and training on one SoC."""
    return scenario(
        devices={"phone": {"hardware": "edge-16x16"}},
        programs={
            "camera": {
                "on": "phone", "trace": "mlp_digits", "part": "phase=eval", "arrive": "every 1 s",
                "jobs": 5,
            }
            | camera,
            "train": {
                "on": "phone", "trace": "mlp_digits", "arrive": "every 1 s", "start": "500 ms",
                "jobs": 5,
            },
        },
    )  # fmt: skip


def test_programs_that_never_meet_cost_what_each_costs_alone():
    """The SoC that they share runs them task by task, and takes exactly as long as alone."""
    result = play(two_programs())
    assert all(job.end_ps - job.start_ps == job.job.steps.alone_ps for job in result.played.jobs)
    assert all(each["slowdown"] == 1 for each in result.programs)
    assert conserves(result)


def test_programs_that_meet_slow_each_other_down():
    result = play(two_programs(arrive="always", jobs=2000, priority=1))
    camera, train = result.programs
    assert camera["slowdown"] > 1
    assert train["slowdown"] > 1.2
    assert conserves(result)
    longest = max(
        work.overhead_ps + max(work.compute_ps, work.memory_ps)
        for job in result.played.jobs
        if job.program == 1
        for step in job.job.steps.steps
        for work in step.works
    )
    waits = [job.start_ps - job.ready_ps for job in result.played.jobs if job.program == 0]
    assert max(waits) <= 1.5 * longest  # one op, itself slowed down at the memory


def test_a_split_moves_the_features_at_the_cut():
    """LeNet's first convolution makes 32 x 6 x 28 x 28 numbers of 4 B."""
    programs = {
        "head": {
            "on": "phone", "trace": "lenet_digits", "part": "..conv1 phase=forward",
            "arrive": "1 fps", "jobs": 8, "then": [{"to": "tail", "over": "wifi"}],
        },
        "tail": {"on": "server", "trace": "lenet_digits", "part": "conv2.. phase=forward"},
    }  # fmt: skip
    devices = {"phone": {"hardware": "edge-16x16"}, "server": SERVER}
    whole = scenario(devices=devices, programs=programs, links={"wifi": {"rate": "8 Mb/s"}})
    result = play(whole)
    steps = load_trace("lenet_digits").steps
    macs = sum(gemm.macs for op in steps[0].ops if op.phase == "forward" for gemm in op.gemms)
    assert sum(each["macs"] for each in result.programs) == pytest.approx(8 * macs, rel=0.02)
    assert result.links[0]["bytes"] == 8 * 32 * 6 * 28 * 28 * 4
    assert result.links[0]["latency_p50_s"] == 32 * 6 * 28 * 28 * 4 / 10**6
    assert conserves(result)


FLEET = {"hub": SERVER, "phones": SERVER | {"count": 5}}


def fleet(**settings):
    """Return a federated scenario of a hub and five phones."""
    entry = {
        "server": "hub", "clients": "phones", "over": "net", "rounds": 3,
        "train": {"time": "100 ms"}, "average": {"time": "7 ms"},
        "download": "1000 B", "upload": "2000 B",
    } | settings  # fmt: skip
    links = {"net": {"rate": "8 Mb/s", "medium": "shared"}}
    return scenario(devices=FLEET, rounds={"learn": entry}, links=links)


def test_federated_rounds_take_their_closed_form():
    """Downloads one after the other, then uploads as clients end: 1 + 100 + 5 x 2 + 7 ms."""
    result = play(fleet())
    took = 1 + 100 + 5 * 2 + 7
    assert [each["duration_ps"] for each in result.rounds] == [took * MS] * 3
    assert result.total["bytes"] == 3 * 5 * 3000
    assert conserves(result)


def test_a_straggler_costs_what_it_must():
    slow = play(fleet(slow={2: 4}))
    assert slow.rounds[0]["duration_ps"] == (3 + 400 + 2 + 7) * MS
    without = play(fleet(slow={2: 4}, wait="80 %"))
    assert without.rounds[0]["answers"] == 4
    assert without.rounds[0]["duration_ps"] < 150 * MS


def test_dropouts_take_no_part():
    result = play(fleet(dropout="40 %"))
    assert result.total["bytes"] == 3 * 3 * 3000
    assert [each["answers"] for each in result.rounds] == [3, 3, 3]


class Ran:
    """A job for `charged_ps`: its program and when it ran."""

    def __init__(self, program, start_ps, end_ps):
        self.program, self.start_ps, self.end_ps = program, start_ps, end_ps


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 30))))
def test_time_is_charged_to_those_that_run_in_equal_parts(jobs):
    """Against picosecond after picosecond: shares add up to the time in which anything runs."""
    ran = [Ran(program, start, start + length) for program, start, length in jobs]
    charged, busy = charged_ps(ran), 0
    exact = dict.fromkeys(range(4), Fraction(0))
    for now in range(80):
        present = {job.program for job in ran if job.start_ps <= now < job.end_ps}
        busy += bool(present)
        for program in present:
            exact[program] += Fraction(1, len(present))
    assert sum(charged.values()) == busy
    assert all(abs(charged[program] - exact[program]) < len(jobs) + 1 for program in exact)


@st.composite
def scenarios(draw):
    """A few programs on a few devices with links, whatever leads to what."""
    names = [f"p{n}" for n in range(draw(st.integers(1, 5)))]
    programs = {}
    for place, name in enumerate(names):
        entry = {
            "on": draw(st.sampled_from(("a", "b"))),
            "time": f"{draw(st.integers(0, 20))} ms",
            "priority": draw(st.integers(0, 2)),
        }
        later = names[place + 1 :]
        if later and draw(st.booleans()):
            entry["then"] = [
                {"to": draw(st.sampled_from(later)), "over": "net", "bytes": "500 B"},
                {"to": draw(st.sampled_from(later)), "share": "1/3"},
            ]
        arrive = draw(st.sampled_from(("50 fps", "poisson 70 fps", "always", "every 3 ms")))
        programs[name] = entry | {"arrive": arrive, "jobs": draw(st.integers(1, 12))}
    link = {
        "rate": "1 Mb/s", "latency": "1 ms", "medium": draw(st.sampled_from(("half", "shared"))),
        "loss": draw(st.sampled_from(("0 %", "30 %"))), "packet": "100 B", "active": "3 mW",
        "send": "1 nJ", "idle": "1 mW",
    }  # fmt: skip
    devices = {"a": SERVER | {"count": draw(st.integers(1, 3))}, "b": SERVER}
    return scenario(devices=devices, programs=programs, links={"net": link})


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_sums_over_devices_programs_and_links_are_the_totals(description):
    result = play(description)
    assert conserves(result)
    assert play(description).as_dict() == result.as_dict()


def test_the_same_scenario_gives_the_same_bytes_in_another_process(tmp_path):
    path = tmp_path / "both.yaml"
    path.write_text(
        "devices: {a: {rate: 1 TMAC/s}}\n"
        "programs: {p: {on: a, time: 3 ms, arrive: poisson 100 fps, jobs: 50}}\n"
    )
    code = (
        "import json, sys; from simulator.scenario import play\n"
        "print(json.dumps(play(sys.argv[1]).as_dict()))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code, path],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {(json.dumps(play(load_scenario(path)).as_dict()) + "\n").encode()}
