"""Messages are one line that a terminal shows at once, whatever the input was."""

import errno
import pickle

import pytest

from simulator.errors import (
    LONGEST,
    InputError,
    a_or_an,
    join_names,
    reason,
    sentence,
    several,
    shown,
)


def test_long_messages_keep_their_beginning_and_their_fix():
    text = str(InputError(f"file.yaml: {'x' * 10**6}: write 3"))
    assert len(text) <= LONGEST
    assert text.startswith("file.yaml: xxx")
    assert text.endswith("xxx: write 3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\u202eb\x9bc\x7f", "a\\u202eb\\x9bc\\x7f"),
        ("two\nlines\r\nof text", "two lines of text"),
        ("bad\udcff", "bad\\udcff"),
        ("größer 3 × 3", "größer 3 × 3"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, said):
    assert sentence(text) == said


def test_messages_survive_the_way_to_another_process():
    error = InputError("x" * 1000)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_values_that_hold_themselves_many_times_are_shown_at_once():
    value = ["x"]
    for _ in range(100):  # 9 ** 100 entries
        value = [value] * 9
    assert len(shown(value)) <= 60
    assert len(shown({"a": value}, 40)) <= 40


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "'text'"),
        (None, "null"),
        (True, "true"),
        ({"a": [1, "b"]}, "{'a': [1, 'b']}"),
        (1 << 200, "a number of 201 bits"),
    ],
)
def test_values_are_shown_as_they_are_written(value, said):
    assert shown(value) == said


def test_the_first_of_many_mistakes_are_told_and_the_rest_is_counted():
    text = several((f"key{i}: unknown" for i in range(10_000)), 10_000)
    assert text.startswith("key0: unknown; key1: unknown; ")
    told = text.count("unknown")
    assert text.endswith(f"; and {10_000 - told:,} more mistakes")
    assert len(text) <= LONGEST
    assert several(["a", "b"], 2) == "a; b"


def test_lists_of_names_have_an_end():
    assert join_names(["a", "b"]) == "a, b"
    assert join_names(f"name{i}" for i in range(100)).endswith(" more")


def test_reasons_are_plain():
    assert reason(OSError(errno.ENAMETOOLONG, "x")) == "the name is too long"
    assert "character" in reason(ValueError("embedded null byte"))
    assert [a_or_an(noun) for noun in ("eval", "train")] == ["an eval", "a train"]
