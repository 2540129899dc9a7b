"""GEMMs in ops of other libraries (vLLM, SGLang, AITER, FBGEMM, ...), inferred from shapes.

These ops have no schema. The name tells whether one is a GEMM; its sizes are inferred where its
first matrices are x [rows, k] and a weight with a side of k, optionally after a result.
"""

import re
from math import prod

from simulator.trace.gemms.linears import other_side
from simulator.trace.gemms.product import Args, Product, Products, matrices

_PRODUCT = re.compile(
    r"gemm|gemv|(^|_|scaled|b|h)mm(_|$)|\d+mm(_|$)|matmul|linear|conv(_transpose)?[123]?d|convolution|attention"
    r"|(^|_)attn|(^|_)f?mha(_|$)|(^|_)mla(_|$)|(^|_)f?moe|experts|(^|_)(rnn|lstm|gru)|wvsplitk"
    r"|llmm1|16_(row|block)wise|triton_tem"
)
_NO_PRODUCT = re.compile(
    r"quant(ize)?(_|$)|(^|_)(un|pre)?pack(_|$)|permute|(^|_)shuffle|topk|gating|softmax|align|sum$"
    r"|norm|cache|reorder|metadata|workspace|(^|_)get_|rotary|rope|activation|silu|gelu|merge"
    r"|(^|_)is_|convert"
)
_PLAIN = re.compile(r"gemm|(_|^|h|b)mm(_|$)|scaled_mm|matmul|linear|wvsplitk|llmm1|rowwise")
# Packed or chosen by the data: their shapes are not those of the product.
_HIDDEN = re.compile(
    r"moe|expert|group|awq|gptq|marlin|machete|squeeze|fp4|int4|i4|4bit|w4|wna16|packed|ggml"
    r"|attention|attn|mla|mha|conv|backward|_bwd"
)


def is_product(name: str) -> bool:
    """Return whether an op "library::name" is a GEMM, by its name."""
    base = name.partition("::")[2].lower() or name.lower()
    return bool(_PRODUCT.search(base)) and not _NO_PRODUCT.search(base)


def by_shapes(name: str, args: Args) -> Products:
    """Return the GEMM of such an op; raises ValueError if its shapes do not determine it."""
    base = name.partition("::")[2].lower()
    if not _PLAIN.search(base) or _HIDDEN.search(base):
        raise ValueError("no plain product")
    first = list(matrices(args))[:3]
    shift = int(len(first) == 3 and _result_first(*(shape for _, shape in first)))
    (a, x), (b, weight) = first[shift : shift + 2]
    *lead, m, k = x
    if len(weight) == 3:
        return (_batched(a, x, b, weight),)
    return (Product(None, 1, prod(lead) * m, other_side(weight, k), k, a, b, 0),)


def _batched(a: str, x: tuple[int, ...], b: str, weight: tuple[int, ...]) -> Product:
    batch, m, k = x
    if weight[0] != batch:
        raise ValueError("batches of two sizes")
    return Product(None, batch, m, other_side(weight[1:], k), k, a, b, 0)


def _result_first(out: tuple[int, ...], x: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Return whether the first matrix is the result of the other two."""
    return out[:-1] == x[:-1] and sorted(weight[-2:]) == sorted((x[-1], out[-1]))
