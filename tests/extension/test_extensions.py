"""Objects of other packages are found by group and name, as the packaging standard has it."""

import pytest

from simulator.errors import InputError
from simulator.extensions import load, names
from tests.extension.installed import distribution

GROUP = "trainsoc.tests"


@pytest.fixture
def _installed(tmp_path, monkeypatch):
    lines = ["[trainsoc.tests]", "sqrt = math:sqrt", "pi = math:pi", "broken = math:no_such_name"]
    distribution(tmp_path, "first", *lines)
    distribution(tmp_path, "second", "[trainsoc.tests]", "pi = cmath:pi", "[other]", "e = math:e")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_installed")
def test_an_entry_point_is_its_object():
    assert load(GROUP, "sqrt")(9) == 3


@pytest.mark.usefixtures("_installed")
def test_names_are_those_of_the_group_alone():
    assert names(GROUP) == ["broken", "pi", "sqrt"]


def test_what_no_package_registers_is_none():
    assert load(GROUP, "sqrt") is None
    assert names(GROUP) == []


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("pi", "pi is registered as cmath:pi and as math:pi"),
        ("broken", "broken is registered as math:no_such_name, which cannot be imported"),
    ],
)
def test_a_name_that_gives_no_object_is_one_sentence(name, problem):
    with pytest.raises(InputError, match=problem):
        load(GROUP, name)
