"""Every mistake in a form becomes a sentence with file, path, value and fix, in one place."""

import ast
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

import simulator
from simulator.errors import InputError
from simulator.files.forms import Form, Hints, check, validate

ROOM = Path(simulator.__file__).parent
HINTS = Hints(lambda _: "known: name, sizes", "add it, as in a.yaml")


class Inner(Form):
    size: int


class Outer(Form):
    name: str
    sizes: list[Inner]


def refusal(content, hints=HINTS, others=()):
    with pytest.raises(InputError) as error:
        validate(Outer, content, "a.yaml", hints, others)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"name": "a"}, "a.yaml: sizes: missing; add it, as in a.yaml"),
        ({"name": "a", "sizes": [], "n": 1}, "a.yaml: n: unknown key; known: name, sizes"),
        ({"name": 3, "sizes": []}, "a.yaml: name: 3: write a text, in quotes if it looks like"),
        ({"name": "a", "sizes": [{"size": "b"}]}, "a.yaml: sizes.0.size: 'b': input should be"),
        ({"name": "a", "sizes": [], 3: 1}, "a.yaml: 3: names of settings are texts"),
        ("a", "a.yaml: 'a': write settings by name"),
    ],
)
def test_a_sentence_names_file_path_value_and_fix(content, sentence):
    assert refusal(content).startswith(sentence)


def test_all_mistakes_come_at_once_and_those_from_elsewhere_last():
    text = refusal({"name": 3}, others=["a.yaml: sizes: no range"])
    assert [part.split(": ")[1] for part in text.split("; a.yaml")] == ["name", "sizes", "sizes"]
    assert text.endswith("no range")
    many = refusal({"name": "a", "sizes": [{}] * 100})
    assert many.count("missing") + int(many.split("and ")[-1].split(" more")[0]) == 100


def test_sentences_from_elsewhere_refuse_a_form_that_is_valid():
    assert refusal({"name": "a", "sizes": []}, others=["a.yaml: no range"]) == "a.yaml: no range"


def test_a_form_may_replace_and_leave_out_sentences():
    misspelt = Hints(lambda _: "did you mean sizes?", implied=lambda _: {"sizes"})
    assert refusal({"name": "a", "size": []}, misspelt) == (
        "a.yaml: size: unknown key; did you mean sizes?"
    )
    instead = Hints(lambda _: "", instead=lambda detail: f"{detail['loc'][0]}: write a list")
    assert refusal({"name": "a", "sizes": 3}, instead) == "a.yaml: sizes: write a list"


def test_a_valid_form_does_not_change():
    outer = validate(Outer, {"name": "a", "sizes": [{"size": 3}]}, "a.yaml", HINTS)
    assert outer == Outer(name="a", sizes=[Inner(size=3)])
    with pytest.raises(ValidationError):
        outer.name = "b"


def test_a_single_value_is_checked_strictly():
    assert check(TypeAdapter(int), 3) == 3
    with pytest.raises(ValueError, match=r"^'3': input should be a valid integer$"):
        check(TypeAdapter(int), "3")


def test_errors_of_pydantic_are_caught_where_they_are_put_into_words():
    catching = {
        path.relative_to(ROOM).as_posix()
        for path in ROOM.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and "ValidationError" in ast.unparse(node)
    }
    assert catching == {"files/forms.py", "files/json.py"}
