"""The blocks of a causal GEMM that the CPU's attention kernel computes in full.

aten/src/ATen/native/cpu/FlashAttentionKernel.cpp of PyTorch, forward and backward alike: a block of
queries goes over the blocks of keys up to its last query (`num_keys`), each of them whole
(`kvBlockSize`).
"""

from simulator.trace.causal import pairs_in_blocks
from simulator.trace.op import Causal, Gemm

_QUERIES = ((768, 256), (192, 64), (0, 32))  # (least queries, rows of a block)
_KEYS = 512


def executed_macs(gemm: Gemm) -> int:
    """Return the MACs of `gemm` as the kernel computes it."""
    return gemm.batch * gemm.width * _pairs(gemm) if gemm.causal else gemm.dense_macs


def executed_results(gemm: Gemm) -> int:
    """Return the output elements that the kernel computes: of scores, those of its blocks."""
    if gemm.causal is not Causal.RESULT:
        return gemm.result_elements
    return gemm.batch * _pairs(gemm)


def _pairs(gemm: Gemm) -> int:
    rows = next(size for least, size in _QUERIES if gemm.queries >= least)
    return pairs_in_blocks(gemm.queries, gemm.keys, rows, _KEYS)
