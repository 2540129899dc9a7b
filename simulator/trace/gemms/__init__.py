"""Which matrix products an op stands for: C[m,n] += A[m,k] B[k,n], `batch` times.

A convolution is its im2col product, forward and in both gradients; attention and fused recurrent
layers are the products that they hide. `a` and `b` are named by argument, `c` by the position of
the result.
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
"""ATen's products whose sizes no argument tells: of packed weights, of two sparse matrices."""

_MISFITS = (
    KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, ArithmeticError,
    RuntimeError, StopIteration,
)  # fmt: skip


def products(name: str, args: Args) -> tuple[Product, ...]:
    """Return the matrix products of a call of `name`.

    None if it is no product, or one whose arguments do not tell its sizes. Ops of other libraries
    than ATen are named with their namespace, "mkldnn::_linear_pointwise".
    """
    formula = _formula(name)
    try:
        if formula is not None:
            found = formula(args)
        elif _is_foreign(name) and engines.is_product(name):
            found = engines.by_shapes(name, args)
        else:
            found = ()
    except _MISFITS:
        return ()
    return found if all(_is_whole(product) for product in found) else ()


def is_product(name: str) -> bool:
    """Tell whether an op is a product, also one whose sizes its arguments do not tell."""
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
