"""Files of other tools become traces that say what was run."""

import random

import pytest

from simulator.trace.importers import IMPORTERS
from simulator.trace.op import OpKind, Phase
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Segment, StepKind
from tests.command_line import trainsoc
from tests.system.import_samples import FILES, ROLES, imported, read, refused, sample, truth, write


@pytest.mark.parametrize("name", FILES)
def test_samples_have_the_products_that_were_run(name):
    trace, known = imported(name), truth(name)
    wanted = [(ROLES[g[0]], *g[1:]) for op in known["prototype_gemms"] for g in op["gemms"]]
    (step,) = trace.steps
    assert trace.segments == (Segment(0, 0, FILES[name][1]),)
    assert step.kind is StepKind.TRAIN
    found = [(g.role.value, g.batch, g.m, g.n, g.k) for op in step.ops for g in op.gemms]
    assert found == wanted


@pytest.mark.parametrize("name", FILES)
def test_samples_have_the_flops_that_pytorch_counts(name):
    trace, known = imported(name), truth(name)
    steps = FILES[name][1]
    flops = trace.flops_by_phase()
    counted = {phase: entry["total"] for phase, entry in known["flopcounter_by_phase"].items()}
    assert flops["forward"] == steps * counted["forward"]
    assert flops["dgrad"] + flops["wgrad"] == steps * counted["backward"]
    roles = known["prototype_flops_by_phase_role"]
    assert flops["dgrad"] == steps * roles["backward/dgrad"]
    assert set(flops) == {"forward", "dgrad", "wgrad"}
    assert trace.parameters == known["params"]


@pytest.mark.parametrize("name", FILES)
def test_samples_have_the_convolutions_that_modules_called(name):
    calls = [c for c in truth(name)["conv_linear_forward_calls"] if c["type"] == "Conv2d"]
    (step,) = imported(name).steps
    found = [op for op in step.ops if op.phase is Phase.FORWARD and op.gemms and op.gemms[0].conv]
    for op, call in zip(found, calls, strict=True):
        conv = op.gemms[0].conv
        assert [conv.images, conv.in_channels, *conv.input] == call["input"]
        assert [conv.images, conv.out_channels, *conv.output] == call["output"]
        assert list(conv.stride) == call["stride"]
        assert list(conv.padding) == call["padding"]


@pytest.mark.parametrize("name", FILES)
def test_what_was_inferred_is_said_and_a_trace_survives_its_file(name, tmp_path):
    trace = imported(name)
    assert trace.origin["inferred"]
    save_trace(trace, tmp_path / "t.trace")
    assert load_trace(tmp_path / "t.trace") == trace


def test_profiles_carry_the_times_of_their_events():
    events = [e for e in read("lenet.kineto_stack")["traceEvents"] if e.get("name") == "aten::mm"]
    trace = imported("lenet.kineto_stack")
    times = [
        ps
        for op, ps in zip(trace.steps[0].ops, trace.timings[0].ops_ps, strict=True)
        if op.base_name == "mm"
    ]
    assert times == [round(event["dur"] * 1e6) for event in events]


def test_layers_are_modules_where_the_profile_has_them():
    layers = {op.layer for op in imported("lenet.kineto_stack").steps[0].ops if op.gemms}
    assert layers == {"Conv2d_0", "Conv2d_1", "Linear_0", "Linear_1", "Linear_2"}
    layers = {op.layer for op in imported("lenet.et").steps[0].ops if op.gemms}
    assert layers == {"conv2d_0", "conv2d_1", "linear_0", "linear_1", "linear_2"}


def test_optimizer_work_has_the_layer_of_its_parameter():
    (step,) = imported("lenet.et_only").steps
    updates = [op for op in step.ops if op.base_name == "addcdiv_"]
    names = ("conv2d_0", "conv2d_1", "linear_0", "linear_1", "linear_2")
    assert [op.layer for op in updates] == [name for name in names for _ in range(2)]


def test_views_and_sync_are_told_from_work():
    (step,) = imported("lenet.et").steps
    views = {op.base_name for op in step.ops if op.kind is OpKind.VIEW}
    assert views <= {"t", "view", "detach"}
    assert {op.base_name for op in step.ops if op.kind is OpKind.SYNC} == {"_local_scalar_dense"}


def test_the_command_line_says_what_was_inferred(tmp_path):
    out = tmp_path / "t.trace"
    done = trainsoc("import", "execution-trace", sample("lenet.et"), "-o", out)
    assert done.returncode == 0, done.stderr
    assert "by the order of ops" in done.stderr
    assert load_trace(out).count(StepKind.TRAIN) == 2


# Schemas


def flat(node):
    """Write a node as schema 1.0.1 had it."""
    facts = {attr["name"]: attr["value"] for attr in node["attrs"]}
    sides = {
        name: node[side][what]
        for side, single in (("inputs", "input"), ("outputs", "output"))
        for what, name in (
            ("values", side), ("shapes", f"{single}_shapes"), ("types", f"{single}_types"),
        )
    }  # fmt: skip
    kept = ("fw_parent", "seq_id", "scope", "tid", "fw_tid", "op_schema")
    return {
        "name": node["name"], "id": node["id"], "parent": node["ctrl_deps"],
        **{key: facts[key] for key in kept}, **sides,
    }  # fmt: skip


def test_the_flat_schema_says_the_same(tmp_path):
    content = read("lenet.et")
    content |= {"schema": "1.0.1", "nodes": [flat(node) for node in content["nodes"]]}
    trace = IMPORTERS["execution-trace"](write(tmp_path / "flat.json", content))
    assert trace.flops_by_phase() == imported("lenet.et").flops_by_phase()
    assert trace.segments == imported("lenet.et").segments


def test_nodes_without_schemas_say_the_same(tmp_path):
    content = read("resnet18_cifar.et")
    for node in content["nodes"]:
        node["attrs"] = [attr for attr in node["attrs"] if attr["name"] != "op_schema"]
    trace = IMPORTERS["execution-trace"](write(tmp_path / "bare.json", content))
    wanted = imported("resnet18_cifar.et")
    assert trace.flops_by_phase() == wanted.flops_by_phase()
    assert trace.parameters == wanted.parameters
    assert [op.read_bytes for op in trace.steps[0].ops] == [
        op.read_bytes for op in wanted.steps[0].ops
    ]


def test_roles_follow_from_shapes_where_no_optimizer_steps(tmp_path):
    content = read("lenet.et_only")
    for node in content["nodes"]:
        node["name"] = node["name"].replace("Optimizer.step#", "step#")
    trace = IMPORTERS["execution-trace"](write(tmp_path / "no_step.json", content))
    wanted = imported("lenet.et_only").flops_by_phase()
    found = trace.flops_by_phase()
    assert {phase: found[phase] for phase in wanted} == wanted
    assert "by shape" in trace.origin["inferred"]


@pytest.mark.parametrize("schema", ["1.2.0", "1.9.7-chakra.3.0.0"])
def test_newer_minor_schemas_are_read(schema, tmp_path):
    content = read("lenet.et") | {"schema": schema}
    trace = IMPORTERS["execution-trace"](write(tmp_path / "new.json", content))
    assert trace.origin["schema"] == schema


def test_another_major_schema_is_refused(tmp_path):
    content = read("lenet.et") | {"schema": "2.0.0"}
    refused("execution-trace", write(tmp_path / "t.json", content), "2.0.0", "upgrade")


def test_nodes_in_the_order_they_began_say_the_same(tmp_path):
    content = read("resnet18_cifar.et")
    content["nodes"].sort(key=lambda node: node["id"])
    trace = IMPORTERS["execution-trace"](write(tmp_path / "sorted.json", content))
    assert trace.steps == imported("resnet18_cifar.et").steps


def test_what_another_thread_did_meanwhile_encloses_nothing(tmp_path):
    content = read("lenet.et")
    nodes = content["nodes"]
    step = next(node for node in nodes if node["name"].startswith("ProfilerStep#"))
    first = min(node["id"] for node in nodes if node["ctrl_deps"] == step["id"])
    facts = [attr | {"value": 7} if attr["name"] == "tid" else attr for attr in step["attrs"]]
    other = step | {"name": "loading", "id": first - 0.5, "ctrl_deps": 2, "attrs": facts}
    nodes.insert(nodes.index(step) - 1, other)
    for node in nodes:
        node["id"], node["ctrl_deps"] = int(2 * node["id"]), int(2 * node["ctrl_deps"])
    trace = IMPORTERS["execution-trace"](write(tmp_path / "threads.json", content))
    assert trace.steps == imported("lenet.et").steps


def test_an_event_that_begins_as_another_ends_is_not_in_it(tmp_path):
    content = read("lenet.kineto")
    events = content["traceEvents"]
    ops = [event for event in events if event.get("cat") == "cpu_op"]
    convolution = next(event for event in ops if event["name"] == "aten::conv2d")
    ends = convolution["ts"] + convolution["dur"]
    following = min((event for event in ops if event["ts"] > ends), key=lambda event: event["ts"])
    for event in events:  # whole microseconds add up exactly
        if "ts" in event and event.get("ph") == "X":
            event["ts"], event["dur"] = round(1000 * event["ts"]), round(1000 * event["dur"])
    convolution["dur"] = following["ts"] - convolution["ts"]
    trace = IMPORTERS["kineto"](write(tmp_path / "t.json", content))
    assert trace.steps == imported("lenet.kineto").steps


def test_the_order_of_events_in_a_profile_does_not_matter(tmp_path):
    content = read("lenet.kineto")
    starts = {}
    for event in content["traceEvents"]:  # an op that begins with the one that called it
        if event.get("name") == "aten::conv2d":
            starts["aten::convolution"] = event["ts"]
        elif event.get("name") in starts:
            event["dur"] += event["ts"] - starts["aten::convolution"]
            event["ts"] = starts["aten::convolution"]
    content["traceEvents"].reverse()
    trace = IMPORTERS["kineto"](write(tmp_path / "t.json", content))
    assert trace.steps == imported("lenet.kineto").steps


# Traces that other tools have rewritten


def renumbered(content, numbers):
    """Give the nodes these numbers, in the order in which they are listed."""
    new = dict(zip((node["id"] for node in content["nodes"]), numbers, strict=True))
    for node in content["nodes"]:
        node["id"] = new[node["id"]]
        node["ctrl_deps"] = new.get(node["ctrl_deps"], node["ctrl_deps"])
    return content


@pytest.mark.parametrize("name", ["lenet.et", "lenet.et_only"])
def test_nodes_that_are_numbered_as_they_ended_say_the_same(name, tmp_path):
    content = read(name)
    content = renumbered(content, range(1, len(content["nodes"]) + 1))
    trace = IMPORTERS["execution-trace"](write(tmp_path / "t.json", content))
    assert trace.steps == imported(name).steps
    assert trace.segments == imported(name).segments


def test_nodes_that_are_numbered_at_random_say_the_same(tmp_path):
    content = read("lenet.et")
    numbers = list(range(1, len(content["nodes"]) + 1))
    random.Random(0).shuffle(numbers)
    trace = IMPORTERS["execution-trace"](write(tmp_path / "t.json", renumbered(content, numbers)))
    assert trace.steps == imported("lenet.et").steps


def test_kernels_that_were_linked_to_ops_are_no_ops(tmp_path):
    content = read("lenet.et")
    nodes = content["nodes"]
    launched = [n for n in nodes if n["name"] in ("aten::addmm", "aten::mkldnn_convolution")]
    for place, node in enumerate(launched):
        facts = {"id": 10**6 + place, "ctrl_deps": node["id"], "cat": "kernel", "dur": 3}
        nodes.append(node | facts | {"name": "library::gemm_128x64"})
    trace = IMPORTERS["execution-trace"](write(tmp_path / "t.json", content))
    assert trace.steps == imported("lenet.et").steps
