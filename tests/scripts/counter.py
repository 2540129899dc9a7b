"""Counts FLOPs by PyTorch's own formulas, and those that it lacks: vectors, sparse, attention."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import bmm_flop, flop_registry, sdpa_flop_count

aten = torch.ops.aten


def _product(a, b, *_, **__):
    rows = a._nnz() if a.layout is not torch.strided else a.shape[0] * a.shape[1]
    return 2 * rows * b.shape[1]


def _sum_of_product(_, a, b, *__, **___):
    return _product(a, b)


def _all_pairs(a, *_, **__):
    return 2 * a.numel()


def _sum_of_vector(_, a, *__, **___):
    return 2 * a.numel()


def _linear(x, weight, *_, **__):
    return 2 * x.numel() * weight.shape[0]


def _attention(query, key, value, _=0.0, is_causal=False, **__):
    whole = sdpa_flop_count(query.shape, key.shape, value.shape)
    return _seen(whole, query, is_causal)


def _seen(flops, query, is_causal):
    """Return the FLOPs of as many tokens on both sides, if it is causal those of the triangle."""
    tokens = query.shape[-2]
    return flops * (tokens + 1) // (2 * tokens) if is_causal else flops


def _attention_backward(_, query, key, value, *others, **__):
    """Five products: the scores again, and the gradients of both products."""
    b, h, s, d = query.shape
    t, dv = key.shape[-2], value.shape[-1]
    shapes = [
        ((b * h, s, d), (b * h, d, t)),
        ((b * h, s, dv), (b * h, dv, t)),
        ((b * h, t, s), (b * h, s, dv)),
        ((b * h, s, t), (b * h, t, d)),
        ((b * h, t, s), (b * h, s, d)),
    ]
    *_, is_causal = others  # out, logsumexp, dropout before it
    return _seen(sum(bmm_flop(*shape) for shape in shapes), query, is_causal)


_FORMULAS = {
    **flop_registry,
    aten.mm: _product,
    aten.addmm: _sum_of_product,
    aten._sparse_addmm: _sum_of_product,
    aten.dot: _all_pairs,
    aten.vdot: _all_pairs,
    aten.mv: _all_pairs,
    aten.addmv: _sum_of_vector,
    aten.linear: _linear,  # in inference mode PyTorch hands it over whole
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


class FlopCounter(TorchDispatchMode):
    """Adds up the FLOPs of all ops of this thread.

    FlopCounterMode itself refuses a gradient penalty, since it also follows modules.
    """

    def __init__(self):
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        formula = _FORMULAS.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result
