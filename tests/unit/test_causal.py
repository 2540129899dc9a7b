"""Causal attention stops at the diagonal: pairs one by one, kernels block by block, by hand."""

from dataclasses import replace
from itertools import product as each

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.activity import Stage
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.mapping.layout import below_diagonal
from simulator.timing.flash import executed_macs, executed_results
from simulator.trace.causal import pairs, pairs_in_blocks
from simulator.trace.gemms import products
from simulator.trace.gemms.product import Operand
from simulator.trace.op import Causal, Gemm, Op, OpKind, Phase, Role
from simulator.trace.storage import load_trace, save_trace
from tests.builders import StepBuilder, machine, one_step_trace

FORWARD = "_scaled_dot_product_flash_attention_for_cpu"
small = st.integers(1, 40)


@given(small, small)
def test_pairs_are_those_on_or_below_the_diagonal(queries, keys):
    seen = [(i, j) for i, j in each(range(queries), range(keys)) if j <= i]
    assert pairs(queries, keys) == len(seen)


@given(small, small, st.integers(1, 12), st.integers(1, 12))
def test_blocks_are_those_that_hold_a_pair(queries, keys, rows, columns):
    blocks = {(i // rows, j // columns) for i, j in each(range(queries), range(keys)) if j <= i}
    everywhere = each(range(queries), range(keys))
    inside = [(i, j) for i, j in everywhere if (i // rows, j // columns) in blocks]
    assert pairs_in_blocks(queries, keys, rows, columns) == len(inside)


def tensor(*shape):
    return Operand(shape, "float32")


def attention(tokens, *, heads=2, width=8, backward=False, keys=None, **options):
    """Return the products of attention over [1, heads, tokens, width]."""
    shape, other = (1, heads, tokens, width), (1, heads, keys or tokens, width)
    args = {"query": tensor(*shape), "key": tensor(*other), "value": tensor(*other)}
    args |= {"grad_out": tensor(*shape)} if backward else {}
    return products(FORWARD + "_backward" * backward, args | options)


def gemm_of(product):
    sizes = product.batch, product.m, product.n, product.k
    return Gemm(product.role or Role.FORWARD, *sizes, -1, -1, -1, causal=product.causal)


def macs(found):
    return sum(gemm_of(product).macs for product in found)


@pytest.mark.parametrize(("backward", "times"), [(False, 2), (True, 5)])
def test_two_products_forward_and_five_backward_stop_at_the_diagonal(backward, times):
    """10 tokens: 55 pairs of 100; 2 heads, 8 wide."""
    assert macs(attention(10, backward=backward)) == times * 2 * 8 * 100
    assert macs(attention(10, backward=backward, is_causal=True)) == times * 2 * 8 * 55


def test_the_diagonal_begins_with_the_first_query_and_the_first_key():
    """Of 4 queries over 6 keys 1 + 2 + 3 + 4 pairs are seen, of 6 over 4: 1 + 2 + 3 + 3 x 4."""
    assert macs(attention(4, keys=6, is_causal=True)) == 2 * 2 * 8 * 10
    assert macs(attention(6, keys=4, is_causal=True)) == 2 * 2 * 8 * 18


def test_each_product_knows_where_its_triangle_is():
    forward = [product.causal for product in attention(4, is_causal=True)]
    backward = [product.causal for product in attention(4, is_causal=True, backward=True)]
    assert forward == [Causal.RESULT, Causal.LEFT]
    at = Causal.LEFT_TRANSPOSED
    assert backward == [Causal.RESULT, Causal.RESULT, at, Causal.LEFT, at]


@pytest.mark.parametrize(
    ("name", "order", "option", "share"),
    [
        ("scaled_dot_product_attention", "heads", {"is_causal": True}, 55),
        ("_scaled_dot_product_attention_math", "heads", {"is_causal": True}, 100),
        ("_scaled_dot_product_efficient_attention", "heads", {"is_causal": True}, 55),
        ("_flash_attention_forward", "tokens", {"is_causal": True}, 55),
        ("_efficient_attention_forward", "tokens", {"custom_mask_type": 1}, 55),
        ("_efficient_attention_forward", "tokens", {"custom_mask_type": 0}, 100),
        (FORWARD, "heads", {"attn_mask": tensor(10, 10)}, 100),
        (FORWARD, "heads", {"is_causal": False}, 100),
    ],
)
def test_kernels_that_hide_what_they_computed_and_masks_stay_full(name, order, option, share):
    shape = (1, 2, 10, 8) if order == "heads" else (1, 10, 2, 8)
    args = {side: tensor(*shape) for side in ("query", "key", "value")}
    assert macs(products(name, args | option)) == 2 * 2 * 8 * share


# The CPU's kernel: blocks of 32, 64 (from 192 queries on) or 256 (from 768 on) queries over blocks
# of 512 keys.


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        (100, 100 * 100),  # one block of keys: all of it
        (512, 512 * 512),
        (1024, 512 * 512 + 512 * 1024),  # two blocks of queries see one block of keys, two see two
        (640, 512 * 512 + 128 * 640),  # the second block of keys has 128
        (2048, 512 * (512 + 1024 + 1536 + 2048)),
    ],
)
def test_the_cpu_computes_whole_blocks(tokens, wanted):
    for product in attention(tokens, is_causal=True, backward=True):
        assert executed_macs(gemm_of(product)) == 2 * 8 * wanted
    scores = gemm_of(attention(tokens, is_causal=True)[0])
    assert executed_results(scores) == 2 * wanted
    assert scores.result_elements == 2 * tokens * (tokens + 1) // 2


@given(st.sampled_from(list(Causal)[1:]), small, small, small, st.integers(1, 16))
def test_an_array_computes_the_blocks_that_the_diagonal_meets(causal, m, n, k, block):
    gemm = Gemm(Role.FORWARD, 3, m, n, k, -1, -1, -1, causal=causal)
    found = below_diagonal(gemm, block)
    blocks = pairs_in_blocks(gemm.queries, gemm.keys, block, block)
    assert gemm.macs <= 3 * gemm.width * blocks <= found.macs
    assert found.macs < 3 * gemm.width * (blocks + m)  # a row is of whole elements
    assert found.macs <= replace(gemm, causal=Causal.NONE).macs


# Whole machines


def causal_step(tokens, *, causal=True):
    builder = StepBuilder()
    query, key, value = (builder.tensor(1, 2, tokens, 64) for _ in range(3))
    result = builder.tensor(1, 2, tokens, 64)
    kinds = (Causal.RESULT, Causal.LEFT) if causal else (Causal.NONE, Causal.NONE)
    scores = Gemm(Role.FORWARD, 2, tokens, tokens, 64, 0, 1, -1, causal=kinds[0])
    values = Gemm(Role.FORWARD, 2, tokens, 64, tokens, -1, 2, 0, causal=kinds[1])
    gemms = scores, values
    builder.ops.append(
        Op(
            f"aten.{FORWARD}.default", OpKind.GEMM, Phase.FORWARD, "attention",
            (query, key, value), (result,), gemms,
        )
    )  # fmt: skip
    return builder


def counted(hardware, step, unit):
    tasks, _ = Lowering(hardware).lower(step, Carry())
    found = [
        task.work for task in tasks if task.work.unit is unit and task.work.stage is Stage.GEMM
    ]
    macs, issued = (sum(getattr(work.counts, n) for work in found) for n in ("macs", "macs_issued"))
    return macs, issued


def test_a_cpu_asks_for_half_and_computes_three_quarters_of_1024_tokens():
    step = causal_step(1024).step()
    macs, issued = counted(machine("cpu-only"), step, HOST)
    assert macs == 2 * 2 * 64 * 1024 * 1025 // 2
    assert issued == 2 * 2 * 64 * 1024 * 768


def test_an_array_computes_half_and_its_blocks_on_the_diagonal():
    """16 x 16 blocks: 64 rows of blocks, 64 x 65 / 2 of them; 520 keys a row on average."""
    hardware = machine("edge-16x16", runtime__offload_min_macs=0)
    causal = counted(hardware, causal_step(1024).step(), ACCELERATOR)
    full = counted(hardware, causal_step(1024, causal=False).step(), ACCELERATOR)
    assert causal == (2 * 2 * 64 * 1024 * 1025 // 2, 2 * 2 * 64 * 1024 * 520)
    assert full == (2 * 2 * 64 * 1024 * 1024,) * 2


def test_a_file_keeps_what_is_causal_and_others_keep_their_digest(tmp_path):
    full, causal = (one_step_trace(causal_step(16, causal=c)) for c in (False, True))
    for trace in (full, causal):
        save_trace(trace, tmp_path / "a.trace")
        read = load_trace(tmp_path / "a.trace")
        assert read == trace
        assert read.digest == trace.digest
    assert full.digest != causal.digest
    assert causal.flops_by_phase() == {"forward": 2 * 2 * 2 * 64 * 136}
