"""Fused attention: kernels read Q, K and V; scores stay inside."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

from simulator.trace.gemms.product import Args, Formula, Product, Products, lengths
from simulator.trace.op import Causal, Role


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of the operands of an op."""

    query: str = "query"
    key: str = "key"
    value: str = "value"


@dataclass(frozen=True, slots=True)
class _HeadSizes:
    """`batch` heads in total of `s` queries and `t` keys of width `d`; values have width `dv`.

    `causal` ones skip the pairs above the diagonal.
    """

    batch: int
    s: int
    t: int
    d: int
    dv: int
    causal: bool = False

    def forward(self, names: _Names) -> Products:
        """Return scores and weighted values."""
        return self._cut(
            Product(None, self.batch, self.s, self.t, self.d, names.query, names.key),
            Product(None, self.batch, self.s, self.dv, self.t, "", names.value, 0),
        )

    def backward(self, names: _Names, grad: str) -> Products:
        """Return the five GEMMs of the gradients, recomputed scores included."""
        role, batch = Role.DGRAD, self.batch
        return self._cut(
            Product(role, batch, self.s, self.t, self.d, names.query, names.key),
            Product(role, batch, self.s, self.t, self.dv, grad, names.value),
            Product(role, batch, self.t, self.dv, self.s, "", grad, 2),
            Product(role, batch, self.s, self.d, self.t, "", names.key, 0),
            Product(role, batch, self.t, self.d, self.s, "", names.query, 1),
        )

    def _cut(self, *products: Product) -> Products:
        """Return the GEMMs, those of causal attention without pairs above the diagonal."""
        if not self.causal:
            return products
        return tuple(replace(each, causal=_triangle(each)) for each in products)


def _triangle(product: Product) -> Causal:
    """Return which matrix of a GEMM has the scores or their gradients.

    C of a GEMM of two tensors; A of others, transposed where the result has a row per key.
    """
    if product.a:
        return Causal.RESULT
    of_keys = product.role is Role.DGRAD and product.c > 0
    return Causal.LEFT_TRANSPOSED if of_keys else Causal.LEFT


_QKV = _Names()
_Q = _Names("q", "k", "v")
_GRADS = ("grad_out", "grad_out_", "dout")


def _heads_first(args: Args, names: _Names) -> tuple[_HeadSizes, ...]:
    """Operands [..., heads, tokens, width], or nested: sequences of several lengths.

    The diagonal begins with the first query and the first key (torch.nn.functional.
    scaled_dot_product_attention).
    """
    query, key = args[names.query], args[names.key]
    *lead, s, d = query.shape
    t, dv = key.shape[-2], args[names.value].shape[-1]
    causal = args.get("is_causal") is True
    if lengths(query) is None:
        return (_HeadSizes(prod(lead), s, t, d, dv, causal),)
    pairs = zip(lengths(query) or (), lengths(key) or (), strict=True)
    return tuple(_HeadSizes(prod(lead[1:]), each, other, d, dv, causal) for each, other in pairs)


def _tokens_first(args: Args, names: _Names) -> tuple[_HeadSizes, ...]:
    """Operands [images, tokens, heads, width], or [tokens, heads, width] of several sequences.

    The diagonal of these kernels ends with the last query and the last key (flash-attention 2.1),
    or begins with the first ones, as they are told: where there are not as many keys as queries,
    all pairs are counted.
    """
    query, key = args[names.query].shape, args[names.key].shape
    *images, s, heads, d = query
    t, dv = key[-3], args[names.value].shape[-1]
    causal = _is_cut(args)
    if _limits(args, "q") is None:
        return (_HeadSizes(prod(images) * heads, s, t, d, dv, causal and s == t),)
    pairs = zip(_lengths(args, "q", s), _lengths(args, "k", t), strict=True)
    return tuple(
        _HeadSizes(heads, each, other, d, dv, causal and each == other) for each, other in pairs
    )


def _is_cut(args: Args) -> bool:
    """Return whether a kernel is causal, by the argument of its library.

    Masks of ATen's efficient attention are 1 or 2: causal from the first or from the last pair.
    """
    if args.get("is_causal") is True or args.get("causal") is True:
        return True
    return args.get("custom_mask_type") in (1, 2)


def _all_pairs(args: Args, names: _Names) -> tuple[_HeadSizes, ...]:
    """Return the sizes of a kernel that computes all scores and masks some afterwards."""
    return tuple(replace(each, causal=False) for each in _heads_first(args, names))


def _limits(args: Args, side: str) -> Any:
    """Return where sequences begin, None if all have one length."""
    names = (f"cum_seq_{side}", f"cu_seqlens_{side}", f"cu_seqlens_{side}_")
    return next((args[name] for name in names if args.get(name) is not None), None)


def _lengths(args: Args, side: str, tokens: int) -> tuple[int, ...]:
    """Return the lengths of sequences that lie one after the other.

    The offsets give them, or the maximum where there is one sequence or all have that length.
    Raises ValueError otherwise.
    """
    limits = _limits(args, side)
    row_lengths = lengths(limits)
    if row_lengths is not None:
        return row_lengths
    count = limits.shape[0] - 1
    names = (f"max_{side}", f"max_seqlen_{side}", f"max_seqlen_{side}_")
    longest = next((args[name] for name in names if args.get(name) is not None), None)
    if count != 1 and (longest is None or int(longest) * count != tokens):
        raise ValueError("sequences of unknown lengths")
    return tuple([tokens // count] * count)


def _attention(sizes: Any, names: _Names = _QKV) -> Formula:
    def formula(args: Args) -> Products:
        return tuple(product for each in sizes(args, names) for product in each.forward(names))

    return formula


def _attention_backward(sizes: Any, names: _Names = _QKV) -> Formula:
    def formula(args: Args) -> Products:
        grad = next(name for name in _GRADS if name in args)
        return tuple(
            product for each in sizes(args, names) for product in each.backward(names, grad)
        )

    return formula


# Whole layers: projections and attention, feed-forward layers too


def _self_attention(args: Args, source: str, heads: int, last: int) -> Products:
    images, tokens, width = args[source].shape
    row_lengths = lengths(args[source]) or (tokens,) * images
    rows, each = sum(row_lengths), width // heads
    scores = [
        (Product(None, count * heads, t, t, each), Product(None, count * heads, t, each, t))
        for t, count in _counted(row_lengths)
    ]
    return (
        Product(None, 1, rows, 3 * width, width, source, "qkv_weight"),
        *(product for pair in scores for product in pair),
        Product(None, 1, rows, width, width, "", "proj_weight", last),
    )


def _counted(row_lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(each, row_lengths.count(each)) for each in dict.fromkeys(row_lengths)]


def _multihead(args: Args) -> Products:
    query, key = args["query"], args["key"]
    if tuple(query.shape) == tuple(key.shape):
        return _self_attention(args, "query", args["num_head"], 0)
    (images, s, width), t = query.shape, key.shape[1]
    heads = args["num_head"]
    return (
        Product(None, 1, images * s, width, width, "query", "qkv_weight"),
        Product(None, 1, images * t, 2 * width, width, "key", "qkv_weight"),
        Product(None, images * heads, s, t, width // heads),
        Product(None, images * heads, s, width // heads, t),
        Product(None, 1, images * s, width, width, "", "proj_weight", 0),
    )


def _encoder_layer(args: Args) -> Products:
    attention = _self_attention(args, "src", args["num_heads"], -1)
    (hidden, width), rows = args["ffn_weight_1"].shape, attention[0].m
    return (
        *attention,
        Product(None, 1, rows, hidden, width, "", "ffn_weight_1"),
        Product(None, 1, rows, width, hidden, "", "ffn_weight_2", 0),
    )


_SCALED = "_scaled_dot_product_"
_HEADS_FIRST = [
    _SCALED + kind
    for kind in (
        "flash_attention_for_cpu", "flash_attention", "efficient_attention", "cudnn_attention",
        "fused_attention_overrideable",
    )
]  # fmt: skip
FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(_HEADS_FIRST, _attention(_heads_first)),
    **{f"{name}_backward": _attention_backward(_heads_first) for name in _HEADS_FIRST},
    "scaled_dot_product_attention": _attention(_heads_first),
    "_scaled_dot_product_attention_math": _attention(_all_pairs),
    "_scaled_dot_product_attention_math_for_mps": _attention(_all_pairs),
    "_cudnn_attention_forward": _attention(_heads_first),
    "_cudnn_attention_backward": _attention_backward(_heads_first),
    "_flash_attention_forward": _attention(_tokens_first),
    "_flash_attention_forward_no_dropout_inplace": _attention(_tokens_first),
    "_flash_attention_backward": _attention_backward(_tokens_first),
    "_efficient_attention_forward": _attention(_tokens_first),
    "_efficient_attention_backward": _attention_backward(_tokens_first),
    "flash_attn::_flash_attn_forward": _attention(_tokens_first, _Q),
    "flash_attn::_flash_attn_backward": _attention_backward(_tokens_first, _Q),
    "flash_attn::_flash_attn_varlen_forward": _attention(_tokens_first, _Q),
    "flash_attn::_flash_attn_varlen_backward": _attention_backward(_tokens_first, _Q),
    "_triton_scaled_dot_attention": _attention(_heads_first, _Q),
    "_triton_multi_head_attention": _multihead,
    "_native_multi_head_attention": _multihead,
    "_transformer_encoder_layer_fwd": _encoder_layer,
}
