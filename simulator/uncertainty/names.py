"""Settings as a sentence names them: "GEMM efficiency of the CPU"."""

_WORDS = {
    "gemm": "GEMM", "cpu": "CPU", "dma": "DMA", "dram": "DRAM", "llc": "last-level cache",
    "simd": "SIMD", "sram": "SRAM", "im2col": "im2col", "mac": "MAC", "op": "op",
}  # fmt: skip


def name_of(path: str) -> str:
    """Return a dotted path as people say it, the part that it belongs to last."""
    *parents, leaf = path.split(".")
    names = [_spoken(part) for part in (leaf, *reversed(parents))]
    return " of the ".join(names)


def _spoken(part: str) -> str:
    return " ".join(_WORDS.get(word, word) for word in part.split("_"))
