"""What the CPU's attention kernel computes of a causal product: whole blocks.

aten/src/ATen/native/cpu/FlashAttentionKernel.cpp of PyTorch, forward and backward alike: a block of
queries goes over the blocks of keys up to its last query (`num_keys`), each of them whole
(`kvBlockSize`).
"""

from simulator.trace.causal import pairs_in_blocks
from simulator.trace.op import Causal, Gemm

_QUERIES = ((768, 256), (192, 64), (0, 32))  # from so many queries on, blocks of so many
_KEYS = 512


def executed_macs(gemm: Gemm) -> int:
    """Return the MACs of `gemm` as the kernel computes it."""
    return gemm.batch * gemm.width * _pairs(gemm) if gemm.causal else gemm.macs


def executed_results(gemm: Gemm) -> int:
    """Return the elements that the kernel computes of a product of scores; of others, all."""
    return gemm.batch * _pairs(gemm) if gemm.causal is Causal.RESULT else gemm.made


def _pairs(gemm: Gemm) -> int:
    rows = next(size for least, size in _QUERIES if gemm.queries >= least)
    return pairs_in_blocks(gemm.queries, gemm.keys, rows, _KEYS)
