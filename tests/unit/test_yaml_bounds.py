"""Whatever a YAML file holds, it is read within bounds, or refused with its line."""

import pytest

from simulator.errors import InputError
from simulator.files.bounded_yaml import load
from simulator.files.yaml import read_yaml
from simulator.hardware import load_hardware

BOMB = "\n".join(
    f"{name}: &{name} [{','.join(['x' if before == '`' else '*' + before] * 9)}]"
    for before, name in zip("`abcdefgh", "abcdefghi", strict=True)
)


def refusal(tmp_path, content):
    path = tmp_path / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_yaml(path, "an example")
    assert "file.yaml" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(BOMB, ("line 6", "entries"), id="anchors"),
        pytest.param(f"{BOMB}\nz: *i\nz: *i", ("entries",), id="anchors in a key given twice"),
        pytest.param(f"{BOMB}\n? [*i]\n: 1", ("entries",), id="anchors in a key"),
        pytest.param("- &a [x]\n- *a", ("expected keys", "[['x'], ['x']]"), id="a list"),
        pytest.param("a: &a [*a]", ("line 1", "itself"), id="anchor in itself"),
        pytest.param("a: " + "[" * 20_000, ("line 1", "too deep"), id="brackets"),
        pytest.param("- " * 20_000, ("too deep",), id="dashes"),
        pytest.param(
            "\n".join(" " * i + "a:" for i in range(100)), ("too deep",), id="indentation"
        ),
        pytest.param("a: 1\nb: " + "9" * 5000, ("line 2", "int"), id="5,000 digits"),
        pytest.param("a: 9223372036854775808", ("line 1", "64 bits"), id="beyond 64 bits"),
        pytest.param("a: !!int x", ("line 1", "'x'", "int"), id="no integer"),
        pytest.param("a: !!float x", ("line 1", "'x'", "float"), id="no float"),
        pytest.param("a:\n  b: !!bool x", ("line 2", "'x'", "bool"), id="no truth value"),
        pytest.param('a: "\\UFFFFFFFF"', ("line 1",), id="no character"),
        pytest.param("a: !!set {x}", ("line 1", "set"), id="a set"),
        pytest.param("a: !!binary aGk=", ("line 1", "binary"), id="bytes"),
        pytest.param("a: !!python/object:os.system x", ("line 1",), id="an object"),
        pytest.param("a: 1\nb: \x07", ("line 2", "\\x07"), id="control character"),
        pytest.param("a: 1\n---\nb: 1", ("line 2",), id="two documents"),
        pytest.param(b"a: 1\nb: caf\xe9", ("line 2", "UTF-8"), id="Latin-1"),
        pytest.param(b"\0\1\2", ("not a text file",), id="binary"),
        pytest.param(
            "".join(f"k{i}: 1\n" for i in range(10_000)), ("line 5001", "5,000 keys"), id="keys"
        ),
        pytest.param("a: " + "x" * (1 << 20), ("bytes",), id="megabytes"),
        pytest.param(b"\x1f\x8b\x08\0", ("gzip", "gunzip"), id="compressed"),
        pytest.param(b"PAR1", ("trainsoc show",), id="a trace"),
    ],
)
def test_what_yaml_may_not_hold(tmp_path, text, words):
    told = refusal(tmp_path, text)
    assert len(told) <= 300
    for word in words:
        assert word in told


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_encodings_that_a_mark_declares_are_read(tmp_path, encoding):
    path = tmp_path / "file.yaml"
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    path.write_bytes(mark + "name: größer\n".encode(encoding))
    assert read_yaml(path, "an example") == {"name": "größer"}


def test_anchors_and_dates_are_plain_values(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2001-01-01}\nf: 9223372036854775807\n")
    content = {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": "2001-01-01"}, "f": 2**63 - 1}
    assert read_yaml(path, "an example") == content


def test_a_thousand_unknown_keys_are_one_sentence(tmp_path):
    path = tmp_path / "soc.yaml"
    path.write_text("".join(f"k{i}: 1\n" for i in range(1_000)))
    with pytest.raises(InputError, match=r"; and 999 more mistakes$") as caught:
        load_hardware(path)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("digits", ["9223372036854775808", "9" * 5000], ids=["64 bits", "5,000"])
def test_settings_beyond_64_bits_are_refused(digits):
    with pytest.raises(InputError, match=r"cpu\.cores") as caught:
        load_hardware("edge-16x16", [f"cpu.cores={digits}"])
    assert len(str(caught.value)) <= 300
    with pytest.raises(InputError, match="64 bits"):
        load_hardware("edge-16x16", ["accelerator.scratchpad=99999999 TB"])


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "../" * 3000], ids=["long", "NUL", "deep"])
def test_names_that_no_file_can_have_are_no_hardware(name):
    with pytest.raises(InputError, match="no hardware"):
        load_hardware(name)


def test_a_comment_belongs_to_its_anchor_wherever_that_is_used():
    lists = "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in ("ab", "bc", "cd"))
    content, comments = load(f"a: &a [x, y]  # ten\n{lists}")
    assert content["d"][1][0][1] == ["x", "y"]
    assert comments["d", "1", "0", "1", "0"] == "ten"
    assert ("d",) not in comments


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("a: 1 # one", "one"),
        ("a: '1 # 2'  #  one ", "one"),
        ("a: [1, 2]  # one", "one"),
        ("a:  # one\n  b: 1", "one"),
        ("a: |\n  text # no comment\n", None),
        ("a: 1#2", None),
        ("# no\na: 1", None),
        ("a: 1 # one\r\nb: 2", "one"),
    ],
)
def test_the_comment_at_the_end_of_a_line(text, comment):
    assert load(text)[1].get(("a",)) == comment
