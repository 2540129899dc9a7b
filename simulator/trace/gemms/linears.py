"""Linear layers of all libraries, with plain, packed or 2:4 sparse weights."""

from math import prod

from simulator.trace.gemms.matrices import sparse
from simulator.trace.gemms.product import Args, Formula, Product, Products, rows, stored
from simulator.trace.op import Role


def _linear(source: str, weight: str) -> Formula:
    def formula(args: Args) -> Products:
        k = args[source].shape[-1]
        n = args[weight].shape[0] if len(args[weight].shape) > 1 else 1
        values = stored(args[weight])
        if values is not None:
            return sparse(n, rows(args[source]), values, weight, source)
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


def _int4(args: Args) -> Products:
    """The weight is packed in tiles of 8 outputs: [out / 8, ...]."""
    *lead, k = args["self"].shape
    packed = args["mat2"].shape
    n = packed[0] * (8 if len(packed) == 4 else 1)
    return (Product(None, 1, prod(lead), n, k, "self", "mat2", 0),)


def _given_sides(args: Args) -> Products:
    n, k = int(args["out_features"]), int(args["in_features"])
    return (Product(None, 1, rows(args["inp"]), n, k, "inp", "packed_weights", 0),)


# Semi-structured (2:4) sparse: two of each four values are stored


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
    **{name: _linear(*operands) for name, operands in _LINEARS.items()},
    "_mixed_dtypes_linear": _fitting("input", "weight"),
    "mkldnn::_linear_pointwise": _fitting("X", "W"),
    "onednn::qlinear_pointwise": _fitting("qx", "qw"),
    "linear_backward": _linear_backward,
    "mkldnn_linear_backward": _linear_backward,
    "mkldnn_linear_backward_input": _linear_backward_input,
    "mkldnn_linear_backward_weights": _linear_backward_weights,
    **dict.fromkeys(("_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu"), _int4),
    "_weight_int4pack_mm_with_scales_and_zeros": _int4,
    "_dyn_quant_matmul_4bit": _given_sides,
    "_sparse_semi_structured_mm": _half_matrix,
    "_sparse_semi_structured_addmm": _half_matrix,
    "_sparse_semi_structured_linear": _half_linear,
    "_cslt_sparse_mm": _half_compressed,
}
