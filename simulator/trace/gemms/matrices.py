"""Plain GEMMs: dense, sparse, lists of them, grouped."""

from itertools import starmap
from math import prod
from typing import Any

from simulator.trace.gemms.product import Args, Formula, Product, Products, lengths, rows, stored


def _matrix(first: str, second: str) -> Formula:
    def formula(args: Args) -> Products:
        a, b = args[first], args[second]
        *lead, m, k = a.shape
        n = b.shape[-1]
        if stored(a) is not None:
            return sparse(m, n, stored(a) or 0, first, second)
        if stored(b) is not None:
            return sparse(n, m, stored(b) or 0, second, first)
        if lengths(a) is not None:
            return (Product(None, 1, rows(a), n, k, first, second, 0),)
        return (Product(None, prod(lead), m, n, k, first, second, 0),)

    return formula


def sparse(m: int, n: int, values: int, first: str, second: str) -> Products:
    """Return the GEMMs of a sparse matrix of m rows: MACs of its stored values, times n.

    Rows are assumed equally full; a remainder is one more row.
    """
    each, rest = divmod(values, max(1, m))
    return _parts((m, n, each), (1, n, rest), first, second)


def _parts(
    full: tuple[int, int, int], rest: tuple[int, int, int], first: str, second: str
) -> Products:
    """Return GEMMs of these m, n and k unless they are empty; the first has the operands."""
    sizes = [size for size in (full, rest) if all(size)]
    named = [Product(None, 1, *size, first, second, 0) for size in sizes[:1]]
    return (*named, *(Product(None, 1, *size) for size in sizes[1:]))


def _sampled(args: Args) -> Products:
    """SDDMM: only the values in the sparsity pattern of `self` are computed."""
    *_, m, k = args["mat1"].shape
    pattern = stored(args["self"])
    if pattern is None:
        return _matrix("mat1", "mat2")(args)
    each, rest = divmod(pattern, max(1, m))
    return _parts((m, each, k), (1, rest, k), "mat1", "mat2")


def _vector(first: str, second: str) -> Formula:
    def formula(args: Args) -> Products:
        *lead, k = args[first].shape
        values = stored(args[first])
        if values is not None:
            return sparse(prod(lead), 1, values, first, second)
        return (Product(None, 1, prod(lead), 1, k, first, second, 0),)

    return formula


def _addbmm(args: Args) -> Products:
    batch, m, k = args["batch1"].shape
    n = args["batch2"].shape[-1]
    return (Product(None, 1, m, n, batch * k, "batch1", "batch2", 0),)


def _lists(args: Args) -> Products:
    """A GEMM for each pair of two lists."""
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


def _matmul_backward(args: Args) -> Products:
    (forward,), mask = _matmul(args), args["mask"]
    batch, m, n, k = forward.batch, forward.m, forward.n, forward.k
    gradients = (Product(None, batch, m, k, n, "grad", "other", 0),) if mask[0] else ()
    other = (Product(None, batch, k, n, m, "self", "grad", int(mask[0])),) if mask[1] else ()
    return gradients + other


_BY_SELF = ("mm", "bmm", "_int_mm", "_scaled_mm", "_scaled_mm_v2")
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
    "inductor::_mm_plus_mm": lambda args: (
        *_matrix("a", "b")(args),
        *_matrix("c", "d")(args),
    ),
}
"""Formulas by name; ops of other libraries than ATen with their namespace."""
