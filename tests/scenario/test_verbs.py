"""`trainsoc scenario`, its folder, its sweep, and what is wrong in a scenario."""

import json

import polars
import pytest

from tests.command_line import trainsoc

SPLIT = """
devices:
  phone: {hardware: edge-16x16}
  server: {rate: 4 TMAC/s, power: 100 W}
links:
  wifi: {rate: 8 Mb/s, latency: 1 ms}
programs:
  head:
    on: phone
    trace: mlp_digits
    part: ..2 phase=eval
    arrive: 50 fps
    jobs: 20
    deadline: 12 ms
    then: [{to: tail, over: wifi, bytes: 1 kB}]
  tail: {on: server, macs: 1000000}
"""


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split.yaml"
    path.write_text(SPLIT)
    return path


def test_a_scenario_is_played_saved_drawn_and_exported(split, tmp_path):
    answer = trainsoc("scenario", split, "-o", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    assert "20 frames at head" in answer.stdout
    document = json.loads((tmp_path / "out" / "scenario.json").read_text())
    assert json.loads(trainsoc("scenario", split, "--json").stdout) == document
    assert document["links"][0]["bytes"] == 20_000
    figures = trainsoc("plot", tmp_path / "out")
    assert figures.returncode == 0, figures.stderr
    assert [line.rpartition("/")[2] for line in figures.stdout.split()] == [
        "lanes.png",
        "latencies.png",
        "energies.png",
    ]
    assert trainsoc("timeline", tmp_path / "out").returncode == 0
    events = json.loads((tmp_path / "out" / "timeline.json").read_text())["traceEvents"]
    begins = [event for event in events if event["ph"] == "B"]
    assert len(begins) == len([event for event in events if event["ph"] == "E"]) == 60
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {"phone", "server", "link wifi"}


def test_settings_replace_what_a_file_says(split):
    slow = json.loads(
        trainsoc(
            "scenario", split, "--json", "--set", "links.wifi.rate=1 Mb/s",
            "--set", "devices.phone.set.accelerator.rows=8", "--set", "programs.head.jobs=5",
        ).stdout
    )  # fmt: skip
    assert slow["links"][0]["latency_p50_s"] == 0.009
    assert slow["programs"][0]["jobs"] == 5
    assert slow["provenance"]["description"]["devices"]["phone"]["set"] == {"accelerator.rows": 8}


def test_a_sweep_takes_a_scenario(split, tmp_path):
    """Time on the link is 8 bits of 1 kB over the rate: exactly so at every point."""
    out = tmp_path / "sweep"
    axes = ("--set", "links.wifi.rate=1 Mb/s..16 Mb/s:x2", "--set", "devices.server.rate=1 TMAC/s")
    answer = trainsoc(
        "sweep", split, *axes, "-o", out, "--workers", 1, "--best", "head_latency_p95"
    )
    assert answer.returncode == 0, answer.stderr
    assert "least head latency p95" in answer.stdout
    table = polars.read_parquet(out / "points.parquet").sort("links.wifi.rate")
    assert table["links.wifi.rate"].to_list() == [10**6 * 2**n for n in range(5)]
    times = table["latency_s"] - table["latency_s"][-1]
    assert times.to_list() == pytest.approx([8e-3 / 2**n - 0.5e-3 for n in range(5)], abs=1e-12)
    again = trainsoc("sweep", "-o", out, "--workers", 1, "--minimize", "energy,tail_latency_p95")
    assert again.returncode == 0, again.stderr
    figures = trainsoc("plot", out)
    assert figures.returncode == 0, figures.stderr
    assert "curves.png" in figures.stdout


def test_times_of_arrival_come_from_a_file_and_count_in_a_sweep(split, tmp_path):
    times = tmp_path / "times.csv"
    split.write_text(SPLIT.replace("50 fps", "times.csv").replace("    jobs: 20\n", ""))
    addresses = []
    for text in ("time\n0\n0.5\n", "time\n0\n0.5\n0.7\n"):
        times.write_text(text)
        document = json.loads(trainsoc("scenario", split, "--json").stdout)
        assert document["programs"][0]["jobs"] == text.count("\n") - 1
        out = ("-o", tmp_path / "sweep", "--workers", 1)
        assert trainsoc("sweep", split, "--set", "programs.head.priority=1", *out).returncode == 0
        addresses.append(polars.read_parquet(tmp_path / "sweep" / "points.parquet")["point"][0])
    assert addresses[0] != addresses[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("8 Mb/s", "8", "has no unit"),
        ("rate: 8 Mb/s, latency: 1 ms", "profile: wify", "no link 'wify'"),
        ("on: phone", "on: fone", "did you mean phone?"),
        ("to: tail", "to: tall", "did you mean tail?"),
        ("over: wifi", "over: wi", "did you mean wifi?"),
        ("trace: mlp_digits", "trace: mlp_digit", "mlp_digit"),
        ("hardware: edge-16x16", "hardware: edge", "no hardware 'edge'"),
        ("hardware: edge-16x16", "hardware: edge-16x16, rate: 1 TMAC/s", "a SoC has its own"),
        ("arrive: 50 fps", "arrive: 50 hz", "is no arrival"),
        ("arrive: 50 fps", "arrival: 50 fps", "did you mean arrive?"),
        ("    jobs: 20\n", "", "never ends: add jobs, or until"),
        ("..2 phase=eval", "..9 phase=eval", "there is no layer '9'"),
        ("bytes: 1 kB", "bytes: 1 kb", "kb is kilobit"),
        ("bytes: 1 kB", "share: 1.4", "is no share"),
        ("macs: 1000000", "macs: -1", "greater than or equal to 0"),
        ("tail: {on: server, macs: 1000000}", "tail: {on: server}", "name a trace"),
        ("tail: {on: server", "tail: {on: phone", "a SoC runs traces"),
        ("    arrive: 50 fps\n    jobs: 20\n", "", "nothing leads here"),
        ("deadline: 12 ms", "deadline: 0 ms", "greater than 0"),
        (
            "macs: 1000000}",
            "macs: 1000000, then: [{to: head}]}",
            "without end: give a share below 1",
        ),
        ("rate: 4 TMAC/s", "rate: 4 TMAC/s, boundary: board", "it is of a SoC: name its hardware"),
        ("macs: 1000000}", "time: 0 s, arrive: always}", "a job takes no time"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place_and_fix(split, old, new, words):
    assert old in SPLIT
    split.write_text(SPLIT.replace(old, new))
    answer = trainsoc("scenario", split)
    assert answer.returncode == 2
    assert words in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("links.wfi.rate=1 Mb/s", "did you mean wifi?"),
        ("links.wifi.rat=1 Mb/s", "did you mean rate?"),
        ("programs.head.then.3.bytes=1 B", "has no programs.head.then.3"),
        ("devices.phone.set.accelerator.rowz=8", "did you mean accelerator.rows?"),
    ],
)
def test_a_wrong_setting_is_refused(split, setting, words):
    answer = trainsoc("scenario", split, "--set", setting)
    assert answer.returncode == 2
    assert words in answer.stderr


def test_a_part_too_large_for_its_device_is_infeasible(split):
    answer = trainsoc("scenario", split, "--set", "devices.phone.set.dram.capacity=64 KiB")
    assert answer.returncode == 2
    assert "DRAM has" in answer.stderr
