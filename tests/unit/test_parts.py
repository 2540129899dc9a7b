"""Parts of a trace: nothing is lost or counted twice at a cut, and bytes are those by hand."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import simulate
from simulator.errors import InputError
from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.parts import TracePart, crossing, part, source_of
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Segment, StorageKind, Trace
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc

FLOAT, BATCH = 4, 32
LENET, RESNET = load_trace("lenet_digits"), load_trace("resnet20_digits")
CUTS = [(LENET, cut) for cut in ("conv2", "fc1", "fc3")] + [
    (RESNET, cut) for cut in ("bn1", "layer1.2", "layer2", "layer3.0.conv2", "fc")
]


def halves(cut):
    return [TracePart.parse(text) for text in (f"..<{cut}", f"{cut}..")]


def amounts(trace):
    """MACs, bytes and ops of the whole run by phase: what a cut must not change."""
    sums = Counter()
    for number, step in enumerate(trace.steps):
        runs = trace.runs_of(number)
        for op in step.ops:
            sums[op.phase, "ops"] += runs
            sums[op.phase, "macs"] += runs * sum(gemm.macs for gemm in op.gemms)
            sums[op.phase, "bytes"] += runs * (op.read_bytes + op.write_bytes)
    return sums


@pytest.mark.parametrize(("trace", "cut"), CUTS)
def test_two_halves_are_the_whole(trace, cut):
    first, second = (part(trace, half) for half in halves(cut))
    assert amounts(first) + amounts(second) == amounts(trace)
    assert first.parameters + second.parameters == trace.parameters


@pytest.mark.parametrize(("trace", "cut"), CUTS)
@pytest.mark.parametrize("step", [None, 3])
def test_what_leaves_one_half_enters_the_other(trace, cut, step):
    first, second = (crossing(trace, half, step) for half in halves(cut))
    assert (first.enters, first.leaves) == (second.leaves, second.enters)
    assert first.leaves > 0


def test_a_cut_in_training_costs_what_it_does_by_hand():
    """Forward the pooled maps of conv1 and the labels, backward their gradients."""
    maps, labels = BATCH * 6 * 14 * 14 * FLOAT, BATCH * 8
    before = crossing(LENET, "..<conv2")
    assert (before.leaves, before.enters) == (maps + labels, maps)
    assert before.weights == (6 * 25 + 6) * FLOAT
    alone = crossing(LENET, "conv2")
    after = BATCH * 16 * 10 * 10 * FLOAT
    assert alone.enters == maps + after  # its input, and the gradient of its rectified output
    assert alone.leaves == after + maps  # its rectified output, and the gradient of its input


def test_the_images_are_an_input_and_cross_nothing():
    whole = crossing(LENET, "conv1..")
    data = crossing(LENET, "phase=data")
    images, labels = BATCH * 28 * 28 * FLOAT, BATCH * 8
    assert whole.enters == images + labels == data.leaves
    assert (whole.leaves, whole.inputs, data.weights) == (0, 0, 0)
    assert data.inputs > 0


def test_a_layer_that_runs_twice_is_cut_where_it_runs():
    """LeNet pools twice with one module: a range goes through both, a name alone takes both."""
    through = part(LENET, "..pool phase=forward").steps[0]
    alone = part(LENET, "pool phase=forward").steps[0]
    layers = [op.layer for op in through.ops if op.layer]
    assert layers == ["conv1", "pool", "conv2", "pool"]
    assert [op.layer for op in alone.ops if op.layer] == ["pool", "pool"]


def test_phases_and_ops_narrow_a_part():
    step = part(LENET, "conv2.. phase=forward,loss").steps[0]
    assert {op.phase for op in step.ops} == {Phase.FORWARD, Phase.LOSS}
    last = part(LENET, "ops=70..71").steps[0]
    assert [op.name for op in last.ops] == [op.name for op in LENET.steps[0].ops[70:72]]


def test_a_part_is_a_trace(tmp_path):
    second = part(LENET, "conv2..")
    save_trace(second, tmp_path / "second.trace")
    assert load_trace(tmp_path / "second.trace").digest == second.digest != LENET.digest
    both = [simulate("cpu-only", part(LENET, half)).total["macs"] for half in halves("conv2")]
    assert sum(both) == simulate("cpu-only", LENET).total["macs"]


def test_what_enters_is_an_input_and_forward_ops_are_found_again():
    step = part(LENET, "fc2..").steps[0]
    first = next(op for op in step.ops if op.gemms)
    assert step.storages[first.inputs[1].storage].kind is StorageKind.INPUT
    backward = [op for op in step.ops if op.forward >= 0 and op.layer == "fc3"]
    assert backward
    assert {step.ops[op.forward].layer for op in backward} == {"fc3"}


def test_steps_that_are_equal_within_a_part_become_one():
    """The first step creates the optimizer's state, the last one of an epoch has fewer images."""
    spec = TracePart.parse("conv1 phase=forward")
    first = part(LENET, spec)
    runs = [LENET.runs_of(number) for number in range(3)]
    assert [first.runs_of(number) for number in range(2)] == [runs[0] + runs[1], runs[2]]
    assert [source_of(LENET, spec, number) for number in range(2)] == [0, 2]


def foreach(slopes_of="ab"):
    """A step of two layers, whose parameters one op updates; which layer makes their gradients."""
    builder = StepBuilder()
    weights = [
        builder.tensor(8, size, kind=StorageKind.PARAMETER, name=f"{name}.weight")
        for name, size in (("a", 4), ("b", 16))
    ]
    slopes = [builder.tensor(*w.shape, kind=StorageKind.GRADIENT) for w in weights]
    x = builder.tensor(8, kind=StorageKind.INPUT)
    for name, w in zip("ab", weights, strict=True):
        y = builder.tensor(8)
        builder.ops.append(Op("use", OpKind.OTHER, Phase.FORWARD, name, (x, w), (y,)))
        x = y
    for name, g in zip(slopes_of, slopes, strict=True):
        builder.ops.append(Op("slope", OpKind.OTHER, Phase.WGRAD, name, (y,), (g,)))
    builder.ops.append(
        Op("_foreach_add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "",
           (*weights, *slopes), tuple(weights))
    )  # fmt: skip
    return one_step_trace(builder)


def test_an_update_of_all_layers_is_divided_among_them():
    trace = foreach()
    for name, size in (("a", 32), ("b", 128)):
        (step,) = part(trace, name).steps
        update = step.ops[-1]
        assert [t.bytes for t in update.inputs] == [size * FLOAT] * 2
        assert [t.bytes for t in update.outputs] == [size * FLOAT]
    a = crossing(trace, "a")
    assert (a.enters, a.leaves) == (8 * FLOAT, 8 * FLOAT)  # b makes what gradients are made of


def test_an_update_takes_its_gradient_from_wherever_that_is_made():
    """As the gradient of shared weights, which the last layer makes first."""
    trace = foreach("bb")
    (step,) = part(trace, "a").steps
    assert [tensor.bytes for tensor in step.ops[-1].inputs] == [32 * FLOAT] * 2
    assert crossing(trace, "a").enters == 32 * FLOAT


def test_shared_weights_cross_to_the_side_that_does_not_update_them():
    """As the embedding of a language model, which is its last layer too."""
    builder = StepBuilder()
    shared = builder.tensor(100, kind=StorageKind.PARAMETER, name="token.weight")
    x, y = builder.tensor(8), builder.tensor(8)
    builder.ops += [
        Op("embed", OpKind.OTHER, Phase.FORWARD, "token", (shared,), (x,)),
        Op("head", OpKind.OTHER, Phase.FORWARD, "head", (x, shared), (y,)),
        Op("add_", OpKind.OTHER, Phase.OPTIMIZER, "token", (shared,), (shared,)),
    ]
    training = one_step_trace(builder)
    assert crossing(training, "head").enters == (8 + 100) * FLOAT
    builder.ops.pop()
    assert crossing(one_step_trace(builder), "head").enters == 8 * FLOAT


storages = st.integers(0, 3)


@given(st.lists(st.tuples(storages, storages, st.booleans()), min_size=1, max_size=9))
@settings(deadline=None)
def test_crossing_is_what_a_walk_finds(ops):
    """Ops that read one storage and write another, each inside or outside."""
    builder = StepBuilder()
    tensors = [builder.tensor(2**n) for n in range(4)]
    for number, (source, target, _) in enumerate(ops):
        read, written = (tensors[source],), (tensors[target],)
        builder.ops.append(Op("op", OpKind.OTHER, Phase.FORWARD, f"l{number}", read, written))
    names = [f"l{number}" for number, (_, _, inside) in enumerate(ops) if inside]
    if not names:
        return
    crossed = set()  # a version of a storage, and the side that gets it
    writer, version = {}, Counter()
    for source, target, inside in ops:
        if writer.get(source, inside) is not inside:
            crossed.add((source, version[source], inside))
        writer[target] = inside
        version[target] += 1
    found = crossing(one_step_trace(builder), ",".join(names))
    for side, size in ((True, found.enters), (False, found.leaves)):
        assert size == sum(2**s * FLOAT for s, _, receiver in crossed if receiver is side)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "part '': it is empty; write conv1..layer2"),
        ("conv1 phase=warm", "no phase 'warm'; use forward, dgrad"),
        ("ops=9..3", "ops=9..3: write ops=10..42"),
        ("a..b..c", "'a..b..c' is no range of layers; write"),
        ("..", "'..' is no range of layers"),
    ],
)
def test_text_that_is_no_part(text, said):
    with pytest.raises(InputError, match=said):
        TracePart.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("conv9..fc1", "there is no layer 'conv9'; layers in order: conv1, pool, conv2, fc1"),
        ("fc1..conv1", "no op is in it; layers in order: conv1"),
        ("conv1 phase=decode", "no op is in it"),
    ],
)
def test_a_part_that_is_empty(text, said):
    with pytest.raises(InputError, match=said):
        part(LENET, text)


@pytest.mark.parametrize(
    "text", ["conv1..layer2", "..<layer3", "fc,layer1 phase=forward,loss ops=1..9", "layer3.."]
)
def test_a_part_reads_as_it_is_written(text):
    assert str(TracePart.parse(text)) == text


def test_steps_without_the_part_are_left_out():
    builder, other = StepBuilder(), StepBuilder()
    builder.gemm(2, 2, 2, layer="a")
    other.gemm(2, 2, 2, layer="b")
    runs = (Segment(0, 0, 2), Segment(0, 1, 3), Segment(1, 0, 4))
    trace = Trace("two", (builder.step(), other.step()), runs)
    assert part(trace, "a").segments == (Segment(0, 0, 2), Segment(1, 0, 4))
    assert part(trace, "b").segments == (Segment(0, 0, 3),)


def test_a_command_runs_a_part_and_says_how():
    done = trainsoc("run", "cpu-only", "lenet_digits", "--part", "conv2.. phase=eval", "--json")
    document = json.loads(done.stdout)
    assert [row["phase"] for row in document["phases"]] == ["eval"]
    assert 2 * document["total"]["macs"] == part(LENET, "conv2..").flops_by_phase()["eval"]
    command = "trainsoc run cpu-only lenet_digits --part 'conv2.. phase=eval'"
    assert document["provenance"]["command"] == command


def test_a_command_shows_what_crosses():
    done = trainsoc("show", "lenet_digits", "--part", "..<conv2", "--json")
    shown = json.loads(done.stdout)["part"]
    found = crossing(LENET, "..<conv2")
    assert (shown["leave_bytes"], shown["enter_bytes"]) == (found.leaves, found.enters)
    assert (shown["part"], shown["step_of_trace"], shown["weight_bytes"]) == ("..<conv2", 1, 624)
    assert shown["macs"] == 2 * BATCH * 28 * 28 * 6 * 25  # forward and weight gradient


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "lenet_digits", "--part", "conv9"], "there is no layer 'conv9'"),
        (["run", "cpu-only", "lenet_digits", "--part", ".."], "'..' is no range of layers"),
        (["show", "cpu-only", "--part", "fc"], "--part fc: cpu-only is hardware"),
    ],
)
def test_a_command_refuses_in_one_sentence(arguments, said):
    done = trainsoc(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
