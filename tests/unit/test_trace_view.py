"""Does a trace's description say what is in it: work, epochs, what tells steps apart, and notes?"""

import io
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from simulator.errors import InputError
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, convolution
from simulator.trace.storage import load_trace
from simulator.trace.totals import by_layer, by_phase_and_kind, shares
from simulator.trace.trace import Segment, StepKind, StorageKind, Trace
from simulator.views.origin import notes, provenance
from simulator.views.trace_summary import trace_summary
from simulator.views.trace_view import trace_table
from tests.builders import StepBuilder, one_step_trace


def text(document):
    console = Console(width=150, file=io.StringIO())
    console.print(trace_table(document))
    return console.file.getvalue()


def simple(layer="fc", batch=8):
    """A product and a relu: what they compute and move is known by hand."""
    builder = StepBuilder()
    builder.elementwise(builder.gemm(batch, 16, 4, layer=layer))
    return builder


def test_work_by_hand():
    document = trace_summary(one_step_trace(simple(), 3))
    (row,) = document["phases"]
    product, relu = 4 * (8 * 4 + 4 * 16 + 8 * 16), 4 * (2 * 8 * 16)
    assert row["phase"] == "forward"
    assert (row["ops"], row["gemms"]) == (2, 1)
    assert row["flops"] == 2 * 8 * 16 * 4
    assert row["bytes"] == product + relu
    assert row["flops_per_byte"] == row["flops"] / (product + relu)
    assert {kind: part["bytes"] for kind, part in row["by_kind"].items()} == {
        "gemm": product, "elementwise": relu,
    }  # fmt: skip
    layers = {layer["layer"]: layer for layer in document["layers"]}
    assert layers["fc"]["flops_per_byte"] == 2 * 8 * 16 * 4 / product
    assert (layers["act"]["flops"], layers["act"]["bytes"]) == (0, relu)
    assert document["flops_by_phase"] == {"forward": 3 * row["flops"]}


def test_an_op_of_two_gradients_moves_the_operands_of_each():
    builder = StepBuilder()
    conv = Conv(2, 3, 5, (8, 8), (6, 6), (3, 3), (1, 1), (0, 0), (1, 1))
    grad, x, w = builder.tensor(2, 5, 6, 6), builder.tensor(2, 3, 8, 8), builder.tensor(5, 3, 3, 3)
    dx, dw, db = builder.tensor(2, 3, 8, 8), builder.tensor(5, 3, 3, 3), builder.tensor(5)
    data = convolution(conv, Role.DGRAD)
    weight = Gemm(Role.WGRAD, 1, *conv.product(Role.WGRAD), 0, 1, 1, conv)
    data = Gemm(Role.DGRAD, 1, data.m, data.n, data.k, 0, 2, 0, conv)
    op = Op("aten.convolution_backward.default", OpKind.GEMM, Phase.DGRAD, "conv",
            (grad, x, w), (dx, dw, db), (data, weight))  # fmt: skip
    found = {share.phase: share for share in shares(op)}
    assert found[Phase.DGRAD].bytes == grad.bytes + w.bytes + dx.bytes
    assert found[Phase.WGRAD].bytes == grad.bytes + x.bytes + dw.bytes + db.bytes
    assert [found[p].ops for p in (Phase.DGRAD, Phase.WGRAD)] == [1, 0]
    assert sum(share.flops for share in found.values()) == 2 * (data.macs + weight.macs)


@pytest.mark.parametrize("name", ["mlp_digits", "lenet_digits", "resnet20_digits"])
def test_sums_by_kind_and_by_layer_are_those_of_the_ops(name):
    trace = load_trace(name)
    for index, step in enumerate(trace.steps):
        kinds, layers = by_phase_and_kind(step).values(), by_layer(step).values()
        for totals in (kinds, layers):
            assert sum(t.ops for t in totals) == len(step.ops)
            assert sum(t.flops for t in totals) == 2 * sum(
                g.macs for o in step.ops for g in o.gemms
            )
        assert sum(t.bytes for t in kinds) == sum(t.bytes for t in layers)
        assert sum(t.bytes for t in kinds) >= sum(o.read_bytes + o.write_bytes for o in step.ops)
        shown = trace_summary(trace, index)
        assert sum(row["flops"] for row in shown["phases"]) == shown["distinct"][index]["flops"]


def test_flops_of_the_run_are_those_of_its_steps():
    document = trace_summary(load_trace("lenet_digits"))
    run = sum(row["flops"] * row["runs"] for row in document["distinct"])
    assert run == sum(document["flops_by_phase"].values())


# What ran when


def several(segments):
    """Three steps: two training ones of which the second has more ops, one evaluation."""
    train, longer, evaluate = simple(batch=8), simple(batch=6), simple(batch=32)
    longer.elementwise(longer.tensor(3))
    steps = (train.step(), longer.step(), evaluate.step(StepKind.EVAL))
    return Trace("several", steps, tuple(Segment(*entry) for entry in segments))


def test_equal_epochs_are_told_once():
    epoch = [(0, 40), (1, 1), (0, 4), (2, 12)]
    segments = [(e, s, n) for e in (0, 1, 2, 4) for s, n in epoch] + [(3, 0, 45)]
    document = trace_summary(several(segments))
    shown = text(document)
    assert "epochs 0-2, 4: step 0 x 44, step 1 x 1, eval 2 x 12\n" in shown
    assert "epoch 3: step 0 x 45\n" in shown


segments = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=20
)


@given(segments)
@settings(deadline=None, max_examples=50)
def test_no_step_of_any_epoch_is_lost(made):
    found = Counter()
    for group in trace_summary(several(made))["steps_per_epoch"]:
        for first, last in group["epochs"]:
            for epoch in range(first, last + 1):
                for entry in group["steps"]:
                    found[epoch, entry["step"]] += entry["count"]
    expected = Counter()
    for epoch, step, count in made:
        expected[epoch, step] += count
    assert found == expected


def test_what_tells_steps_apart():
    rows = trace_summary(several([(0, 0, 9), (0, 1, 1), (0, 2, 1)]))["distinct"]
    assert [row["kind"] for row in rows] == ["train", "train", "eval"]
    assert [row["batch"] for row in rows] == [8, 6, 32]
    assert [row["runs"] for row in rows] == [9, 1, 1]
    assert [row["flops"] for row in rows] == [2 * batch * 16 * 4 for batch in (8, 6, 32)]
    assert [row["unlike"] for row in rows] == [None, 0, None]
    assert rows[1]["more_ops"] == {"relu": 1}
    rows = trace_summary(several([(0, 0, 1), (0, 1, 9)]))["distinct"]
    assert (rows[0]["unlike"], rows[0]["more_ops"], rows[1]["unlike"]) == (1, {"relu": -1}, None)


def test_the_batch_is_that_of_the_first_layer():
    rows = trace_summary(load_trace("lenet_digits"))["distinct"]
    # 1437 digits in batches of 32, 360 in batches of 128: the last ones hold what is left
    assert {row["batch"] for row in rows if row["kind"] == "train"} == {32, 1437 % 32}
    assert {row["batch"] for row in rows if row["kind"] == "eval"} == {128, 360 % 128}
    assert rows[0]["input_shape"][1:] == [1, 28, 28]


def test_the_first_input_is_no_weight():
    builder = StepBuilder()
    table = builder.tensor(50, 4, kind=StorageKind.PARAMETER, name="token.weight")
    builder.elementwise(table, builder.tensor(3, 7), layer="token")  # as embedding takes them
    (row,) = trace_summary(one_step_trace(builder))["distinct"]
    assert (row["batch"], row["input_shape"]) == (3, [3, 7])


def test_a_step_by_number_and_the_typical_one():
    trace = several([(0, 0, 9), (0, 1, 1), (0, 2, 1)])
    assert trace_summary(trace)["step"] == 0
    assert {row["phase"] for row in trace_summary(trace, 2)["phases"]} == {"forward"}
    assert trace_summary(trace, 1)["phases"][0]["ops"] == 3
    for wrong in (3, -1):
        with pytest.raises(InputError, match=f"step {wrong}: trace several has steps 0-2"):
            trace_summary(trace, wrong)


# What it says in words


def test_the_text_names_the_peak_and_what_is_held_there():
    builder = StepBuilder()
    x = builder.gemm(100, 50, 10, layer="body.first")  # 4 kB, 2 kB of weights, 20 kB
    builder.elementwise(x, layer="body.act")  # 20 kB more
    builder.tensor(5000, kind=StorageKind.OPTIMIZER_STATE, name="w.momentum")
    document = trace_summary(one_step_trace(builder))
    assert document["peak"]["bytes"] == 2000 + 20000 + 20000 + 20000
    shown = text(document)
    assert "Memory: 62 kB at its peak, during op 1, relu of body.act (forward)." in shown
    assert "w.momentum" in shown


def test_a_storage_belongs_to_the_op_that_works_on_it_and_not_to_a_view():
    held = trace_summary(load_trace("lenet_digits"))["peak"]["storages"]
    (batch,) = (row for row in held if row["op_name"] == "stack")
    assert (batch["kind"], batch["first_op"]) == ("activation", 64)  # 64 views of images before


def test_a_step_without_ops_is_described():
    trace = one_step_trace(StepBuilder())
    assert "in a step without ops" in text(trace_summary(trace))


def test_a_long_trace_is_told_in_few_lines():
    trace = several([(e, 0, 1 + e) for e in range(500)])
    assert "... and 488 more kinds of epoch" in text(trace_summary(trace))
    assert text(trace_summary(trace)).count("\n") < 60


def test_notes_are_sentences():
    origin = {
        "tool": "trainsoc capture", "torch": "2.13.0", "mode": "shapes only",
        "approximated_steps": "3", "stand_ins": "2 values {were} taken as 1", "new_key": "7",
    }  # fmt: skip
    assert provenance(origin) == "Made by trainsoc capture with torch 2.13.0, by shapes alone."
    assert notes(origin) == [
        "Steps counted as the most similar one that was recorded in full: 3.",
        "Fake capture: 2 values {were} taken as 1.",
        "new key: 7.",
    ]
    assert (provenance({}), notes({})) == ("", [])
