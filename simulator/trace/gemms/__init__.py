"""The GEMMs of an op: `batch` products C[m,n] += A[m,k] B[k,n], from the shapes of its arguments.

A convolution is its im2col GEMM, forward and in both gradients; attention and fused recurrent
layers are the GEMMs inside them. `a` and `b` are names of arguments, `c` the index of the result.
"""

from simulator.trace.gemms import attention, convolutions, engines, linears, matrices, recurrent
from simulator.trace.gemms.product import Args, Formula, Operand, Product, words

__all__ = ["Args", "Operand", "Product", "is_product", "products"]

FORMULAS: dict[str, Formula] = {
    **matrices.FORMULAS,
    **linears.FORMULAS,
    **convolutions.FORMULAS,
    **attention.FORMULAS,
    **recurrent.FORMULAS,
}
UNCOUNTED = words(
    """
    _sparse_sparse_matmul _cslt_sparse_mm_search _sparse_mm_reduce_impl_backward
    fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation
    _wrapped_quantized_linear_prepacked conv_tbc_backward quantized_gru quantized_lstm
    """
)
"""ATen's GEMMs whose sizes the arguments do not give: packed weights, sparse times sparse."""

_MISFITS = (
    KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, ArithmeticError,
    RuntimeError, StopIteration,
)  # fmt: skip


def products(name: str, args: Args) -> tuple[Product, ...]:
    """Return the GEMMs of a call of `name`.

    Empty if the op has none, or if its arguments do not determine their sizes. Ops of libraries
    other than ATen have their namespace in the name, "mkldnn::_linear_pointwise".
    """
    formula = _formula(name)
    try:
        if formula is not None:
            gemms = formula(args)
        elif _is_foreign(name) and engines.is_product(name):
            gemms = engines.by_shapes(name, args)
        else:
            gemms = ()
    except _MISFITS:
        return ()
    return gemms if all(_is_whole(gemm) for gemm in gemms) else ()


def is_product(name: str) -> bool:
    """Return whether an op computes GEMMs, even if its arguments do not give their sizes."""
    if _formula(name) is not None or name in UNCOUNTED:
        return True
    return _is_foreign(name) and engines.is_product(name)


def _formula(name: str) -> Formula | None:
    return FORMULAS.get(name) or FORMULAS.get(name.removesuffix("_"))


def _is_foreign(name: str) -> bool:
    return "::" in name or name.startswith("triton_")


def _is_whole(product: Product) -> bool:
    sizes = (product.batch, product.m, product.n, product.k)
    return all(isinstance(size, int) and size >= 0 for size in sizes)
