"""A scenario in Python's hands: its tables, figures and files are those of the command line."""

import pytest

import trainsoc
from tests.command_line import trainsoc as command
from tests.scenario.test_verbs import SPLIT


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenario") / "split.yaml"
    path.write_text(SPLIT)
    return path


@pytest.fixture(scope="module")
def result(split):
    return trainsoc.play(split, {"links.wifi.rate": "16 Mb/s"})


def test_it_says_what_it_is_on_a_line(result):
    assert repr(result).startswith("PlayResult(split: 2 programs on 2 devices, ")
    assert "\n" not in repr(result)
    assert result._repr_html_().count("<tr>") == 3


def test_its_tables_have_a_row_for_each(result):
    assert result.table()["program"].to_list() == ["head", "tail"]
    assert result.table("links")["bytes"].to_list() == [20_000]
    assert {*result.table("devices").columns} >= {"unit_busy_s_cpu", "energy_j"}
    with pytest.raises(trainsoc.InputError, match="programs or devices"):
        result.table("program")


def test_its_folder_is_that_of_the_command_line(result, split, tmp_path):
    result.save(tmp_path / "own")
    setting = "links.wifi.rate=16 Mb/s"
    command("scenario", split, "--set", setting, "-o", tmp_path / "theirs")
    for name in ("scenario.json", "play.json"):
        assert (tmp_path / "own" / name).read_text() == (tmp_path / "theirs" / name).read_text()
    assert result.timeline(tmp_path / "timeline.json").is_file()
    assert len(trainsoc.plot(tmp_path / "own")) == 3


def test_its_figures_have_names(result):
    assert result.plot("latencies")._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(trainsoc.InputError, match="did you mean lanes"):
        result.plot("lane")
