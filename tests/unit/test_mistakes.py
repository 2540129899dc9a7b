"""Several mistakes in a file: their order, and how they are told."""

import io
import sys

import pytest

from simulator.cli.exits import exit_code
from simulator.errors import InputError
from simulator.hardware.load import load_hardware

WRONG = "base: edge-16x16\naccelerator: {rows: many, rws: 3}\ncpu: {clock: 1, cores: 2}\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_mistakes_come_in_the_order_of_what_they_explain(tmp_path):
    path = tmp_path / "soc.yaml"
    path.write_text("cpu: {clok: 1 GHz, cores: many}\n")
    with pytest.raises(InputError) as refusal:
        load_hardware(path)
    unknown, value, *missing = refusal.value.mistakes
    assert "did you mean cpu.clock?" in unknown
    assert "cpu.cores" in value
    assert missing
    assert all("missing" in each or "more" in each for each in missing)
    assert "\n" not in str(refusal.value)


def test_people_get_a_line_for_each_mistake_and_programs_one_for_all(tmp_path, monkeypatch):
    path = tmp_path / "soc.yaml"
    path.write_text(WRONG)
    said = []
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert exit_code(["show", str(path)]) == 2
        said.append(stream.getvalue().splitlines())
    people, programs = said
    assert len(programs) == 1
    assert len(people) == 3
    assert all(line.startswith("trainsoc: soc.yaml: ") for line in people)
    assert "did you mean accelerator.rows?" in people[0]
