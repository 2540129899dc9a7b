"""Formulas of matrix products: those of all of PyTorch's ops, each as large as it is."""

import re
from types import SimpleNamespace

import pytest

from simulator.trace.gemms import FORMULAS, UNCOUNTED, Operand, is_product, products
from simulator.trace.gemms.product import words
from simulator.trace.op import Role

PRODUCT = re.compile(
    r"mm|matmul|linear|conv|attention|attn|rnn|lstm|gru|transformer|gemm|multi_head|bilinear|einsum"
    r"|tensordot|(^|_)v?dot|inner|mv$|cdist|kron|sdpa"
)
NO_PRODUCTS = {
    # what the pattern finds by accident
    r".*(gamma|upsample|hamming|cumm|_out_).*": "is called alike",
    r"_compute_linear_combination|_use_cudnn_rnn_flatten_weight": "is called alike",
    r"_nested_get_jagged_dummy|.*access_subclass_inner_tensor": "is called alike",
    r"prims::convert_element_type|_convert_indices_.*": "converts",
    # what only prepares a product, or describes one
    r".*(prepack|unpack|_pack_|_reorder_|flatten_weight|int4pack(_for_cpu)?$).*": "packs weights",
    r"fbgemm_linear_quantize_weight": "packs weights",
    r"quantized::conv.*_(stride|padding|dilation|groups|transpose|output_padding)": "describes",
    # what decomposes into ops that are products
    r"bilinear|_trilinear": "calls mul and sum, or bmm",
    r"chain_matmul|linalg_multi_dot|linalg_matmul|tensordot|einsum|inner": "calls mm or bmm",
    r"smm|_sparse_mm": "calls sspaddmm, _sparse_addmm or _sparse_mm_reduce_impl",
    r"lstm|gru|rnn_relu|rnn_tanh|(lstm|gru|rnn_relu|rnn_tanh)_cell": "calls linear or fused layers",
    r"_convolution_mode|_convolution_double_backward": "calls convolutions",
    r"quantized_(lstm|gru|rnn_relu|rnn_tanh)_cell": "calls fbgemm_linear_int8_weight",
    # what multiplies, but not matrices
    r"_thnn_(fused|differentiable)_.*": "elementwise, on gates that are products already",
    r"kron|linalg_vecdot": "elementwise, and a sum",
    r"_?cdist(_forward|_backward)?": "distances: not a product of matrices",
}
"""Ops that are called like products, by name, and why they have no formula."""


def full_names(torch):
    names = {name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    return {name.removeprefix("aten::") for name in names}


@pytest.mark.torch
def test_every_product_of_pytorch_is_known():
    torch = pytest.importorskip("torch")

    reasons = [re.compile(pattern) for pattern in NO_PRODUCTS]
    found = {n for n in full_names(torch) if PRODUCT.search(n.rpartition("::")[2])}
    unknown = [
        name
        for name in sorted(found)
        if not is_product(name) and not any(reason.fullmatch(name) for reason in reasons)
    ]
    assert not unknown


@pytest.mark.torch
def test_every_op_whose_flops_pytorch_counts_is_known():
    pytest.importorskip("torch")
    from torch.utils.flop_counter import flop_registry

    # What torch.compile makes of flex attention is a kernel of Triton, and is called so.
    names = {str(op).removeprefix("aten.") for op in flop_registry} - {
        "flex_attention", "flex_attention_backward",
    }  # fmt: skip
    assert not [name for name in names if name not in FORMULAS]
    assert is_product("triton_tem_fused_flex_attention_0")


@pytest.mark.torch
def test_formulas_are_of_ops_that_there_are():
    torch = pytest.importorskip("torch")

    names = full_names(torch)
    elsewhere = ("flash_attn::", "_native::", "inductor::")
    mine = {name for name in (*FORMULAS, *UNCOUNTED) if not name.startswith(elsewhere)}
    assert not mine - names


# Their sizes


def tensor(*shape, **facts):
    return Operand(shape, "float32", **facts)


def macs(name, **args):
    return sum(p.batch * p.m * p.n * p.k for p in products(name, args))


def flops_by_torch(name, *args, **kwargs):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import flop_registry

    op = getattr(torch.ops.aten, name)
    return flop_registry[op](*args, **kwargs)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("mm", {"self": (3, 5), "mat2": (5, 7)}),
        ("addmm", {"self": (7,), "mat1": (3, 5), "mat2": (5, 7)}),
        ("bmm", {"self": (2, 3, 5), "mat2": (2, 5, 7)}),
        ("baddbmm", {"self": (2, 3, 7), "batch1": (2, 3, 5), "batch2": (2, 5, 7)}),
        ("_scaled_mm", {"self": (3, 5), "mat2": (5, 7)}),
    ],
)
def test_matrix_products_are_as_torch_counts_them(name, shapes):
    torch = pytest.importorskip("torch")

    args = {key: tensor(*shape) for key, shape in shapes.items()}
    given = [torch.empty(shape) for shape in shapes.values()]
    given += [None, None] if name == "_scaled_mm" else []
    outputs = torch.empty(given[-1].shape) if name != "_scaled_mm" else torch.empty(3, 7)
    assert 2 * macs(name, **args) == flops_by_torch(name, *given, out_val=outputs)


Q, K, V = (2, 4, 6, 8), (2, 4, 10, 8), (2, 4, 10, 12)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["flash", "efficient", "cudnn"])
def test_attention_is_as_torch_counts_it(kind):
    torch = pytest.importorskip("torch")

    name = f"_scaled_dot_product_{kind}_attention"
    shapes = [torch.empty(s) for s in (Q, K, V)]
    args = {"query": tensor(*Q), "key": tensor(*K), "value": tensor(*V)}
    out = torch.empty(2, 4, 6, 12)
    assert 2 * macs(name, **args) == flops_by_torch(name, *shapes, out_val=out)
    grad = torch.empty(2, 4, 6, 12)
    backward = flops_by_torch(f"{name}_backward", grad, *shapes, out_val=tuple(shapes))
    found = macs(f"{name}_backward", grad_out=tensor(2, 4, 6, 12), **args)
    assert 2 * found == backward


ONCE = 2 * 4 * 6 * 10 * (8 + 12)  # MACs of scores and values


@pytest.mark.parametrize(
    "name",
    [
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_fused_attention_overrideable",
        "_cudnn_attention_forward",
        "scaled_dot_product_attention",
    ],
)
def test_attention_of_any_kernel_is_the_same(name):
    assert macs(name, query=tensor(*Q), key=tensor(*K), value=tensor(*V)) == ONCE


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("_flash_attention_forward", ("query", "key", "value")),
        ("_efficient_attention_forward", ("query", "key", "value")),
        ("flash_attn::_flash_attn_forward", ("q", "k", "v")),
    ],
)
def test_kernels_that_have_tokens_before_heads(name, names):
    swapped = [tensor(s[0], s[2], s[1], s[3]) for s in (Q, K, V)]
    assert macs(name, **dict(zip(names, swapped, strict=True))) == ONCE


def packed(tokens, **facts):
    operands = {name: tensor(tokens, 4, 8) for name in ("query", "key", "value")}
    return operands | facts


def test_sequences_of_several_lengths_are_counted_if_the_lengths_are_known():
    name, each = "_flash_attention_forward", 2 * 4 * 8
    limits = {"cum_seq_q": tensor(4), "cum_seq_k": tensor(4)}
    alike = macs(name, **packed(30, **limits, max_q=10, max_k=10))
    assert alike == 3 * 10 * 10 * each
    assert macs(name, **packed(30, **limits, max_q=20, max_k=20)) == 0  # unlike, nobody knows how
    known = Operand((4,), "int32", lengths=(20, 7, 3))
    unlike = packed(30, cum_seq_q=known, cum_seq_k=known, max_q=20, max_k=20)
    assert macs(name, **unlike) == (20 * 20 + 7 * 7 + 3 * 3) * each
    single = {"cum_seq_q": tensor(2), "cum_seq_k": tensor(2)}
    assert macs(name, **packed(30, **single)) == 30 * 30 * each


def test_nested_operands_are_as_long_as_their_rows():
    nested = Operand((3, 4, 9, 8), "float32", lengths=(2, 9, 5))
    lengths = 2 * 2 + 9 * 9 + 5 * 5
    name = "_scaled_dot_product_flash_attention"
    assert macs(name, query=nested, key=nested, value=nested) == 2 * 4 * 8 * lengths
    rows = Operand((3, 9, 8), "float32", lengths=(2, 9, 5))
    assert macs("linear", input=rows, weight=tensor(6, 8)) == (2 + 9 + 5) * 8 * 6


@pytest.mark.parametrize(
    ("name", "args", "wanted"),
    [
        ("mm", {"self": tensor(20, 30, nnz=47), "mat2": tensor(30, 6)}, 47 * 6),
        ("addmm", {"mat1": tensor(20, 30, nnz=40), "mat2": tensor(30, 6)}, 40 * 6),
        ("mm", {"self": tensor(6, 20), "mat2": tensor(20, 30, nnz=47)}, 47 * 6),
        ("mv", {"self": tensor(20, 30, nnz=47), "vec": tensor(30)}, 47),
        ("linear", {"input": tensor(4, 30), "weight": tensor(20, 30, nnz=47)}, 47 * 4),
        (
            "sparse_sampled_addmm",
            {"self": tensor(20, 9, nnz=33), "mat1": tensor(20, 5), "mat2": tensor(5, 9)},
            33 * 5,
        ),
        (
            "_sparse_semi_structured_linear",
            {"input": tensor(4, 32), "weight": tensor(20, 16), "meta": tensor(20, 2)},
            4 * 20 * 16,
        ),
    ],
)
def test_sparse_products_are_counted_by_the_values_that_are_stored(name, args, wanted):
    assert macs(name, **args) == wanted


TOKENS, EXPERTS = tensor(12, 5), tensor(3, 5, 7)
FLAT = {"offs": tensor(3)}


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (TOKENS, EXPERTS, 12 * 5 * 7),
        (tensor(3, 4, 5), EXPERTS, 3 * 4 * 5 * 7),
        (tensor(5, 12), tensor(12, 7), 5 * 12 * 7),
        (tensor(3, 4, 5), tensor(5, 12), 4 * 5 * 12),
    ],
)
@pytest.mark.parametrize("name", ["_grouped_mm", "_scaled_grouped_mm"])
def test_grouped_products_multiply_each_row_once(name, a, b, wanted):
    assert macs(name, self=a, mat2=b, **FLAT) == wanted


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("linear", {"input": tensor(2, 3, 8), "weight": tensor(5, 8)}),
        ("mkldnn_linear", {"self": tensor(2, 3, 8), "weight": tensor(5, 8)}),
        ("mkl::_mkl_linear", {"X": tensor(2, 3, 8), "MKL_W": None, "ORI_W": tensor(5, 8)}),
        ("mkldnn::_linear_pointwise", {"X": tensor(2, 3, 8), "W": tensor(8, 5)}),
        ("onednn::qlinear_pointwise", {"qx": tensor(6, 8), "qw": tensor(8, 5)}),
        ("_int_mm", {"self": tensor(6, 8), "mat2": tensor(8, 5)}),
        ("_weight_int8pack_mm", {"self": tensor(6, 8), "mat2": tensor(5, 8)}),
        ("_weight_int4pack_mm_for_cpu", {"self": tensor(6, 8), "mat2": tensor(5, 4)}),
        ("_dyn_quant_matmul_4bit", {"inp": tensor(6, 8), "in_features": 8, "out_features": 5}),
        ("matmul", {"self": tensor(2, 3, 8), "other": tensor(8, 5)}),
        ("addmm_", {"mat1": tensor(6, 8), "mat2": tensor(8, 5)}),
        ("_foreach_mm", {"self": (tensor(2, 8), tensor(4, 8)), "mat2": (tensor(8, 5),) * 2}),
    ],
)
def test_linear_layers_of_any_library_are_the_same(name, args):
    assert macs(name, **args) == 6 * 8 * 5


def test_backward_of_linear_is_data_and_weights():
    args = {"self": tensor(2, 3, 8), "grad_output": tensor(2, 3, 5), "weight": tensor(5, 8)}
    found = products("linear_backward", args | {"output_mask": (True, True, True)})
    assert [(p.role, p.m, p.n, p.k) for p in found] == [
        (Role.DGRAD, 6, 8, 5), (Role.WGRAD, 5, 8, 6),
    ]  # fmt: skip
    masked = products("mkldnn_linear_backward", args | {"output_mask": (False, True, True)})
    assert [p.role for p in masked] == [Role.WGRAD]


CONV = {"stride": (2, 2), "padding": (1, 1), "dilation": (1, 1)}
IMAGES, FILTERS = tensor(2, 4, 9, 8), tensor(6, 2, 3, 3)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("convolution", {"input": IMAGES, "transposed": False, "groups": 2}),
        ("cudnn_convolution", {"self": IMAGES, "groups": 2}),
        ("miopen_convolution_relu", {"self": IMAGES, "groups": 2}),
        ("mkldnn_convolution", {"self": IMAGES, "groups": 2}),
        ("conv2d", {"input": IMAGES, "groups": 2}),
    ],
)
def test_convolutions_of_any_library_are_the_same(name, args):
    # 5 x 4 pixels of 6 channels, each of 2 x 3 x 3 taps
    assert macs(name, weight=FILTERS, **CONV, **args) == 2 * 5 * 4 * 6 * 18


# Recurrent layers: 5 steps of 3 sequences, 8 inputs, 16 units

ROWS, GATES = 5 * 3, {"LSTM": (2, 64), "GRU": (3, 48), "tanh": (1, 16)}


def layers(gates, *, inputs=8, state=16, layers=1, directions=1):
    found = []
    for layer in range(layers):
        width = state * directions if layer else inputs
        for _ in range(directions):
            found += [tensor(gates, width), tensor(gates, state), tensor(gates), tensor(gates)]
    return tuple(found)


@pytest.mark.parametrize("name", ["_cudnn_rnn", "miopen_rnn"])
@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("listed", [True, False])
def test_recurrent_layers_have_a_product_for_each_of_their_weights(name, cell, listed):
    mode, gates = GATES[cell]
    args = {
        "input": tensor(5, 3, 8), "weight": layers(gates) if listed else (), "mode": mode,
        "hidden_size": 16, "num_layers": 1, "batch_first": False, "bidirectional": False,
    }  # fmt: skip
    assert macs(name, **args) == ROWS * gates * (8 + 16)
    found = products(f"{name}_backward", args | {"output_mask": (True, True, True, True)})
    assert sum(p.batch * p.m * p.n * p.k for p in found) == 2 * ROWS * gates * (8 + 16)
    assert {p.role for p in found} == {Role.DGRAD, Role.WGRAD}
    without = products(f"{name}_backward", args | {"output_mask": (False, True, True, True)})
    assert sum(p.batch * p.m * p.n * p.k for p in without) == ROWS * gates * (8 + 2 * 16)


def test_two_layers_in_two_directions():
    args = {
        "input": tensor(3, 5, 8), "weight": layers(64, layers=2, directions=2), "mode": 2,
        "hidden_size": 16, "num_layers": 2, "batch_first": True, "bidirectional": True,
    }  # fmt: skip
    wanted = 2 * ROWS * 64 * (8 + 16) + 2 * ROWS * 64 * (32 + 16)
    assert macs("_cudnn_rnn", **args) == wanted
    assert macs("_cudnn_rnn", **args | {"weight": ()}) == wanted


def test_packed_sequences_have_the_rows_that_they_have():
    args = {"input": tensor(11, 8), "weight": layers(64), "mode": 2, "batch_sizes": (5, 4, 2)}
    assert macs("_cudnn_rnn", **args) == 11 * 64 * (8 + 16)


# Ops of serving engines


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("vllm::rocm_unquantized_gemm", [(6, 8), (5, 8), (5,)]),
        ("_C::cutlass_scaled_mm", [(6, 5), (6, 8), (8, 5), (6, 1), (1, 5)]),
        ("aiter::gemm_a8w8", [(6, 8), (5, 8), (6, 1), (1, 5), (6, 5)]),
        ("aiter::hipb_mm", [(6, 8), (8, 5)]),
        ("sgl_kernel::fp8_scaled_mm", [(6, 8), (8, 5), (6, 1), (5, 1)]),
        ("fbgemm::f8f8bf16_rowwise", [(6, 8), (5, 8), (6,), (5,)]),
        ("bitsandbytes::int8_linear_matmul", [(6, 8), (5, 8)]),
    ],
)
def test_plain_products_of_other_libraries_are_told_by_their_shapes(name, shapes):
    assert macs(name, **{f"argument{i}": tensor(*s) for i, s in enumerate(shapes)}) == 6 * 8 * 5


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("vllm::unified_attention_with_output", [(32, 8, 64)] * 4),
        ("vllm::moe_forward", [(32, 64), (32, 4)]),
        ("_C::gptq_marlin_gemm", [(6, 8), (8, 5)]),
        ("_C::awq_gemm", [(6, 8), (8, 5)]),
        ("quantized::linear", [(6, 8)]),
        ("quantized::conv2d", [(2, 3, 8, 8)]),
        ("aiter::fmha_fwd", [(2, 8, 4, 16)] * 3),
    ],
)
def test_what_shapes_do_not_tell_is_a_product_and_has_none(name, shapes):
    args = {f"argument{i}": tensor(*s) for i, s in enumerate(shapes)}
    assert is_product(name)
    assert products(name, args) == ()


@pytest.mark.parametrize(
    "name",
    [
        "vllm::rotary_embedding", "_C::rms_norm", "_C::silu_and_mul", "aiter::topk_softmax",
        "_C_cache_ops::reshape_and_cache", "_moe_C::moe_align_block_size", "_C::awq_dequantize",
        "torchvision::nms", "relu", "add_", "never_heard_of", "sgl_kernel::sgl_per_token_quant_fp8",
    ],
)  # fmt: skip
def test_other_ops_are_no_products(name):
    assert not is_product(name)
    assert products(name, {"self": tensor(6, 8), "other": tensor(8, 5)}) == ()


def test_arguments_that_are_missing_or_odd_give_no_product_and_no_error():
    names = words(
        "self mat1 mat2 input weight query key value stride padding dilation transposed groups "
        "grad_output output_mask batch1 batch2 hx mode X W"
    )
    odd = [None, (), "x", -1, SimpleNamespace(shape=(2,)), tensor(0, 0)]
    for name in FORMULAS:
        assert products(name, {}) == (), name
        for value in odd:
            for product in products(name, dict.fromkeys(names, value)):
                assert min(product.batch, product.m, product.n, product.k) >= 0
