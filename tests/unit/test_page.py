"""The report page before a browser sees it: its columns, its exact sums, its one safe file."""

import base64
import csv
import hashlib
import json
import operator
import re
import shutil
import subprocess
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.replay import Replay
from simulator.run_folder import save_run
from simulator.views.page import page_document, page_html, read_runs, simulated_changes
from simulator.views.page.columns import levels, names, thinned
from simulator.views.page.html import SCRIPTS
from simulator.views.page.step_section import record_of, step_section
from simulator.views.page.trust import validation_rows
from tests import pins
from tests.builders import StepBuilder, machine, one_step_trace
from tests.command_line import trainsoc

ASSETS = Path(str(files("simulator.views.page"))) / "assets"
HOSTILE = "</script><script>alert(1)</script><!--\u2028"


def _trace():
    builder = StepBuilder()
    x = builder.gemm(64, 128, 96, layer=HOSTILE)
    for i in range(3):
        x = builder.gemm(64, 128, 128, a=builder.elementwise(x, layer=f"act{i}"), layer=f"fc{i}")
    return one_step_trace(builder, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "out"
    replay = Replay(machine("edge-16x16", runtime__issue="dataflow"), _trace())
    save_run(replay, replay.run(), folder)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    (only,) = read_runs(folder)
    return only


@pytest.fixture(scope="module")
def document(run):
    return page_document([run])


# --- columns ------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=3)))
def test_names_read_back(values):
    column = names(values)
    assert [column["names"][row] for row in column["rows"]] == values
    assert len(set(column["names"])) == len(column["names"])


def _area(rows, end):
    edges = [*rows["at"], end]
    return sum(
        value * (high - low)
        for value, (low, high) in zip(rows["value"], pairwise(edges), strict=True)
    )


changes = st.dictionaries(st.integers(0, 1000), st.integers(-9, 9).map(float), min_size=1)


@given(changes, st.integers(1, 40))
def test_thinner_levels_have_the_same_area(made, most):
    whole = levels(made, 10**6, 1001)
    few = thinned(whole, most, 1001)
    assert len(few["at"]) <= max(most, 1)
    assert _area(few, 1001) == pytest.approx(_area(whole, 1001), abs=1e-6)


# --- a step -------------------------------------------------------------------------------------


def _step(run, **options):
    return step_section(run.step, record_of(run.step, run.result.records), run.hardware, **options)


def test_causes_add_up_to_the_step(run):
    section = _step(run)
    assert sum(cause["ps"] for cause in section["causes"]) == run.step["duration_ps"]


@pytest.mark.parametrize("most", [0, 1, 5, 12])
def test_blocks_of_short_tasks_lose_nothing(run, most):
    rows, tasks = run.step["tasks"], _step(run, most=most)["tasks"]
    assert len(tasks["start"]) < len(rows)
    assert sum(tasks["tasks"]) == len(rows)
    for column, key in (
        ("charged", "attributed_ps"), ("macs", "macs"), ("dram_bytes", "dram_bytes"),
        ("energy", "dynamic_aj"),
    ):  # fmt: skip
        assert sum(tasks[column]) == sum(row[key] for row in rows)
    longest = sorted((row["end_ps"] - row["start_ps"] for row in rows), reverse=True)
    alone = [
        end - start
        for start, end, count in zip(tasks["start"], tasks["end"], tasks["tasks"], strict=True)
        if count == 1
    ]
    assert sum(length > longest[most] for length in alone) == sum(
        length > longest[most] for length in longest
    )


def test_the_channel_of_the_memory_moves_loses_or_idles(run):
    dram, step = _step(run)["dram"], run.step
    moved = sum(task["dram_bytes"] for task in step["tasks"])
    assert dram["moving"] == moved * 10**12 // step["machine"]["dram_bytes_per_s"]
    assert dram["moving"] + dram["lost"] + dram["idle"] == step["duration_ps"]
    assert min(dram.values()) >= 0


def test_no_product_is_above_its_roofs(run):
    """Each roof from what a description says, against rates that the machine reached."""
    section = _step(run)
    roofs = {roof["name"].partition(",")[0]: roof["per_s"] for roof in section["roofs"]}
    assert roofs["scratchpad"] == (16 + 16) * 10**9
    tasks = section["tasks"]
    units = [tasks["unit"]["names"][row] for row in tasks["unit"]["rows"]]
    checked = 0
    for i, unit in enumerate(units):
        seconds = (tasks["end"][i] - tasks["start"][i]) / 1e12
        if unit != "accelerator" or not tasks["macs"][i]:
            continue
        checked += 1
        assert tasks["macs"][i] <= roofs["array"] * seconds
        assert tasks["dram_bytes"][i] <= roofs["DRAM"] * seconds
    assert checked


# --- prices -------------------------------------------------------------------------------------


def test_counts_and_prices_of_the_page_make_the_energy_of_each_part(run, document):
    prices = document["runs"][0]["prices"]
    phases = {row["phase"]: row for row in run.document["phases"]} | {"": run.document["total"]}
    values = [int(row["value"]) for row in prices["rows"]]
    assert prices["loss"] is None
    for part in prices["parts"]:
        amounts = map(int, part["amounts"])
        assert sum(map(operator.mul, amounts, values)) == phases[part["name"]]["energy_aj"]


# --- one file -----------------------------------------------------------------------------------


def test_equal_documents_give_equal_pages(run, document):
    assert page_html(document) == page_html(page_document([run]))


def test_the_document_reads_back_and_ends_no_element(document):
    html = page_html(document)
    assert len(re.findall(r"</script", html, re.IGNORECASE)) == 2
    assert "<!--" not in html
    content = re.search(r'<script type="application/json" id="document">(.*?)</script>', html, re.S)
    assert json.loads(content[1]) == json.loads(json.dumps(document))
    assert HOSTILE in json.loads(content[1])["runs"][0]["step"]["tasks"]["layer"]["names"]


def test_the_policy_allows_style_and_script_of_the_page_and_nothing_else(document):
    html = page_html(document)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; ")
    for tag, text in (("style", r"<style>(.*?)</style>"), ("script", r"<script>(.*)</script>")):
        digest = hashlib.sha256(re.search(text, html, re.S)[1].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", html)


def test_every_script_is_in_the_page():
    assert sorted(f"{name}.js" for name in SCRIPTS) == sorted(p.name for p in ASSETS.glob("*.js"))


@pytest.mark.skipif(shutil.which("node") is None, reason="node reads the script")
def test_the_script_is_one_that_node_reads(document, tmp_path):
    script = re.search(r"<script>(.*)</script>", page_html(document), re.S)[1]
    (tmp_path / "page.js").write_text(script)
    read = subprocess.run(
        ["node", "--check", tmp_path / "page.js"], capture_output=True, check=False
    )
    assert read.returncode == 0, read.stderr.decode()


# --- trust --------------------------------------------------------------------------------------


def test_validation_rows_are_those_of_the_tables():
    """`python -m tests.accuracy --write` writes both."""
    with pins.PAGE.open(encoding="utf-8", newline="") as lines:
        assert list(csv.DictReader(lines)) == pins.page_rows(pins.read())


def test_a_machine_that_was_measured_comes_first():
    from simulator.hardware import load_hardware

    plain = load_hardware("raspberry-pi-4").plain()
    rows = validation_rows("raspberry-pi-4", plain)
    assert [row["near"] for row in rows][:2] == ["this machine", "this machine"]
    assert "array" not in {row["part"] for row in rows}


# --- folders ------------------------------------------------------------------------------------


def test_changes_are_simulated_where_the_folder_has_the_inputs_of_its_run(folder, run, tmp_path):
    assert min(change["step_ps"] for change in simulated_changes(folder)) < run.step["duration_ps"]
    recosted = trainsoc(
        "recost", folder, "--energy", folder / "energy.yaml", "-o", tmp_path / "other"
    )
    assert recosted.returncode == 0, recosted.stderr
    assert simulated_changes(tmp_path / "other") == []
    page = trainsoc("report", tmp_path / "other")
    assert page.returncode == 0, page.stderr
    assert (tmp_path / "other" / "report.html").is_file()


def test_a_folder_without_a_run_is_one_sentence(tmp_path):
    answer = trainsoc("report", tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "no result.json here" in answer.stderr
    assert not list(tmp_path.iterdir())


def test_a_step_of_another_run_is_one_sentence(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "mixed")
    path = tmp_path / "mixed" / "step.json"
    step = json.loads(path.read_text())
    step["tasks"] = step["tasks"][:-1]
    path.write_text(json.dumps(step))
    answer = trainsoc("report", tmp_path / "mixed")
    assert (answer.returncode, "of another run" in answer.stderr) == (2, True)
