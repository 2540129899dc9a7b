"""A trace is checked once, where it is read: each wrong value is a sentence that names it."""

import json
from dataclasses import replace

import polars as pl
import pytest

from simulator.errors import InputError
from simulator.trace import rows
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor, convolution
from simulator.trace.op import valid_convolution as conv2d
from simulator.trace.passes.treatment import Method, Treatment
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Timing, Trace

KEY = "trainsoc.trace"
BEYOND = 10**30


def trace() -> Trace:
    """Return a trace with everything: op 0 multiplies 2 x 3 by 3 x 4, op 1 is a convolution."""
    x, w, y = (Tensor(i, "float32", shape, (shape[1], 1)) for i, shape in enumerate(SHAPES))
    image = Tensor(3, "float32", (1, 2, 6, 6), (72, 36, 6, 1))
    kernel = Tensor(4, "float32", (4, 2, 3, 3), (18, 9, 3, 1))
    made = Tensor(5, "float32", (1, 4, 4, 4), (64, 16, 4, 1))
    product = Gemm(Role.FORWARD, 1, 2, 4, 3, 0, 1, 0)
    conv = convolution(conv2d(2, 4, (6, 6), (3, 3), 1))
    ops = (
        Op("aten.mm.default", OpKind.GEMM, Phase.FORWARD, "fc", (x, w), (y,), (product,)),
        Op(
            "aten.convolution",
            OpKind.GEMM,
            Phase.FORWARD,
            "conv",
            (image, kernel),
            (made,),
            (conv,),
        ),
    )
    storages = tuple(Storage(size, StorageKind.ACTIVATION) for size in (24, 48, 32, 288, 288, 256))
    step = Step(StepKind.TRAIN, ops, storages)
    method = Method("int8", (("fc", Treatment(8, 8, 8, density=500)),))
    segments = (Segment(0, 0, 2), Segment(1, 0, 2))
    origin = {"tool": "test"}
    return Trace("built", (step,), segments, origin, (Timing(9, (4, 5)),), (method,))


SHAPES = ((2, 3), (3, 4), (2, 4))


@pytest.fixture
def path(tmp_path):
    save_trace(trace(), tmp_path / "a.trace")
    return tmp_path / "a.trace"


def put(content, where, value):
    """Set the value at a dotted path, "1.inputs.0.shape"."""
    *parents, last = (int(part) if part.isdecimal() else part for part in where.split("."))
    for part in parents:
        content = content[part]
    content[last] = value


def rewritten(path, change=lambda frame: frame, header=None):
    """Write the file again with other columns, and with `header` in place of its own."""
    told = header or pl.read_parquet_metadata(path)[KEY]
    change(pl.read_parquet(path)).write_parquet(path, metadata={KEY: told})


def with_value(path, where, value):
    """Write the file again with another value in a row."""
    content = pl.read_parquet(path).to_dicts()
    put(content, where, value)
    types = rows.schema(measured=True)
    rewritten(path, lambda _: pl.DataFrame(content, schema=types, orient="row"))


def with_header(path, where, value):
    """Write the file again with another value in its header."""
    header = json.loads(pl.read_parquet_metadata(path)[KEY])
    put(header, where, value)
    rewritten(path, header=json.dumps(header))


def refusal(path) -> str:
    with pytest.raises(InputError) as caught:
        load_trace(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 250
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("0.step", None, "op 0 of step null (aten.mm.default): step: null: the trace has 1 steps"),
        ("1.step", 1, "step: 1: the trace has 1 steps"),
        ("0.name", None, "op 0 of step 0 (): name: null: missing"),
        ("0.kind", None, "kind: null: missing"),
        ("0.phase", None, "phase: null: missing"),
        ("0.layer", None, "layer: null: missing"),
        ("0.random", None, "random: null: missing"),
        ("0.inputs", None, "inputs: null: missing"),
        ("0.outputs", None, "outputs: null: missing"),
        ("0.gemms", None, "gemms: null: missing"),
        ("0.inputs.1", None, "inputs.1.storage: null: no storage of its step"),
        ("0.gemms.0", None, "gemms.0.role: null: missing"),
        ("0.forward", None, "forward: null: no op of its step"),
        ("0.forward", 2, "forward: 2: no op of its step"),
        ("0.forward", -2, "forward: -2: no op of its step"),
        ("1.measured_ps", None, "measured_ps: null: not a whole number from 0 on"),
        ("1.measured_ps", -1, "measured_ps: -1: not a whole number from 0 on"),
        ("0.inputs.1.storage", 6, "op 0 of step 0 (aten.mm.default): inputs.1.storage: 6: no "),
        ("0.inputs.1.storage", -1, "inputs.1.storage: -1: no storage of its step"),
        ("1.outputs.0.dtype", None, "op 1 of step 0 (aten.convolution): outputs.0.dtype: null"),
        ("0.inputs.0.dtype", "banana", "inputs.0.dtype: 'banana': no element type"),
        ("0.inputs.0.dtype", "int0", "no element type that trainsoc knows"),
        ("0.inputs.0.dtype", "int999", "no element type that trainsoc knows"),
        ("0.inputs.0.shape", None, "inputs.0.shape: null: not whole numbers from 0 on"),
        ("0.inputs.0.shape", [2, None], "inputs.0.shape: [2, null]: not whole numbers from 0 on"),
        ("0.inputs.0.shape", [-2, 3], "inputs.0.shape: [-2, 3]: not whole numbers from 0 on"),
        ("0.inputs.0.shape", [3, 3], "inputs.0.shape: [3, 3]: reaches beyond its storage"),
        ("0.inputs.0.shape", [2**62, 1], "reaches beyond its storage"),
        ("0.inputs.0.shape", [2**32, 2**32], "more elements than 64 bits count"),
        ("0.inputs.0.strides", [3], "inputs.0.strides: [3]: not as many as dimensions"),
        ("0.inputs.0.strides", [-3, 1], "inputs.0.strides: [-3, 1]: not whole numbers from 0 on"),
        ("0.inputs.0.strides", [2**62, 2**62], "reaches beyond its storage"),
        ("0.inputs.0.offset", 1, "inputs.0.shape: [2, 3]: reaches beyond its storage"),
        ("0.inputs.0.offset", -1, "inputs.0.offset: -1: not a whole number from 0 on"),
        ("0.inputs.0.offset", 2**63 - 1, "reaches beyond its storage"),
        ("0.gemms.0.role", None, "gemms.0.role: null: missing"),
        ("0.gemms.0.batch", -1, "gemms.0.batch: -1: not a whole number from 0 on"),
        ("0.gemms.0.m", None, "gemms.0.m: null: not a whole number from 0 on"),
        ("0.gemms.0.m", 2000, "gemms.0.m: 2000: with n and k more than the tensors"),
        ("0.gemms.0.batch", 2**60, "batch x m x n x k is more than 64 bits count"),
        ("0.gemms.0.a", 2, "gemms.0.a: 2: none of the op's inputs, and not -1"),
        ("0.gemms.0.b", -2, "gemms.0.b: -2: none of the op's inputs, and not -1"),
        ("0.gemms.0.c", 1, "gemms.0.c: 1: none of the op's outputs, and not -1"),
        ("1.gemms.0.m", 17, "gemms.0.m: 17: batch, m, n and k are not those of the convolution"),
        ("1.gemms.0.batch", 2, "batch, m, n and k are not those of the convolution"),
        ("1.gemms.0.conv.images", None, "gemms.0.conv.images: null: not a whole number from 0 on"),
        ("1.gemms.0.conv.groups", 0, "gemms.0.conv.groups: 0: not a whole number from 1 on"),
        ("1.gemms.0.conv.groups", 3, "gemms.0.conv.groups: 3: does not divide the channels"),
        ("1.gemms.0.conv.kernel", [3], "gemms.0.conv.kernel: [3]: sizes are not of one, two or"),
        ("1.gemms.0.conv.kernel", None, "gemms.0.conv.kernel: null: not whole numbers from 1 on"),
        ("1.gemms.0.conv.stride", [0, 1], "gemms.0.conv.stride: [0, 1]: not whole numbers from 1"),
        ("1.gemms.0.conv.output", [4, 9], "gemms.0.conv.output: [4, 9]: not the output of such a"),
        ("1.gemms.0.conv.transposed", None, "gemms.0.conv.transposed: null: missing"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_row_is_named(path, where, value, says):
    with_value(path, where, value)
    assert says in refusal(path)


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("schema", "x", "schema: 'x': string should match pattern"),
        ("schema", 1.2, "schema: 1.2: should be a valid string"),
        ("name", ["a"], "name: ['a']: should be a valid string"),
        ("name", None, "name: null: should be a valid string"),
        ("origin", {"tool": 5}, "origin.tool: 5: should be a valid string"),
        ("origin", [], "origin: []: should be an object"),
        ("segments", [], "segments: []: list should have at least 1 item"),
        ("segments.1", [0, 0], "segments.1: [0, 0]: list should have at least 3 items"),
        ("segments.1.0", float("nan"), "segments.1.0: NaN: should be a valid integer"),
        ("segments.1.0", -1, "segments.1.0: -1: should be greater than or equal to 0"),
        ("segments.1.0", 10**9, "segments.1: epoch 1000000000: number the epochs from 0"),
        ("segments.1.1", 1, "segments.1: step 1: the trace has 1 steps"),
        ("segments.1.2", 2.5, "segments.1.2: 2.5: should be a valid integer"),
        ("segments.1.2", True, "segments.1.2: true: should be a valid integer"),
        ("segments.1.2", 0, "segments.1: count 0: a segment runs at least once"),
        ("segments.1.2", BEYOND, f"segments.1.2: {BEYOND}: should be less than or equal to"),
        ("segments.1", [0, 0, 1, 7], "segments.1: method 7: the trace has 1 methods"),
        ("steps", 5, "steps: 5: should be a valid array"),
        ("steps", [], "segments.0: step 0: the trace has 0 steps"),
        ("steps.0.kind", None, "steps.0.kind: null: should be a valid string"),
        ("steps.0.storages.1.0", -4, "steps.0.storages.1.0: -4: should be greater than or equal"),
        ("steps.0.storages.1.0", 1e300, "steps.0.storages.1.0: 1e+300: should be a valid integer"),
        ("steps.0.storages.1", [4], "steps.0.storages.1.1: missing"),
        ("steps.0.storages.1.2", 5, "steps.0.storages.1.2: 5: should be a valid string"),
        ("methods", [], "methods: []: list should have at least 1 item"),
        ("methods.0.name", True, "methods.0.name: true: should be a valid string"),
        ("methods.0.layers.0", "fc", "methods.0.layers.0: 'fc': should be a valid"),
        ("methods.0.layers.0.1.weights", "8", "layers.0.1.weights: '8': should be a valid integer"),
        ("methods.0.layers.0.1.weights", 0, "weights: 0: should be greater than or equal to 1"),
        ("methods.0.layers.0.1.weights", 65, "weights: 65: should be less than or equal to 64"),
        ("methods.0.layers.0.1.density", -5, "density: -5: should be greater than or equal to 0"),
        ("methods.0.layers.0.1.density", 1001, "density: 1001: should be less than or equal to 1"),
        ("methods.0.layers.0.1.frozen", 1, "layers.0.1.frozen: 1: should be a valid boolean"),
        ("measured_ps", [1, 2], "measured_ps: 2 values for 1 steps"),
        ("measured_ps.0", -1, "measured_ps.0: -1: should be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_the_header_is_named(path, where, value, says):
    with_header(path, where, value)
    assert says in refusal(path)


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", "{", "[" * 100_000, '{"schema": "1.2", "name": "\\ud800"}', "{}"]
)
def test_a_header_that_is_none_is_refused(path, text):
    rewritten(path, header=text or " ")
    refusal(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop("inputs"), "inputs: missing"),
        (lambda frame: frame.drop("measured_ps"), "measured_ps: missing"),
        (lambda frame: frame.with_columns(pl.col("step").cast(pl.Float64)), "step: a column of F"),
        (lambda frame: frame.with_columns(outputs=pl.lit("x")), "outputs: a column of String"),
        (lambda frame: frame.with_columns(gemms=pl.lit([1])), "gemms: a column of Int"),
        (lambda frame: frame.with_columns(inputs=pl.lit([{"a": 1}])), "inputs.storage: missing"),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_named(path, change, says):
    rewritten(path, change)
    assert says in refusal(path)


def test_names_of_a_file_reach_no_terminal_as_they_are(path):
    with_value(path, "0.name", "evil\x1b[2J\n" * 50)
    with_value(path, "0.forward", 7)
    assert "(evil\\x1b[2J\\nevil" in refusal(path)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("0.inputs.0.strides", [0, 1]),  # expanded
        ("0.inputs.0.strides", [1, 1]),  # sliding windows
        ("0.inputs.0.strides", [1, 2]),  # transposed
        ("0.inputs.0.shape", [0, 10**12]),  # empty
        ("0.inputs.0.dtype", "int6"),
        ("0.inputs.0.dtype", "float8_e4m3fn"),
        ("0.inputs.0.dtype", "bool"),
        ("0.gemms.0.role", "later"),
        ("0.gemms.0.k", 300),  # of a sparse A: B and C tell no more of k
        ("1.gemms.0.conv", None),
        ("1.kind", "later"),
    ],
)
def test_tensors_and_products_of_all_kinds_are_taken(path, where, value):
    if where.endswith("k"):
        with_value(path, "0.gemms.0.b", -1)
    with_value(path, where, value)
    assert len(load_trace(path).steps[0].ops) == 2


def test_epochs_may_have_gaps_and_be_many(path):
    with_header(path, "segments.1.0", 9)
    assert load_trace(path).epochs == 10
    with_header(path, "segments", [[epoch, 0, 1] for epoch in range(20_000)])
    assert load_trace(path).epochs == 20_000


def test_fields_that_a_newer_version_added_are_passed_over(path):
    def newer(frame):
        more = pl.col("inputs").list.eval(pl.element().struct.with_fields(row=pl.lit("later")))
        return frame.with_columns(inputs=more, added=pl.lit(1))

    rewritten(path, newer)
    assert load_trace(path) == replace(trace())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda op: replace(op, gemms=(replace(op.gemms[0], m=BEYOND),)), f"1 x {BEYOND}"[:16]),
        (lambda op: replace(op, gemms=(replace(op.gemms[0], m=2**61),)), "more than 64 bits count"),
        (lambda op: replace(op, inputs=(replace(op.inputs[0], shape=(BEYOND,)),)), "more elements"),
    ],
)
def test_a_number_beyond_64_bits_is_never_written(change, says, tmp_path):
    whole = trace()
    step = replace(whole.steps[0], ops=tuple(map(change, whole.steps[0].ops)))
    with pytest.raises(
        InputError, match=r"a\.trace cannot hold the trace: op 0 of step 0"
    ) as caught:
        save_trace(replace(whole, steps=(step,)), tmp_path / "a.trace")
    assert says in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: replace(whole, timings=(Timing(BEYOND, (1, 1)),)),
        lambda whole: replace(whole, timings=(Timing(1, (1, BEYOND)),)),
        lambda whole: replace(whole, steps=(replace(whole.steps[0], storages=(HUGE,)),)),
    ],
)
def test_neither_is_a_time_or_a_storage(change, tmp_path):
    with pytest.raises(InputError, match=r"a\.trace cannot hold the trace: "):
        save_trace(change(trace()), tmp_path / "a.trace")
    assert not list(tmp_path.iterdir())


HUGE = Storage(BEYOND, StorageKind.ACTIVATION)
