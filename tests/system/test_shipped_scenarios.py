"""The scenarios that ship: does each play, add up, and come out the same anywhere?"""

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from itertools import pairwise

import pytest

from simulator.errors import InputError
from simulator.scenario import play
from simulator.scenario.description import Scenario
from simulator.scenario.result import ScenarioResult
from simulator.scenario.shipped import scenario_names
from simulator.sweeps.request import SweepRequest
from simulator.sweeps.scenarios import scenario_study

NAMES = scenario_names()
DIGEST = """
import hashlib, json, sys
from simulator.scenario import play
for name in sys.argv[1:]:
    text = json.dumps(play(name).as_dict(), sort_keys=True)
    print(hashlib.sha256(text.encode()).hexdigest())
"""


@cache
def played(name: str) -> ScenarioResult:
    return play(name)


def digest(result: ScenarioResult) -> str:
    return hashlib.sha256(json.dumps(result.as_dict(), sort_keys=True).encode()).hexdigest()


def test_the_patterns():
    assert set(NAMES) >= {
        "split-inference", "early-exit", "pipeline", "federated", "data-parallel", "last-layer",
        "camera-and-training",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_energy_of_devices_programs_and_links_adds_up(name):
    result = played(name)
    total, devices, programs = result.total, result.devices, result.programs
    assert total["frames"] > 0
    assert total["duration_s"] > 0
    assert total["energy_aj"] == sum(
        each["dynamic_aj"] + each["static_aj"] + each["links_aj"] for each in devices
    )
    assert sum(each["dynamic_aj"] for each in programs) == sum(
        each["dynamic_aj"] for each in devices
    )
    charged = sum(each["static_aj"] for each in programs)
    assert charged + total["idle_aj"] == sum(each["static_aj"] for each in devices)
    assert sum(each["energy_aj"] for each in result.links) == sum(
        each["links_aj"] for each in devices
    )


@pytest.mark.parametrize("name", NAMES)
def test_jobs_and_bytes_are_those_of_what_ran(name):
    result = played(name)
    jobs = result.played.jobs
    assert sum(each["jobs"] for each in result.programs) == len(jobs)
    assert sum(each["jobs"] for each in result.devices) == len(jobs)
    assert sum(each["macs"] for each in result.programs) == result.total["macs"]
    messages = [each for link in result.played.messages for each in link]
    assert sum(each.bytes for each in messages) == result.total["bytes"]
    assert max(each.end_ps for each in (*jobs, *messages)) == result.total["duration_ps"]
    assert all(each.came_ps <= each.ready_ps <= each.start_ps <= each.end_ps for each in jobs)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_at_two_things_at_once(name):
    """Jobs of a device that runs one at a time, and messages at one end of a link."""
    result = played(name)
    for number, device in enumerate(result.compiled.plan.devices):
        spans = [job for job in result.played.jobs if job.device == number]
        ordered = sorted((job.start_ps, job.end_ps) for job in spans)
        assert device.sharing or all(a[1] <= b[0] for a, b in pairwise(ordered))
    for link, messages in zip(result.compiled.plan.links, result.played.messages, strict=True):
        for end in ("sender", "receiver") if link.medium != "shared" else ("",):
            for at in {getattr(each, end) if end else 0 for each in messages}:
                here = [each for each in messages if not end or getattr(each, end) == at]
                taken = sorted((m.start_ps, m.start_ps + m.passage.occupied_ps) for m in here)
                assert all(a[1] <= b[0] for a, b in pairwise(taken))


def test_the_same_bytes_come_out_again_and_in_another_process():
    """With another seed of hashes, all of them."""
    here = [digest(played(name)) for name in NAMES]
    assert digest(play("federated")) == here[NAMES.index("federated")]
    out = subprocess.run(
        [sys.executable, "-c", DIGEST, *NAMES],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert out.stdout.split() == here


def test_only_the_last_layer_learns():
    """The learner's MACs: forward and weight gradient of 64 x 10, no gradient of the input."""
    result = played("last-layer")
    learner = next(each for each in result.programs if each["program"] == "learner")
    images = 1437  # of the digits, in 45 batches
    assert learner["macs"] == 2 * images * 64 * 10
    assert result.total["bytes"] == 45 * 32 * 64 * 4


def test_an_encoder_sends_less_than_raw_features():
    encoded = played("split-inference").total["bytes"]
    raw = play("split-inference", {"programs.device-half.then.0.bytes": "leaves"})
    assert raw.total["bytes"] > 100 * encoded
    assert raw.total["busiest"] == "radio"


def test_a_link_that_is_a_profiles_name_takes_settings():
    slow = play("split-inference", {"links.radio.rate": "1 Mb/s"}).links[0]
    assert slow["latency_p50_s"] == 8192 * 8 / 1e6 + 0.0002 + 0.002  # wifi's own cost and latency
    lora = play("split-inference", ["links.radio=lora"]).links[0]
    assert lora["latency_p50_s"] > 8192 * 8 / 37_500
    again = play("split-inference", ["links.radio.profile=lora"]).links[0]
    assert again["latency_p50_s"] == lora["latency_p50_s"]
    plain = play("data-parallel", ["links.ethernet.rate=10 Mb/s"])  # nothing but the name
    assert plain.total["busiest"] == "ethernet"


def test_a_hub_that_is_no_device_is_refused():
    with pytest.raises(
        InputError, match=r"links\.radio\.hub: no device 'servr'; did you mean server"
    ):
        play("split-inference", ["links.radio.hub=servr"])


def test_a_method_without_a_trace_is_refused(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "devices: {phone: {rate: 1 GMAC/s}}\n"
        "programs: {camera: {on: phone, macs: 5, method: int8, arrive: 1 fps, jobs: 1}}\n"
    )
    with pytest.raises(InputError, match=r"wrong\.yaml: .*method: name the trace that it trains"):
        play(path)


def test_a_sweep_knows_a_point_by_what_its_method_says(tmp_path):
    """Not by the name of the file, or an interrupted sweep would go on with a changed one."""
    (tmp_path / "few.yaml").write_text(
        "devices: {phone: {hardware: edge-16x16}}\n"
        "programs: {a: {on: phone, trace: mlp_digits, method: thin.yaml, arrive: 1 fps, jobs: 1}}\n"
    )
    addresses = set()
    for density in (50, 50, 25):
        (tmp_path / "thin.yaml").write_text(f"name: thin\nrules: [{{density: {density} %}}]\n")
        axes = {"programs.a.arrive": ["1 fps"]}
        study = scenario_study(SweepRequest(scenario=str(tmp_path / "few.yaml"), axes=axes))
        addresses.add(study.address(next(study.points())))
    assert len(addresses) == 2


def test_a_job_known_by_its_time_takes_it_on_a_shared_chip():
    """Two such programs on one SoC: nothing of it is in use, so neither waits."""
    jobs = {"on": "chip", "arrive": "always", "jobs": 3}
    result = play(
        Scenario.model_validate(
            {
                "devices": {"chip": {"hardware": "edge-16x16"}},
                "programs": {"a": jobs | {"time": "2 ms"}, "b": jobs | {"time": "3 ms"}},
            }
        )
    )
    assert result.total["duration_ps"] == 9 * 10**9
    assert all(each["slowdown"] == 1 for each in result.programs)


def test_the_most_urgent_program_hardly_notices_the_other():
    result = played("camera-and-training")
    camera, training = result.programs
    assert camera["slowdown"] > training["slowdown"] >= 1
    assert camera["misses"] == 0


def test_without_the_straggler_rounds_are_shorter():
    whole, early = played("federated"), play("federated", {"rounds.averaging.wait": "90 %"})
    assert {each["answers"] for each in early.rounds} == {9}
    assert early.rounds[0]["duration_ps"] < whole.rounds[0]["duration_ps"]
