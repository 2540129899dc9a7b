"""A trace survives its file exactly, and every wrong file is refused with one clear sentence."""

import hashlib
import json
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor, convolution
from simulator.trace.op import valid_convolution as conv2d
from simulator.trace.storage import SCHEMA, check_writable, load_trace, save_trace
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Timing, Trace
from workloads import bundled_traces

STORAGES, BYTES = 3, 2**50
sizes = st.lists(st.integers(0, 4096), max_size=3).map(tuple)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def tensors(draw):
    shape = draw(sizes)
    strides = tuple(draw(st.integers(0, 4096)) for _ in shape)
    storage = draw(st.integers(0, STORAGES - 1))
    return Tensor(storage, draw(st.sampled_from(["float32", "int64"])), shape, strides, 3)


convs = st.builds(
    lambda size, stride, images, role: convolution(
        conv2d(6, 4, size, (3, 2), stride, images=images, groups=2), role
    ),
    st.tuples(st.integers(3, 64), st.integers(3, 64)), st.integers(1, 3), st.integers(0, 2**30),
    st.sampled_from([Role.FORWARD, Role.DGRAD, Role.WGRAD]),
).map(lambda gemm: replace(gemm, a=-1, b=-1, c=-1))  # fmt: skip
gemms = convs | st.builds(
    Gemm, st.sampled_from(Role), *[st.integers(0, 2**15)] * 4, *[st.just(-1)] * 3,
)  # fmt: skip
ops = st.builds(
    Op, text, st.sampled_from(OpKind), st.sampled_from(Phase), text,
    st.lists(tensors(), max_size=3).map(tuple), st.lists(tensors(), max_size=2).map(tuple),
    st.lists(gemms, max_size=2).map(tuple), st.integers(-1, 0), st.booleans(),
)  # fmt: skip
storages = st.builds(Storage, st.integers(BYTES, 2 * BYTES), st.sampled_from(StorageKind), text)
steps = st.builds(
    Step,
    st.sampled_from(StepKind),
    st.lists(ops, max_size=4).map(tuple),
    st.lists(storages, min_size=STORAGES, max_size=STORAGES).map(tuple),
)


@st.composite
def traces(draw):
    distinct = draw(st.lists(steps, min_size=1, max_size=3).map(tuple))
    used = st.builds(
        Segment, st.integers(0, 9999), st.integers(0, len(distinct) - 1), st.integers(1, 2**40)
    )
    segments = draw(st.lists(used, min_size=1, max_size=4).map(tuple))
    return Trace(draw(text), distinct, segments, draw(st.dictionaries(text, text, max_size=2)))


@given(traces())
@settings(max_examples=60, deadline=None)
def test_round_trip_is_exact(tmp_path_factory, trace):
    path = tmp_path_factory.mktemp("t") / "a.trace"
    save_trace(trace, path)
    again = load_trace(path)
    assert again == trace
    assert again.digest == trace.digest


@pytest.fixture
def trace() -> Trace:
    tensor = Tensor(0, "float32", (2, 3), (3, 1))
    gemm = Gemm(Role.FORWARD, 1, 2, 2, 3, 0, 0, 0)
    op = Op("aten.mm.default", OpKind.GEMM, Phase.FORWARD, "fc", (tensor,), (tensor,), (gemm,))
    step = Step(StepKind.TRAIN, (op,) * 50, (Storage(24, StorageKind.INPUT),))
    return Trace("small", (step,), (Segment(0, 0, 7),), {"tool": "test"})


@pytest.fixture
def saved(trace, tmp_path):
    save_trace(trace, tmp_path / "a.trace")
    return tmp_path / "a.trace"


def rewrite_header(path, **changes):
    header = json.loads(pl.read_parquet_metadata(path)["trainsoc.trace"]) | changes
    pl.read_parquet(path).write_parquet(path, metadata={"trainsoc.trace": json.dumps(header)})


def refusal(path) -> str:
    with pytest.raises(InputError) as caught:
        load_trace(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_saving_replaces_and_leaves_nothing_behind(trace, saved, tmp_path):
    save_trace(replace(trace, name="other"), saved)
    assert load_trace(saved).name == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["a.trace"]


def test_same_trace_gives_same_bytes(trace, saved, tmp_path):
    save_trace(trace, tmp_path / "b.trace")
    assert saved.read_bytes() == (tmp_path / "b.trace").read_bytes()


def test_missing_file(tmp_path):
    assert "no trace at" in refusal(tmp_path / "none.trace")


def test_directory(tmp_path):
    assert str(tmp_path) in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PA", b"hello: world\n", bytes(5000)])
def test_other_file(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert "is not a trainsoc trace" in refusal(path)


def test_parquet_of_something_else(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    assert "is not a trainsoc trace" in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.99])
def test_truncated_file(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: max(4, int(len(content) * share))])
    assert "is cut short" in refusal(saved)


def test_damaged_file(saved):
    content = bytearray(saved.read_bytes())
    content[4:-8] = bytes(len(content) - 12)
    saved.write_bytes(content)
    assert "damaged" in refusal(saved)


def test_newer_major_schema_is_refused(saved):
    rewrite_header(saved, schema="2.0")
    assert refusal(saved).endswith(
        "trace schema 2.0 is newer than this trainsoc reads (1.x): upgrade trainsoc"
    )


def test_newer_minor_schema_is_read(trace, saved):
    assert SCHEMA == "1.5"
    rewrite_header(saved, schema="1.7", added="later")
    assert load_trace(saved) == trace


@pytest.mark.parametrize("place", ["missing/a.trace", "file/a.trace", ""])
def test_unwritable_target(trace, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    for attempt in (lambda path: save_trace(trace, path), check_writable):
        with pytest.raises(InputError, match="cannot write"):
            attempt(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_writable_target_is_left_alone(saved):
    before = saved.read_bytes()
    check_writable(saved)
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 1


@given(steps)
def test_a_digest_is_that_of_the_whole_text(step):
    text = repr((step.kind, step.ops, step.storages))
    assert step.digest == hashlib.sha256(text.encode()).hexdigest()


def test_equal_parts_of_a_trace_that_was_read_are_one_object():
    ops = [op for step in load_trace("mlp_digits").steps for op in step.ops]
    tensors = [tensor for op in ops for tensor in (*op.inputs, *op.outputs)]
    gemms = [gemm for op in ops for gemm in op.gemms]
    names = [each for op in ops for each in (op.name, op.layer)] + [t.dtype for t in tensors]
    for parts in ([t.shape for t in tensors] + [t.strides for t in tensors], gemms, names):
        assert len(set(map(id, parts))) == len(set(parts)) < len(parts)


def test_measured_times_are_kept_and_are_no_part_of_the_digest(tmp_path, trace):
    ops = [tuple(range(5, 5 + len(step.ops))) for step in trace.steps]
    timed = replace(trace, timings=tuple(Timing(7, times) for times in ops))
    save_trace(timed, tmp_path / "a.trace")
    again = load_trace(tmp_path / "a.trace")
    assert again == timed
    assert again.digest == trace.digest


def test_traces_of_the_schema_before_have_no_times():
    assert load_trace(bundled_traces()["lenet_digits"]).timings == ()


def test_columns_and_words_of_a_newer_minor_schema_are_passed_over(trace, saved):
    header = json.loads(pl.read_parquet_metadata(saved)["trainsoc.trace"])
    header["schema"] = "1.9"
    header["steps"][0] |= {"kind": "rehearsal", "colour": "blue"}
    frame = pl.read_parquet(saved).with_columns(
        pl.lit("later").alias("added"), pl.lit("warmup").alias("phase"), pl.lit("fft").alias("kind")
    )
    frame.write_parquet(saved, metadata={"trainsoc.trace": json.dumps(header)})
    (step,) = load_trace(saved).steps
    assert step.kind is StepKind.OTHER
    assert {(op.kind, op.phase) for op in step.ops} == {(OpKind.OTHER, Phase.OTHER)}
    assert [op.inputs for op in step.ops] == [op.inputs for op in trace.steps[0].ops]
