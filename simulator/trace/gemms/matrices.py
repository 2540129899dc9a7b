"""Matrix products as such: dense, grouped, with packed or sparse weights, and linear layers."""

from itertools import starmap
from math import prod
from typing import Any

from simulator.trace.gemms.product import Args, Formula, Product, Products, lengths, rows, stored
from simulator.trace.op import Role


def _matrix(first: str, second: str) -> Formula:
    def formula(args: Args) -> Products:
        a, b = args[first], args[second]
        *lead, m, k = a.shape
        n = b.shape[-1]
        if stored(a) is not None:
            return _sparse(m, n, stored(a) or 0, first, second)
        if stored(b) is not None:
            return _sparse(n, m, stored(b) or 0, first, second)
        if lengths(a) is not None:
            return (Product(None, 1, rows(a), n, k, first, second, 0),)
        return (Product(None, prod(lead), m, n, k, first, second, 0),)

    return formula


def _sparse(m: int, n: int, values: int, first: str, second: str) -> Products:
    """Return the products of a sparse matrix of m rows: as many MACs as it stores values, n times.

    Rows are taken to be equally full; what does not divide is one more row.
    """
    each, rest = divmod(values, max(1, m))
    full = Product(None, 1, m, n, each, first, second, 0)
    return (full, Product(None, 1, 1, n, rest)) if rest else (full,)


def _sampled(args: Args) -> Products:
    """A product of which only the values in the pattern of `self` are computed."""
    *_, m, k = args["mat1"].shape
    pattern = stored(args["self"])
    if pattern is None:
        return _matrix("mat1", "mat2")(args)
    each, rest = divmod(pattern, max(1, m))
    full = Product(None, 1, m, each, k, "mat1", "mat2", 0)
    return (full, Product(None, 1, 1, rest, k)) if rest else (full,)


def _vector(first: str, second: str) -> Formula:
    def formula(args: Args) -> Products:
        *lead, k = args[first].shape
        values = stored(args[first])
        if values is not None:
            return _sparse(prod(lead), 1, values, first, second)
        return (Product(None, 1, prod(lead), 1, k, first, second, 0),)

    return formula


def _addbmm(args: Args) -> Products:
    batch, m, k = args["batch1"].shape
    n = args["batch2"].shape[-1]
    return (Product(None, 1, m, n, batch * k, "batch1", "batch2", 0),)


def _lists(args: Args) -> Products:
    """A product for each pair in two lists."""
    pairs = zip(args["self"], args["mat2"], strict=True)
    return tuple(starmap(_pair, pairs))


def _pair(a: Any, b: Any) -> Product:
    (m, k), n = a.shape, b.shape[-1]
    return Product(None, 1, m, n, k)


def _matmul(args: Args) -> Products:
    """torch.matmul: vectors are rows or columns, batches are broadcast."""
    a, b = args["self"].shape, args["other"].shape
    *lead, m, k = (1, *a) if len(a) == 1 else a
    *others, _, n = (*b, 1) if len(b) == 1 else b
    if prod(others) == 1:
        return (Product(None, 1, prod(lead) * m, n, k, "self", "other", 0),)
    batch = prod(max(pair) for pair in _aligned(lead, others))
    return (Product(None, batch, m, n, k, "self", "other", 0),)


def _aligned(first: list[int], second: list[int]) -> list[tuple[int, int]]:
    length = max(len(first), len(second))
    ones = [1] * length
    pairs = zip((ones + first)[-length:], (ones + second)[-length:], strict=True)
    return list(pairs) if length else []


# Grouped: the rows of one operand belong to several matrices of the other


def _grouped(args: Args) -> Products:
    """`offs` cuts the dimension that both have, or the rows or columns of a flat operand."""
    *groups, m, k = args["self"].shape
    *others, _, n = args["mat2"].shape
    batch = groups[0] if groups and others else 1
    return (Product(None, batch, m, n, k, "self", "mat2", 0),)


# Linear layers: the weight is [out, in], unless it is packed


def _linear(source: str, weight: str) -> Formula:
    def formula(args: Args) -> Products:
        k = args[source].shape[-1]
        n = args[weight].shape[0] if len(args[weight].shape) > 1 else 1
        values = stored(args[weight])
        if values is not None:
            return _sparse(n, rows(args[source]), values, weight, source)
        return (Product(None, 1, rows(args[source]), n, k, source, weight, 0),)

    return formula


def _fitting(source: str, weight: str) -> Formula:
    """A weight of which one dimension is that of the input; the other one is of the output."""

    def formula(args: Args) -> Products:
        k, n = args[source].shape[-1], other_side(args[weight].shape, args[source].shape[-1])
        return (Product(None, 1, rows(args[source]), n, k, source, weight, 0),)

    return formula


def other_side(shape: tuple[int, ...], k: int) -> int:
    """Return the dimension of a matrix that is not `k`; raises ValueError if none is `k`."""
    first, second = shape
    if k not in (first, second):
        raise ValueError(f"a weight of shape {tuple(shape)} for {k} inputs")
    return first if second == k else second


def _linear_backward(args: Args) -> Products:
    source, grad = args.get("input", args.get("self")), args["grad_output"]
    name = "input" if "input" in args else "self"
    n, k = args["weight"].shape
    mask = args.get("output_mask") or (True, True)
    dgrad = Product(Role.DGRAD, 1, rows(grad), k, n, "grad_output", "weight", 0)
    wgrad = Product(Role.WGRAD, 1, n, k, rows(source), "grad_output", name, 1)
    return tuple(product for product, needed in zip((dgrad, wgrad), mask, strict=False) if needed)


def _linear_backward_input(args: Args) -> Products:
    n, k = args["weight"].shape
    return (Product(Role.DGRAD, 1, rows(args["grad_output"]), k, n, "grad_output", "weight", 0),)


def _linear_backward_weights(args: Args) -> Products:
    n, k = args["weight"].shape
    return (Product(Role.WGRAD, 1, n, k, rows(args["grad_output"]), "grad_output", "input", 0),)


def _matmul_backward(args: Args) -> Products:
    (forward,), mask = _matmul(args), args["mask"]
    batch, m, n, k = forward.batch, forward.m, forward.n, forward.k
    gradients = (Product(None, batch, m, k, n, "grad", "other", 0),) if mask[0] else ()
    other = (Product(None, batch, k, n, m, "self", "grad", int(mask[0])),) if mask[1] else ()
    return gradients + other


def _int4(args: Args) -> Products:
    """The weight is packed in tiles of 8 outputs: [out / 8, ...]."""
    *lead, k = args["self"].shape
    packed = args["mat2"].shape
    n = packed[0] * (8 if len(packed) == 4 else 1)
    return (Product(None, 1, prod(lead), n, k, "self", "mat2", 0),)


def _given_sides(args: Args) -> Products:
    n, k = int(args["out_features"]), int(args["in_features"])
    return (Product(None, 1, rows(args["inp"]), n, k, "inp", "packed_weights", 0),)


# Semi-structured sparse: of each four values two are stored


def _half_matrix(args: Args) -> Products:
    m, half = args["mat1"].shape
    return (Product(None, 1, m, args["mat2"].shape[-1], half, "mat1", "mat2", 0),)


def _half_linear(args: Args) -> Products:
    n, half = args["weight"].shape
    return (Product(None, 1, rows(args["input"]), n, half, "input", "weight", 0),)


def _half_compressed(args: Args) -> Products:
    k, n = args["dense_B"].shape
    m = args["compressed_A"].shape[0]
    return (Product(None, 1, m, n, k // 2, "compressed_A", "dense_B", 0),)


_BY_SELF = ("mm", "bmm", "_int_mm", "_scaled_mm", "_scaled_mm_v2")
_LINEARS = {
    "linear": ("input", "weight"),
    "mkldnn_linear": ("self", "weight"),
    "mkl::_mkl_linear": ("X", "ORI_W"),
    "onednn::linear_dynamic_fp16": ("x", "w"),
    "onednn::linear_relu_dynamic_fp16": ("x", "w"),
    "fbgemm_linear_int8_weight": ("input", "weight"),
    "fbgemm_linear_int8_weight_fp32_activation": ("input", "weight"),
    "_weight_int8pack_mm": ("self", "mat2"),
    "_quantized::wrapped_quantized_linear": ("X", "W"),
    "_quantized::wrapped_fbgemm_linear_fp16_weight": ("X", "W"),
}
FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(_BY_SELF, _matrix("self", "mat2")),
    **dict.fromkeys(("addmm", "_addmm_activation", "_sparse_addmm"), _matrix("mat1", "mat2")),
    "hspmm": _matrix("mat1", "mat2"),
    "sspaddmm": _matrix("mat1", "mat2"),
    "_sparse_mm_reduce_impl": _matrix("self", "other"),
    "quantized::matmul": _matrix("qa", "qb"),
    "symm_mem::_async_input_mm": _matrix("a", "b"),
    "sparse_sampled_addmm": _sampled,
    "baddbmm": _matrix("batch1", "batch2"),
    "addbmm": _addbmm,
    "_foreach_mm": _lists,
    "_native::_foreach_mm_native_0": _lists,
    "matmul": _matmul,
    "matmul_backward": _matmul_backward,
    "mv": _vector("self", "vec"),
    "addmv": _vector("mat", "vec"),
    "dot": _vector("self", "tensor"),
    "vdot": _vector("self", "other"),
    **dict.fromkeys(("_grouped_mm", "_scaled_grouped_mm", "_scaled_grouped_mm_v2"), _grouped),
    **{name: _linear(*operands) for name, operands in _LINEARS.items()},
    "_mixed_dtypes_linear": _fitting("input", "weight"),
    "mkldnn::_linear_pointwise": _fitting("X", "W"),
    "onednn::qlinear_pointwise": _fitting("qx", "qw"),
    "linear_backward": _linear_backward,
    "mkldnn_linear_backward": _linear_backward,
    "mkldnn_linear_backward_input": _linear_backward_input,
    "mkldnn_linear_backward_weights": _linear_backward_weights,
    "inductor::_mm_plus_mm": lambda args: (
        *_matrix("a", "b")(args),
        *_matrix("c", "d")(args),
    ),
    **dict.fromkeys(("_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu"), _int4),
    "_weight_int4pack_mm_with_scales_and_zeros": _int4,
    "_dyn_quant_matmul_4bit": _given_sides,
    "_sparse_semi_structured_mm": _half_matrix,
    "_sparse_semi_structured_addmm": _half_matrix,
    "_sparse_semi_structured_linear": _half_linear,
    "_cslt_sparse_mm": _half_compressed,
}
"""Formulas by name; ops of other libraries than ATen with their namespace."""
