"""Verbs get their options as one object, and the command line says its version."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer

from simulator.cli.exits import exit_code
from simulator.cli.options import with_options
from simulator.cli.verbs import PROBE, VERBS, app_of

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())


@dataclass(frozen=True, kw_only=True)
class Meal:
    dish: Annotated[str, typer.Argument()]
    out: Annotated[Path, typer.Option("-o")]
    guests: Annotated[int, typer.Option(min=1, help="at the table")] = 2


def served(*arguments):
    """Return what a verb with `Meal` gets from a command line."""
    plates = []
    kitchen = typer.Typer()
    kitchen.command()(with_options(verb_of(plates)))
    typer.main.get_command(kitchen).main(list(arguments), standalone_mode=False)
    return plates


def verb_of(plates):
    def serve(context: typer.Context, meal: Meal) -> None:
        """Serve a meal."""
        plates.append((context.info_name, meal))

    return serve


def test_fields_are_arguments_and_options_with_their_defaults():
    [(_, meal)] = served("soup", "-o", "pot")
    assert meal == Meal(dish="soup", out=Path("pot"), guests=2)
    [(_, meal)] = served("soup", "-o", "pot", "--guests", "5")
    assert meal.guests == 5


@pytest.mark.parametrize("arguments", [("soup",), ("soup", "-o", "pot", "--guests", "0")])
def test_their_limits_hold(arguments):
    with pytest.raises(typer.BadParameter.__bases__[0]):
        served(*arguments)


def test_version_is_that_of_the_project(capsys):
    assert exit_code(["--version"]) == 0
    assert capsys.readouterr().out == f"trainsoc {PROJECT['project']['version']}\n"


def test_every_verb_documents_its_options():
    for verb in typer.main.get_command(app_of()).commands.values():
        for parameter in getattr(verb, "params", ()):
            assert parameter.help or parameter.name == "help", (verb.name, parameter.name)


@pytest.mark.parametrize("word", ["run", "probe", "import"])
def test_a_command_line_has_its_own_verb_alone(word):
    assert set(typer.main.get_command(app_of(word)).commands) == {word}


def test_all_verbs_are_there_where_none_is_named():
    names = set(typer.main.get_command(app_of("rnu")).commands)
    assert names == {*VERBS, PROBE} == set(typer.main.get_command(app_of()).commands)
