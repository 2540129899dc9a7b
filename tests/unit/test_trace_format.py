"""The page on the trace format says what a file holds, column by column and key by key."""

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from simulator.trace import storage
from simulator.trace.op import Causal, Conv, OpKind, Phase, Role, convolution
from simulator.trace.passes.treatment import Method, Treatment
from simulator.trace.storage import SCHEMA, load_trace, save_trace
from simulator.trace.trace import StepKind, StorageKind, Timing
from tests.builders import StepBuilder, one_step_trace
from workloads import bundled_traces

PAGE = (Path(storage.__file__).parent / "FORMAT.md").read_text()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file with everything that a trace can hold."""
    builder = StepBuilder()
    builder.gemm(2, 3, 4)
    conv = Conv(1, 1, 1, (4, 4), (2, 2), (3, 3), (1, 1), (0, 0), (1, 1))
    builder.ops.append(replace(builder.ops[0], gemms=(convolution(conv),)))
    causal = replace(builder.ops[0].gemms[0], causal=Causal.RESULT)
    builder.ops.append(replace(builder.ops[0], gemms=(causal,)))
    trace = replace(
        one_step_trace(builder), origin={"tool": "test"}, timings=(Timing(3, (1, 2, 3)),)
    )
    trace = replace(trace, methods=(Method("int8", (("fc", Treatment(8, 8, 8)),)),))
    trace = replace(trace, steps=(replace(trace.steps[0], tokens=3),))
    path = tmp_path_factory.mktemp("format") / "a.trace"
    save_trace(trace, path)
    return path


def table(title):
    """Return name and type of each row of the table under a heading of the page."""
    part = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", part, flags=re.MULTILINE))


def columns(schema, prefix=""):
    """Yield name and type of each column, and of the fields within."""
    words = {pl.Int64: "int64", pl.String: "string", pl.Boolean: "bool"}
    for name, kind in schema.items():
        inner = kind.inner if isinstance(kind, pl.List) else kind
        word = words.get(type(inner), "struct")
        yield prefix + name, f"list of {word}" if isinstance(kind, pl.List) else word
        if isinstance(inner, pl.Struct):
            yield from columns(inner.to_schema(), f"{prefix}{name}.")


def described(value):
    """Return the type of a JSON value in the words of the page."""
    if isinstance(value, dict):
        return "object of strings" if isinstance(next(iter(value.values())), str) else "object"
    if not isinstance(value, list):
        return {str: "string", int: "int"}[type(value)]
    inner = value[0]
    if isinstance(inner, dict):
        return "list of objects"
    if isinstance(inner, list):
        return f"list of [{', '.join(map(described, inner))}]"
    return f"list of {described(inner)}"


def test_the_page_names_every_column_with_its_type(file):
    assert table("Columns") == dict(columns(pl.read_parquet_schema(file)))


def test_the_page_names_every_key_with_its_type(file):
    metadata = pl.read_parquet_metadata(file)
    (key,) = [key for key in metadata if key != "ARROW:schema"]
    assert f"the key `{key}`" in PAGE
    header = json.loads(metadata[key])
    inner = {f"steps.{name}": value for name, value in header["steps"][0].items()}
    inner |= {f"methods.{name}": value for name, value in header["methods"][0].items()}
    found = {name: described(value) for name, value in (header | inner).items()}
    assert table("Metadata") == found


def test_the_page_is_of_the_version_that_is_written(file):
    assert PAGE.startswith(f"# The trace format, schema {SCHEMA}\n")
    header = json.loads(pl.read_parquet_metadata(file)["trainsoc.trace"])
    assert header["schema"] == SCHEMA


@pytest.mark.parametrize(
    ("row", "words"),
    [("kind", OpKind), ("phase", Phase), ("gemms.role", Role), ("gemms.causal", Causal),
     ("steps.kind", StepKind), ("steps.storages", StorageKind)],
)  # fmt: skip
def test_the_page_lists_the_words_of_a_column(row, words):
    (meaning,) = re.findall(rf"^\| `{re.escape(row)}` \| .*? \| (.*) \|$", PAGE, flags=re.MULTILINE)
    told = set(re.findall(r"\w+", meaning))
    assert {word.value for word in words} - {""} <= told


def test_files_of_the_first_schema_are_read():
    path = bundled_traces()["lenet_digits"]
    header = json.loads(pl.read_parquet_metadata(path)["trainsoc.trace"])
    assert header["schema"] == "1.0"
    assert "measured_ps" not in pl.read_parquet_schema(path)
    trace = load_trace(path)
    assert len(trace.steps) == len(header["steps"])
    assert sum(len(step.ops) for step in trace.steps) == pl.read_parquet(path).height
