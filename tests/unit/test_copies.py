"""Memory of the copies that units need beside a trace's tensors: by hand, and by brute force."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import Infeasible
from simulator.lowering.copy_buffers import CopyBuffers
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay
from simulator.trace.memory import occupancy, with_copies
from simulator.trace.op import Phase, Role
from simulator.trace.storage import load_trace
from simulator.trace.trace import StepKind
from tests.builders import StepBuilder, machine, one_step_trace

M, N, K = 64, 32, 96
A, B, C = M * K, K * N, M * N  # elements
ARRAY = {"runtime__offload_min_macs": 0}
WAYS = {  # what an int8 product of fp32 tensors holds besides: int8 copies, int32 sums
    "fused": A + B + 4 * C,
    "vector": A + B,  # sums are scaled on their way out
    "unit": 0,
}


def programs(builder, runs=1, kind=StepKind.TRAIN, base="edge-16x16", **settings):
    """The programs of `runs` steps, one after the other."""
    lowering, carry, programs = Lowering(machine(base, **ARRAY, **settings)), Carry(), []
    for _ in range(runs):
        lowered, carry = lowering.lowered(builder.step(kind), carry)
        programs.append(lowered.program)
    return programs


def products(*shapes):
    builder = StepBuilder()
    for shape in shapes:
        builder.gemm(*shape)
    return builder


def nameless(builder):
    """The same step, none of whose tensors the next one finds again."""
    builder.storages = [replace(storage, name="") for storage in builder.storages]
    return builder


@pytest.mark.parametrize("way", ["fused", "vector", "unit"])
def test_a_product_holds_a_copy_of_each_operand_and_its_sums(way):
    base = "edge-16x16-npu" if way == "vector" else "edge-16x16"
    (program,) = programs(products((M, N, K)), base=base, runtime__conversions=way)
    assert program.copies == (WAYS[way],)


def test_eager_conversions_hold_two_tensors_in_fp32_at_a_time():
    """x / scale and its rounding, beside x itself: more than at the product."""
    (program,) = programs(products((M, N, K)), runtime__conversions="eager")
    assert 2 * 4 * A > A + B + 4 * C
    assert program.copies == (2 * 4 * A,)


@pytest.mark.parametrize(
    ("precision", "bits", "block"), [("mxfp8", 8, 32), ("mxfp4", 4, 32), ("mx6", 6, 0)]
)
def test_copies_in_blocks_count_their_scales(precision, bits, block):
    """All sums are fp32, the results' own format."""
    (program,) = programs(products((M, N, K)), accelerator__precision=precision)
    scales = (A + B) // block if block else 0
    assert program.copies == ((A + B) * bits // 8 + scales,)


def test_copies_are_freed_after_their_last_use():
    (program,) = programs(nameless(products((M, N, K), (M, N, 2 * K))))
    assert program.copies == (A + B + 4 * C, 2 * A + 2 * B + 4 * C)


def test_a_copy_that_is_used_again_lives_until_then():
    builder = StepBuilder()
    x = builder.tensor(M, K)
    builder.gemm(M, N, K, a=x)
    builder.elementwise(x)
    builder.gemm(M, N, K, a=x)
    (program,) = programs(nameless(builder))
    assert program.copies == (A + B + 4 * C, A, A + B + 4 * C)


def test_copies_of_weights_that_stay_live_from_step_to_step():
    """In evaluation nothing outdates them; the second step finds both."""
    first, second = programs(products((M, N, K), (M, N, K)), 2, StepKind.EVAL)
    once = A + B + 4 * C
    assert first.copies == (once, once + B)
    assert second.copies == (once + B, once + B)


def test_sums_that_stay_on_chip_take_no_memory():
    builder = StepBuilder()
    builder.gemm(M, N, K, a=builder.elementwise(builder.tensor(M, K)))
    kept = {"accelerator__keep": "128 KiB", "accelerator__scratchpad": "512 KiB"}
    (program,) = programs(builder, base="edge-16x16-npu", **kept)
    assert program.copies[-1] in (0, B)


some = st.sets(st.integers(0, 4), max_size=3)


@given(
    st.lists(st.tuples(st.integers(0, 2), some), min_size=1, max_size=12),
    st.sets(st.integers(0, 4)), some, some,
)  # fmt: skip
def test_what_is_live_is_what_a_walk_over_the_tasks_finds(tasks, recalled, lasting, on_chip):
    """Buffer b has 1 << b bytes; its last touch is looked for again at every task."""
    ops = sorted(op for op, _ in tasks)
    touched = [tokens for _, tokens in tasks]
    buffers = CopyBuffers()
    for token in range(5):
        (buffers.recall if token in recalled else buffers.add)(token, 1 << token)
    for index, tokens in enumerate(touched):
        buffers.touch(index, tokens)
    by_hand = [0, 0, 0]
    for now, op in enumerate(ops):
        alive = 0
        for token in set(range(5)) - on_chip:
            begun = any(token in each for each in touched[: now + 1])
            begun = begun or token in recalled
            ever = token in recalled or any(token in each for each in touched)
            needed = any(token in each for each in touched[now:]) or (token in lasting and ever)
            needed = needed or (token in recalled and now == 0)
            alive += (begun and needed) << token
        by_hand[op] = max(by_hand[op], alive)
    assert buffers.bytes_by_op(ops, 3, lasting, on_chip) == tuple(by_hand)


def test_the_result_has_the_copies_and_the_peak_with_them():
    trace = one_step_trace(products((M, N, K)))
    held = Replay(machine(**ARRAY), trace).run().memory
    assert held["copies"] == A + B + 4 * C
    assert held["peak_bytes"] == 4 * (A + B + C) + held["copies"]
    alone = Replay(machine("cpu-only"), trace).run().memory
    assert (alone["copies"], alone["peak_bytes"]) == (0, 4 * (A + B + C))


def test_the_peak_is_the_largest_sum_of_tensors_and_copies_at_one_time():
    trace = load_trace("lenet_digits")
    step = trace.steps[trace.typical_step]
    lowered, _ = Lowering(machine()).lowered(step, Carry())
    copies = lowered.program.copies
    assert set(lowered.program.tasks.ops) == set(range(len(step.ops)))  # an op without has no row
    sums = [own + more for own, more in zip(occupancy(step).total, copies, strict=True)]
    held = with_copies(step, copies)
    assert held["peak_bytes"] == max(sums)
    assert max(occupancy(step).total) < max(sums) < max(occupancy(step).total) + held["copies"]


def test_a_machine_without_room_for_copies_is_refused_and_a_search_avoids_it():
    trace = one_step_trace(products((M, N, K)))
    need = 4 * (A + B + C)
    room = f"{need} B"
    with pytest.raises(Infeasible, match=r"with 17\.4 kB of copies for other units"):
        Replay(machine(dram__capacity=room, **ARRAY), trace).run()
    found = Replay(machine(dram__capacity=room, runtime__placement="fastest"), trace).run()
    assert found.memory["peak_bytes"] == need


def test_a_gradient_of_weights_in_parts_is_summed_from_buffers():
    builder = StepBuilder()
    builder.gemm(M, N, K, phase=Phase.WGRAD, role=Role.WGRAD)
    halves = [{"unit": unit, "share": 1} for unit in ("accelerator", "cpu")]
    parts = [{"parts": halves}]
    (program,) = programs(builder, runtime__split=parts, accelerator__precision="fp32")
    assert program.copies == (2 * 4 * C,)
