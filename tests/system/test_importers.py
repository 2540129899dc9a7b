"""Files of other tools become traces that say what was run, or one sentence of what is wrong."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.trace.importers import IMPORTERS, detect
from simulator.trace.op import OpKind, Phase
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Segment, StepKind

SAMPLES = Path(__file__).parents[1] / "reference" / "traces"
FILES = {
    "lenet.et": ("execution-trace", 2),
    "lenet.et_only": ("execution-trace", 3),
    "resnet18_cifar.et": ("execution-trace", 2),
    "lenet.kineto": ("kineto", 2),
    "lenet.kineto_stack": ("kineto", 1),
    "resnet18_cifar.kineto": ("kineto", 2),
}
ROLES = {"fwd": "forward", "dgrad": "dgrad", "wgrad": "wgrad"}


def sample(name):
    return SAMPLES / f"{name}.json.gz"


def read(name):
    return json.loads(gzip.decompress(sample(name).read_bytes()))


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def truth(name):
    return json.loads((SAMPLES / f"{name.partition('.')[0]}.truth.json").read_text())


def imported(name):
    return IMPORTERS[FILES[name][0]](sample(name))


def refused(form, path, *words):
    """Import the file and check that it is refused in one sentence with these words."""
    with pytest.raises(InputError) as caught:
        IMPORTERS[form](path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


# What the samples hold


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


# Bad input


@pytest.mark.parametrize("name", ["lenet.et", "lenet.kineto"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_files_that_are_cut_short_are_refused(name, part, tmp_path):
    text = gzip.decompress(sample(name).read_bytes())
    plain = tmp_path / "cut.json"
    plain.write_bytes(text[: int(len(text) * part)])
    refused(FILES[name][0], plain, "cut short")
    packed = tmp_path / "cut.json.gz"
    raw = sample(name).read_bytes()
    packed.write_bytes(raw[: int(len(raw) * part)])
    refused(FILES[name][0], packed, "cut short")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("execution-trace", "{'schema': 1}"),
        ("execution-trace", '{"schema": "1.0.1", "nodes": [{"id": 1,,}]}'),
        ("execution-trace", "hello"),
        ("kineto", "hello"),
        ("kineto", '{"traceEvents": [{"ph": "X"} {"ph": "X"}]}'),
        ("kineto", '{"traceEvents": [{"ph": "X" "name": "a"}, {"ph": "X", "name": "b"}]}'),
    ],
)
def test_what_is_not_json_is_refused(form, text, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    refused(form, path, "JSON")


@pytest.mark.parametrize("form", ["execution-trace", "kineto", "scalesim", "auto"])
def test_files_that_cannot_be_read_are_refused(form, tmp_path):
    refused(form, tmp_path / "missing.json", "cannot read")
    refused(form, tmp_path, "cannot read")
    binary = tmp_path / "binary.json"
    binary.write_bytes(bytes(range(256)) * 10)
    refused(form, binary, "not a text file")


def test_a_node_that_lacks_something_is_refused(tmp_path):
    content = read("lenet.et")
    del content["nodes"][10]["inputs"]["types"]
    refused("execution-trace", write(tmp_path / "t.json", content), "types", "record")


def test_a_product_without_its_arguments_is_refused(tmp_path):
    content = read("lenet.kineto")
    for event in content["traceEvents"]:
        if event.get("name") == "aten::convolution":
            event["args"]["Concrete Inputs"] = []
    refused("kineto", write(tmp_path / "t.json", content), "aten::convolution")


def test_a_profile_without_shapes_says_how_to_get_them(tmp_path):
    content = read("lenet.kineto")
    for event in content["traceEvents"]:
        for key in ("Input Dims", "Input type", "Input Strides", "Concrete Inputs"):
            event.get("args", {}).pop(key, None)
    refused("kineto", write(tmp_path / "t.json", content), "record_shapes=True")


def test_a_chrome_trace_of_another_tool_is_refused(tmp_path):
    events = [{"ph": "X", "cat": "toplevel", "name": "Paint", "ts": 1, "dur": 2, "tid": 1}]
    refused("kineto", write(tmp_path / "t.json", {"traceEvents": events}), "another tool")
    refused("kineto", write(tmp_path / "list.json", events), "another tool")


@pytest.mark.parametrize("name", ["lenet.et", "lenet.kineto"])
def test_a_trace_without_products_is_refused(name, tmp_path):
    content = read(name)
    key = "nodes" if "nodes" in content else "traceEvents"
    products = ("conv", "linear", "mm", "addmm", "Backward", "evaluate_function")
    content[key] = [
        entry for entry in content[key] if not any(p in str(entry.get("name")) for p in products)
    ]
    refused(FILES[name][0], write(tmp_path / "t.json", content), "no matrix product")


def test_an_empty_file_of_the_right_form_is_refused(tmp_path):
    refused("kineto", write(tmp_path / "k.json", {"traceEvents": []}), "aten::")
    content = {"schema": "1.1.1-chakra.0.0.4", "nodes": []}
    refused("execution-trace", write(tmp_path / "e.json", content), "no matrix product")


# Which form


@pytest.mark.parametrize("name", FILES)
def test_forms_are_detected(name):
    assert detect(sample(name)) == FILES[name][0]
    assert IMPORTERS["auto"](sample(name)) == imported(name)


def test_the_wrong_form_is_told_with_the_right_command():
    path = sample("lenet.et")
    refused("kineto", path, "an execution trace".partition(" ")[2], "trainsoc import execution")
    refused("scalesim", sample("lenet.kineto"), "trainsoc import kineto")


def test_what_is_of_no_form_is_told(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader,\nall is well\n")
    refused("auto", path, "none of the files")


def test_the_command_line_says_what_was_inferred(tmp_path):
    out = tmp_path / "t.trace"
    command = [sys.executable, "-m", "simulator.cli", "import", "execution-trace"]
    done = subprocess.run(
        [*command, str(sample("lenet.et")), "-o", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "by the order of ops" in done.stderr
    assert load_trace(out).count(StepKind.TRAIN) == 2


# SCALE-Sim


def topology(tmp_path, *lines):
    path = tmp_path / "net.csv"
    path.write_text("\n".join(lines))
    return path


CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter"


def sizes(trace):
    return [(g.batch, g.m, g.n, g.k) for op in trace.steps[0].ops for g in op.gemms]


@pytest.mark.parametrize("header", ["Layer,M,N,K,", ""])
def test_gemm_topologies(header, tmp_path):
    path = topology(tmp_path, header, "a, 16, 8, 4,", "b,1,2,3")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 16, 8, 4), (1, 1, 2, 3)]
    assert detect(path) == "scalesim"


def test_gemm_columns_go_by_their_names(tmp_path):
    path = topology(tmp_path, "Layer,K,M,N", "a,4,16,8")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 16, 8, 4)]


def test_convolution_topologies(tmp_path):
    path = topology(tmp_path, f"{CONV}, Strides,", "c, 34, 34, 3, 3, 16, 32, 1,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 32 * 32, 32, 16 * 9)]
    assert detect(path) == "scalesim"


def test_dense_sparsity_columns_are_read_over(tmp_path):
    path = topology(tmp_path, f"{CONV}, Strides, Sparsity", "c, 34, 34, 3, 3, 16, 32, 1, 1:1,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 32 * 32, 32, 16 * 9)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("Layer,M,N,K", "a,16,8"), ("line 2", "4 columns")),
        (("Layer,M,N,K", "a,16,8,4,2,2,2,1"), ("line 2", "4 columns")),
        ((f"{CONV}, Strides", "a,16,8,4"), ("line 2", "8 columns")),
        (("Layer,M,N,K", "a,16,8,x"), ("line 2", "whole numbers")),
        (("Layer,M,N,K", "a,16,0,4"), ("line 2", "1 or more")),
        (("Layer,M,N,K", "a,16,8,4,2:4"), ("line 2", "2:4", "dense")),
        (("a,3,3,5,5,1,1,1",), ("line 1", "larger than its input")),
        (("Layer,M,N,K",), ("no layers",)),
    ],
)
def test_topologies_that_do_not_fit_are_refused(lines, words, tmp_path):
    refused("scalesim", topology(tmp_path, *lines), *words)


# Large files


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet.et", "lenet.kineto"])
def test_a_large_file_fits_in_memory(name, tmp_path):
    path = tmp_path / "large.json"
    copies = enlarge(name, path, 200_000_000)
    program = (
        "import resource, sys; from pathlib import Path;"
        "from simulator.trace.importers import IMPORTERS;"
        f"trace = IMPORTERS['{FILES[name][0]}'](Path(sys.argv[1]));"
        "print(sum(s.count for s in trace.segments), len(trace.steps),"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    steps, distinct, peak_kib = map(int, done.stdout.split())
    assert steps == 2 * copies
    assert distinct == 1
    assert peak_kib * 1024 < 2e9


def enlarge(name, path, size):
    """Write the steps of a sample again and again, until the file is so large; return how often."""
    content = read(name)
    key = "nodes" if "nodes" in content else "traceEvents"
    entries = [entry for entry in content.pop(key) if "ts" in entry or "ctrl_deps" in entry]
    times = [entry["ts"] for entry in entries if "ts" in entry]
    span = 2 * (max(times) - min(times)) if times else 0
    copies = 0
    with path.open("w") as file:
        file.write(json.dumps(content)[:-1] + f', "{key}": [')
        while file.tell() < size:
            moved = (shifted(entry, copies, span) for entry in entries)
            file.write(",\n" * bool(copies) + ",\n".join(map(json.dumps, moved)))
            copies += 1
        file.write("]}")
    return copies


def shifted(entry, copy, span):
    """Return an event later in time, or a node with later ids."""
    if "ts" in entry:
        return entry | {"ts": entry["ts"] + copy * span}
    if entry["id"] <= 2:  # process and thread
        return entry
    parent = entry["ctrl_deps"]
    later = parent if parent <= 2 else parent + 100_000 * copy
    return entry | {"id": entry["id"] + 100_000 * copy, "ctrl_deps": later}


def test_views_and_sync_are_told_from_work():
    (step,) = imported("lenet.et").steps
    views = {op.base_name for op in step.ops if op.kind is OpKind.VIEW}
    assert views <= {"t", "view", "detach"}
    assert {op.base_name for op in step.ops if op.kind is OpKind.SYNC} == {"_local_scalar_dense"}
