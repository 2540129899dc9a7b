"""Whatever is changed in a file, it becomes a trace that can be saved, or one sentence."""

import json
import random
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.trace.importers import IMPORTERS
from simulator.trace.storage import save_trace
from tests.system.import_samples import FILES, read

SMALL = ["lenet.et_only", "lenet.kineto_stack"]
JUNK = [
    None, True, -1, 0, 7, 10**30, 2.5, 1e300, float("nan"), float("inf"), "", "x", "Tensor(float)",
    "GenericList[Tensor(float)]", [], [None], ["a"], [1], [[]], {}, {"a": 1},
]  # fmt: skip
MANY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@cache
def small(name):
    """Return the key of the events in a sample, and its content with those of one step."""
    content = read(name)
    if "nodes" in content:
        return "nodes", content | {"nodes": content["nodes"][:504]}
    events = [event for event in content["traceEvents"] if event.get("cat") == "cpu_op"]
    return "traceEvents", content | {"traceEvents": events}


def taken(name, path, data):
    """Import the data and save the trace; it is taken, or refused in one sentence that names a
    file, all else fails the test.
    """
    path.write_bytes(data)
    told = f"in one sentence: {path.name}"
    try:
        save_trace(IMPORTERS[FILES[name][0]](path), path.with_suffix(".trace"))
    except InputError as error:
        told = str(error)
    assert "\n" not in told
    assert f"{path.stem}." in told


@pytest.mark.parametrize("name", SMALL)
@given(seed=st.integers(0, 2**32), edits=st.integers(1, 4))
@MANY
def test_changed_bytes_never_give_a_traceback(name, seed, edits, tmp_path):
    chance = random.Random(seed)
    data = bytearray(json.dumps(small(name)[1]).encode())
    for _ in range(edits):
        place = chance.randrange(len(data))
        data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    taken(name, tmp_path / "t.json", bytes(data))


@pytest.mark.parametrize("name", SMALL)
@given(seed=st.integers(0, 2**32), junk=st.sampled_from(JUNK))
@example(seed=602, junk=True)  # a truth value for a stride
@example(seed=37941870, junk=10**30)  # a stride beyond 64 bits of a tensor without elements
@MANY
def test_changed_values_never_give_a_traceback(name, seed, junk, tmp_path):
    chance = random.Random(seed)
    key, content = small(name)
    events = list(content[key])
    place = chance.randrange(len(events))
    events[place] = changed(events[place], junk, chance)
    taken(name, tmp_path / "t.json", json.dumps(content | {key: events}).encode())


def changed(value, junk, chance):
    """Return a copy with junk in place of one value somewhere inside, or of the whole."""
    if not value or not isinstance(value, (dict, list)) or chance.random() < 0.05:
        return junk
    copied = value.copy()
    place = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copied[place] = changed(value[place], junk, chance)
    if isinstance(value, dict) and chance.random() < 0.1:
        with suppress(KeyError):
            del copied[place]
    return copied


@pytest.mark.parametrize("form", ["execution-trace", "kineto", "scalesim", "auto"])
@pytest.mark.parametrize(
    "data",
    [
        b"", b" \n" * 1000, b"[]", b"{}", b"5", b"null", b"\0" * 1000, b"\x1f", b"\x1f\x8b\x08",
        b'{"schema": "1.1", "x": ' + b'{"a": ' * 30_000,
        b'{"schema": "1.1", "nodes": [' + b"[" * 100_000,
        b'{"schema": "1.1", "nodes": [null]}',
        b'{"schema": "1.1", "nodes": {"a": 1}}',
        b'{"schema": "1.1", "nodes": [{"id": ' + b"9" * 5000 + b"}]}",
        b'{"traceEvents": [null, 1, "a", {"ph": "X", "cat": "cpu_op"}]}',
        b'{"traceEvents": [{"ph": "X", "cat": ["cpu_op"], "name": 5, "ts": 1, "args": {}}]}',
        b'{"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "aten::mm", "args": [1]}]}',
        b'{"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "a", "ts": NaN, "dur": 1e999}]}',
    ],
)  # fmt: skip
def test_what_only_looks_like_a_trace_is_refused(form, data, tmp_path):
    path = tmp_path / "t.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"t\.json") as caught:
        IMPORTERS[form](path)
    assert "\n" not in str(caught.value)
