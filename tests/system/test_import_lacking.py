"""Profiles that lack facts, or have odd times: what is known counts, and notes say the rest."""

import pytest

from simulator.trace.importers import IMPORTERS
from simulator.trace.op import OpKind
from simulator.trace.trace import StepKind
from tests.system.import_samples import write

MM, LINEAR = 2 * 4 * 8 * 16, 2 * 4 * 16 * 2  # FLOP


class Profile:
    """Events one after the other; `float` is the type of operands unless `types` has others."""

    def __init__(self):
        self.events = []
        self.now = 1000.0

    def add(self, name, *dims, types=None, values=None, start=None, took=2.0, pid=1, tid=1, **args):
        """Add an op; a value that is no list of sizes has the type of a scalar."""
        kinds = types or ["float" if isinstance(d, list) and d else "Scalar" for d in dims]
        facts = {"Input Dims": list(dims), "Input type": kinds, **args}
        if values is not None:
            facts["Concrete Inputs"] = values
        begin = self.now if start is None else start
        self.event(name, "cpu_op", begin, took, pid, tid, facts)
        return self

    def event(self, name, category, start, took, pid=1, tid=1, args=None):
        self.events.append(
            {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": start,
             "dur": took, "args": args or {}}
        )  # fmt: skip
        self.now = max(self.now, start + max(took, 0) + 1)
        return self

    def mm(self, **where):
        return self.add("aten::mm", [4, 8], [8, 16], **where)

    def imported(self, tmp_path):
        return IMPORTERS["kineto"](write(tmp_path / "t.json", {"traceEvents": self.events}))


def ops(trace):
    return [op for step in trace.steps for op in step.ops if op.kind is not OpKind.VIEW]


def flops(trace):
    return sum(trace.flops_by_phase().values())


# Notes


def test_unknown_ops_are_named_with_their_number_and_share_of_time(tmp_path):
    profile = Profile().mm(took=4.0)
    for _ in range(2):
        profile.add("library::anything", [32, 4], took=2.0)
    profile.add("aten::frobnicate", [4], took=2.0)
    trace = profile.imported(tmp_path)
    note = trace.origin["unknown_ops"]
    assert note.startswith("3 ops (60 % of the time): 2 x library::anything (an unknown op)")
    assert "1 x aten::frobnicate" in note
    assert flops(trace) == MM
    assert [op.read_bytes for op in ops(trace)] == [640, 512, 512, 16]
    assert "unknown_products" not in trace.origin


def test_the_share_of_time_is_not_that_of_another_device(tmp_path):
    profile = Profile().mm().add("library::anything", [32, 4])
    profile.event("gemm_128x64", "kernel", 1001.0, 1.0)
    assert profile.imported(tmp_path).origin["unknown_ops"].startswith("1 op: 1 x library")


def test_products_that_are_not_understood_are_named_apart(tmp_path):
    profile = Profile().mm()
    profile.add("vllm::unified_attention_with_output", *[[32, 8, 64]] * 4)
    profile.add("vllm::moe_forward", [32, 64], [32, 4])
    trace = profile.imported(tmp_path)
    note = trace.origin["unknown_products"]
    assert "1 x vllm::unified_attention_with_output" in note
    assert "1 x vllm::moe_forward" in note
    assert flops(trace) == MM
    assert [op.kind for op in ops(trace)] == [OpKind.GEMM] * 3


def test_long_lists_of_unknown_ops_end(tmp_path):
    profile = Profile().mm()
    for number in range(100):
        profile.add(f"library::op{number}", [4])
    note = profile.imported(tmp_path).origin["unknown_ops"]
    assert len(note) < 1000
    assert "88 more of 88 other names" in note


def test_a_profile_that_lacks_nothing_says_nothing(tmp_path):
    trace = Profile().mm().add("aten::relu", [4, 16]).imported(tmp_path)
    assert not {"unknown_ops", "unknown_products"} & trace.origin.keys()


# Facts that lack


@pytest.mark.parametrize(
    ("name", "dims", "least"),
    [
        ("aten::embedding_dense_backward", ([4, 16], [4], [], [], []), 256),
        ("aten::max_pool2d_with_indices", ([2, 3, 8, 8], [], [], [], [], []), 96),
        ("aten::_adaptive_avg_pool2d", ([2, 3, 8, 8], []), 96),
        ("aten::native_group_norm", ([2, 6, 8, 8], [6], [6], [], [], [], [], []), 3072),
        ("aten::index_select", ([9, 16], [], [4]), 256),
        ("aten::topk", ([4, 16], [], [], [], []), 4),
        ("aten::upsample_nearest2d", ([2, 3, 8, 8], [], [], []), 1536),
        ("aten::native_layer_norm", ([4, 16], [], [16], [16], []), 256),
        ("aten::convolution_backward", ([2, 3, 8, 8], [2, 3, 8, 8], [3, 3, 3, 3]), 0),
        ("aten::sum", ([4, 16], [], [], []), 4),
    ],
)
def test_values_that_are_not_listed_make_no_profile_unreadable(name, dims, least, tmp_path):
    trace = Profile().mm().add(name, *dims).imported(tmp_path)
    assert flops(trace) == MM
    assert least <= ops(trace)[-1].write_bytes < 10_000
    assert f"1 x {name}" in "".join(trace.origin.values())


@pytest.mark.parametrize("name", ["stack", "cat", "_foreach_add_", "_foreach_norm", "index"])
def test_lists_whose_shapes_are_not_listed_are_read_over(name, tmp_path):
    profile = Profile().mm().add(f"aten::{name}", [], [], types=["TensorList", "Scalar"])
    assert flops(profile.imported(tmp_path)) == MM


def test_a_convolution_without_values_is_no_refusal(tmp_path):
    profile = Profile().mm()
    profile.add("aten::convolution", [2, 3, 8, 8], [4, 3, 3, 3], [4], *[[]] * 6)
    trace = profile.imported(tmp_path)
    assert "1 x aten::convolution" in trace.origin["unknown_products"]
    assert flops(trace) == MM


def test_what_a_product_calls_is_counted_where_itself_is_not_understood(tmp_path):
    profile = Profile().add("vllm::moe_forward", [32, 64], [32, 4], start=1000.0, took=10.0)
    profile.mm(start=1001.0).add("aten::relu", [4, 16], start=1004.0)
    trace = profile.imported(tmp_path)
    assert [op.base_name for op in ops(trace)] == ["mm", "relu"]
    assert "unknown_products" not in trace.origin


def test_an_op_of_a_library_that_only_allocates_seen_works_unseen(tmp_path):
    profile = Profile().mm().add("library::norm", [4, 16], start=2000.0, took=10.0)
    profile.add("aten::empty_like", [4, 16], start=2001.0)
    assert [op.name for op in ops(profile.imported(tmp_path))] == ["aten.mm", "library.norm"]


@pytest.mark.parametrize(
    ("name", "dims", "values"),
    [
        ("aten::zeros", [[], [], [], [], []], ["[1000000000, 1000000000]", "", "", "", "False"]),
        ("aten::repeat", [[4, 16], []], ["", "[1000000000, 1000000000]"]),
        ("aten::add", [[4096, 1], [3, 4096, 4096], [4095]], None),
        ("library::joins", [[1, 4096], [4096, 1], [4096, 1, 1]], None),
        ("aten::frobnicate", [[1, 4096], [4096, 1], [4096, 1, 1]], None),
    ],
)
def test_no_op_of_unknown_arguments_takes_terabytes(name, dims, values, tmp_path):
    types = ["float" if d else "ScalarList" for d in dims]
    trace = Profile().mm().add(name, *dims, types=types, values=values).imported(tmp_path)
    assert ops(trace)[-1].write_bytes < 1e9
    assert name in trace.origin["unknown_ops"]


@pytest.mark.parametrize("dims", [[[4, -1], [8]], [["x"], [8]], 7, [[10**30, 10**30], [8]]])
def test_arguments_that_are_odd_make_no_profile_unreadable(dims, tmp_path):
    profile = Profile().mm().add("aten::add", [8], [8])
    profile.events[-1]["args"]["Input Dims"] = dims
    trace = profile.imported(tmp_path)
    assert flops(trace) == MM
    assert "1 x aten::add" in trace.origin["unknown_ops"]


def test_factories_count_what_they_write(tmp_path):
    profile = Profile().mm()
    profile.add("aten::zeros", *[[]] * 5, types=["ScalarList", "", "", "", "Scalar"],
                values=["[1000, 1000]", "", "", "", "False"])  # fmt: skip
    assert ops(profile.imported(tmp_path))[-1].write_bytes == 4_000_000


@pytest.mark.parametrize(
    "dtype", ["Float8_e4m3fnuz", "Float8_e5m2fnuz", "Float8_e4m3fn", "Float8_of_next_year"]
)
def test_operands_of_eight_bits_have_any_name(dtype, tmp_path):
    kinds = [f"c10::{dtype}"] * 2 + ["float"] * 2
    profile = Profile().add("aten::_scaled_mm", [16, 32], [32, 16], [], [], types=kinds)
    trace = profile.imported(tmp_path)
    assert flops(trace) == 2 * 16 * 32 * 16
    assert [t.bytes for t in ops(trace)[0].inputs[:2]] == [512, 512]


# Times


def test_a_lost_duration_is_said_and_takes_no_time(tmp_path):
    profile = Profile().mm(took=3.0).add("aten::relu", [4, 16], took=-1.0)
    trace = profile.imported(tmp_path)
    assert "1 x aten::relu (its duration was lost)" in trace.origin["unknown_ops"]
    assert trace.timings[0].ops_ps == (3_000_000, 0)


def test_a_linear_layer_whose_end_was_lost_is_counted_once(tmp_path):
    profile = Profile().add("aten::linear", [4, 8], [16, 8], [16], took=-1.0)
    profile.add("aten::addmm", [16], [4, 8], [8, 16], [], [])
    assert flops(profile.imported(tmp_path)) == MM


def linears(first_ends, second_begins):
    """Two layers, the op of the first one ending at `first_ends`."""
    profile = Profile().add("aten::linear", [4, 8], [16, 8], [16], start=100.0, took=10.0)
    args = [16], [4, 8], [8, 16], [], []
    profile.add("aten::addmm", *args, start=104.0, took=first_ends - 104.0)
    profile.add("aten::linear", [4, 16], [2, 16], [2], start=second_begins, took=5.0)
    return profile.add("aten::addmm", [2], [4, 16], [16, 2], [], [], start=111.0, took=3.0)


@pytest.mark.parametrize(
    ("first_ends", "second_begins"),
    [(110.0, 110.0), (110.001, 110.0), (110.4, 110.0), (110.0, 109.9), (110.6, 109.5)],
)
def test_rounded_times_do_not_change_what_calls_what(first_ends, second_begins, tmp_path):
    trace = linears(first_ends, second_begins).imported(tmp_path)
    assert flops(trace) == MM + LINEAR
    assert [op.base_name for op in ops(trace)] == ["addmm", "addmm"]


@pytest.mark.parametrize("overlap", [0.0, 0.001, 0.9])
def test_an_op_that_seems_to_begin_just_before_another_ends_is_not_in_it(overlap, tmp_path):
    profile = Profile().mm(start=100.0, took=10.0).mm(start=110.0 - overlap, took=5.0)
    assert flops(profile.imported(tmp_path)) == 2 * MM


@pytest.mark.parametrize(("start", "took"), [(102.0, 50.0), (90.0, 12.5), (109.0, 2.0)])
def test_annotations_that_outlive_ops_hide_none(start, took, tmp_path):
    profile = linears(110.0, 110.0).event("block", "user_annotation", start, took)
    assert flops(profile.imported(tmp_path)) == MM + LINEAR


def test_processes_are_programs_of_their_own(tmp_path):
    profile = Profile()
    for pid in (1, 2):
        for number in range(2):
            start = 1000.0 + 100 * number + pid
            profile.event(f"ProfilerStep#{number}", "user_annotation", start, 90.0, pid)
            profile.mm(start=start + 2, took=50.0, pid=pid)
    trace = profile.imported(tmp_path)
    assert trace.count(StepKind.EVAL) == 4
    assert len(trace.steps) == 1
    assert flops(trace) == 4 * MM
    assert "2 processes" in trace.origin["inferred"]


def test_threads_count_their_autograd_nodes_themselves(tmp_path):
    """Two threads run a layer each, under the same number; its gradients run in a third."""
    profile = Profile()
    sizes = {1: (8, 16), 2: (8, 24)}
    for tid, (inputs, outputs) in sizes.items():
        profile.add("aten::mm", [4, inputs], [inputs, outputs], tid=tid, **{"Sequence number": 7})
    for tid, (inputs, outputs) in sizes.items():
        name, start = "autograd::engine::evaluate_function: MmBackward0", profile.now
        numbers = {"Sequence number": 7, "Fwd thread id": tid}
        profile.event(name, "cpu_op", start, 9.0, tid=3, args=numbers)
        profile.add("MmBackward0", start=start + 1, took=7.0, tid=3, **numbers)
        profile.add("aten::mm", [inputs, 4], [4, outputs], start=start + 2, tid=3)
    trace = profile.imported(tmp_path)
    step = trace.steps[0]
    owners = [op.forward for op in step.ops if op.phase in ("dgrad", "wgrad")]
    assert owners == [0, 1]
    assert {gemm.role for op in step.ops[2:] for gemm in op.gemms} == {"wgrad"}


# Roles without forward ops: what torch.compile makes has one number for all


@pytest.mark.parametrize("rows", [5, 24, 32])
def test_roles_of_compiled_products_follow_from_shapes(rows, tmp_path):
    compiled = "## Call CompiledFxGraph fabc ##"
    profile = Profile().event(compiled, "user_annotation", 1000.0, 50.0)
    wide = {"Input Strides": [[1], [24, 1], [1, 24], [], []]}
    profile.add("aten::addmm", [32], [rows, 24], [24, 32], [], [], start=1001.0, **wide)
    profile.add("aten::addmm", [4], [rows, 32], [32, 4], [], [], start=1010.0)
    name = "autograd::engine::evaluate_function: CompiledFunctionBackward"
    profile.event(name, "cpu_op", 1100.0, 50.0)
    transposed = {"Input Strides": [[1, rows], [32, 1]]}
    profile.add("aten::mm", [rows, 4], [4, 32], start=1101.0)
    profile.add("aten::mm", [4, rows], [rows, 32], start=1110.0, **transposed)
    profile.add("aten::mm", [32, rows], [rows, 24], start=1120.0, **transposed)
    trace = profile.imported(tmp_path)
    assert trace.flops_by_phase() == {
        "forward": 2 * rows * (24 * 32 + 32 * 4),
        "dgrad": 2 * rows * 4 * 32,
        "wgrad": 2 * rows * (24 * 32 + 32 * 4),
    }
    assert trace.parameters == 24 * 32 + 32 + 32 * 4 + 4
    assert "torch.compile" in trace.origin["inferred"]
