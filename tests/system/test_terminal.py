"""The command line in a terminal of 80 columns: what comes first, what fits, what is suggested."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest

from tests.command_line import ROOT, trainsoc


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the folders of a run, of one with another array, and of one without any."""
    out = tmp_path_factory.mktemp("runs")
    options = ("mlp_digits", "--samples", 0)
    for name, rest in {
        "small": ("edge-16x16", *options),
        "large": ("edge-16x16", *options, "--set", "accelerator.rows=32"),
        "none": ("cpu-only", *options),
    }.items():
        assert trainsoc("run", *rest, "-o", out / name).returncode == 0
    return out


@pytest.mark.parametrize(("soc", "by"), [("edge-16x16", "layer"), ("edge-16x16-npu", "stage")])
def test_a_run_fits_80_columns_and_begins_with_the_whole(soc, by):
    lines = trainsoc("run", soc, "lenet_digits", "--by", by).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == f"lenet_digits on {soc}: 8 epochs, 384 steps"
    starts = [line.split()[0] for line in lines[1:6]]
    assert starts[0] == "time"
    assert "per epoch" in lines[1]
    assert {"energy", "power", "area"} <= set(starts)


@pytest.mark.parametrize(
    "verb",
    [
        "show edge-16x16", "show lenet_digits", "list", "list metrics", "scenario split-inference",
        "probe offload edge-16x16", "probe cpu edge-16x16", "explain {small}",
        "sweep edge-16x16 mlp_digits -o {sweep} --workers 1 --set accelerator.rows=8,16 "
        "--set accelerator.cols=8,16 --set accelerator.scratchpad=64KiB,128KiB "
        "--set accelerator.clock=500MHz,1GHz --set dram.preset=ideal,LPDDR4-3200_x32_1ch",
    ],
)  # fmt: skip
def test_a_verb_fits_80_columns(verb, folders, tmp_path):
    words = verb.format(small=folders / "small", sweep=tmp_path / "sweep").split()
    lines = trainsoc(*words).stdout.splitlines()
    long = [line for line in lines if len(line) > 80 and "--set" not in line]  # is to be copied
    assert lines
    assert [line for line in long if str(tmp_path) not in line] == []


def test_wide_has_every_column():
    lines = trainsoc("run", "edge-16x16", "mlp_digits", "--wide").stdout.splitlines()
    header = next(line for line in lines if "latency" in line)
    assert all(name in header for name in ("DRAM", "scratchpad", "of busy time"))


def test_the_folder_is_named_where_a_run_was_saved(folders):
    done = trainsoc("run", "edge-16x16", "mlp_digits", "-o", folders / "again")
    assert f"  saved    {folders / 'again'}"[:60] in done.stdout


def test_a_run_as_csv_is_what_its_json_says():
    run = ("run", "edge-16x16", "mlp_digits", "--samples", 0)
    rows = list(csv.DictReader(io.StringIO(trainsoc(*run, "--format", "csv").stdout)))
    document = json.loads(trainsoc(*run, "--json").stdout)
    expected = [*document["phases"], document["total"] | {"phase": "total"}]
    assert [row["phase"] for row in rows] == [row["phase"] for row in expected]
    for row, each in zip(rows, expected, strict=True):
        assert float(row["latency_s"]) == each["latency_s"]
        assert float(row["energy_j"]) == each["energy_j"]
        assert float(row["energy_dram_j"]) == each["energy_by_component_j"]["dram"]
        assert float(row["dram_bytes"]) == each["dram_read_bytes"] + each["dram_write_bytes"]


def test_diff_says_what_differs_and_fits(folders):
    two = trainsoc("diff", folders / "small", folders / "large").stdout
    assert "small  mlp_digits on edge-16x16\n" in two
    assert "large  mlp_digits on edge-16x16, with accelerator.rows=32\n" in two
    three = trainsoc("diff", *(folders / name for name in ("small", "large", "none"))).stdout
    assert "none   mlp_digits on cpu-only, with accelerator=none\n" in three
    assert max(map(len, (two + three).splitlines())) <= 80


def test_diff_of_several_is_over_the_first(folders):
    names = "small", "large", "none"
    done = trainsoc("diff", *(folders / name for name in names), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["run"] for row in rows] == list(names)
    results = [json.loads((folders / name / "result.json").read_text())["total"] for name in names]
    for row, result in zip(rows, results, strict=True):
        assert float(row["latency_s"]) == result["latency_s"]
        ratio = result["latency_s"] / results[0]["latency_s"]
        assert float(row["latency_ratio"]) == pytest.approx(ratio)
    told = json.loads(trainsoc("diff", *(folders / name for name in names), "--json").stdout)
    speeds = [each["phases"]["total"]["speedup"] for each in told["comparisons"]]
    assert speeds == [pytest.approx(float(row["latency_ratio"])) for row in rows[1:]]


def test_folders_of_one_name_are_told_apart(folders):
    (folders / "other").mkdir()
    (folders / "other" / "small").symlink_to(folders / "small")
    same = trainsoc("diff", folders / "small", folders / "other" / "small").stdout
    assert f"{folders / 'other' / 'small'}  mlp_digits" in same
    assert "1: " in trainsoc("diff", folders / "small", folders / "small").stdout


def test_list_has_every_name():
    names = json.loads(trainsoc("list", "--json").stdout)
    assert set(names["hardware"]) == {path.stem for path in (ROOT / "hwconfigs").glob("*.yaml")}
    assert "lenet_digits" in names["traces"]
    assert "int8" in names["methods"]
    assert trainsoc("list", "traces").stdout.split() == list(names["traces"])


SUGGESTIONS = {
    "run lenet_digits edge-16x16": "the SoC goes first: trainsoc run edge-16x16 lenet_digits",
    "run lenet.trace my.yaml": "the SoC goes first: trainsoc run my.yaml lenet.trace",
    "sweep mlp_digits cpu-only --set cpu.cores=1,2 -o s": "trainsoc sweep cpu-only mlp_digits",
    "compare mlp_digits cpu-only": "trainsoc compare cpu-only mlp_digits",
    "run edge-16x61 lenet_digits": "did you mean edge-16x16?",
    "run edge-16x16 lenet_digit": "did you mean lenet_digits?",
    "run edge-16x16 elephant": "lenet_digits, mlp_digits, resnet20_digits come with trainsoc",
    "run edge-16x16 mlp_digits --method int9": "did you mean int8?",
    "run edge-16x16 mlp_digits --by phases": "did you mean phase?",
    "run edge-16x16 mlp_digits --fidelity tiles": "did you mean tile?",
    "run edge-16x16 mlp_digits --format tex": "did you mean latex?",
    "run edge-16x16 mlp_digits --format csv --json": "leave one of them out",
    "show edge-16x61": "did you mean edge-16x16?",
    "show mlp_digit": "did you mean mlp_digits?",
    "list hardwares": "did you mean hardware?",
    "import kinteo a.json -o b": "did you mean kineto?",
    "diff nowhere": "name two folders or more",
    "sweep edge-16x16 mlp_digits --set accelerator.rows=8..64 -o s": "key=8..64:x2 (doubling)",
}


@pytest.mark.parametrize("command", SUGGESTIONS, ids=str)
def test_a_mistake_is_answered_with_the_fix(command, tmp_path):
    done = trainsoc(*command.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert SUGGESTIONS[command] in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "number", "answer"),
    [
        ("trainsoc ex", 1, ["explain", "export"]),
        ("trainsoc run edge-16x16-", 2, ["edge-16x16-mp", "edge-16x16-npu"]),
        ("trainsoc run edge-16x16 le", 3, ["lenet_digits"]),
    ],
)
def test_a_shell_completes_verbs_and_names(words, number, answer):
    asked = {"_TRAINSOC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = subprocess.run(
        [sys.executable, "-m", "simulator.cli"], capture_output=True, text=True, check=False,
        env={**os.environ, **asked, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, sorted(done.stdout.split())) == (0, answer)
