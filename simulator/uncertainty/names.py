"""Constants as a sentence names them: "GEMM efficiency of the CPU", "energy per int8 MAC"."""

from simulator.energy.factors import PREFIX

_WORDS = {
    "gemm": "GEMM", "cpu": "CPU", "dma": "DMA", "dram": "DRAM", "llc": "last-level cache",
    "simd": "SIMD", "sram": "SRAM",
}  # fmt: skip
_PRICES = {
    "array_leakage": "leakage of the array",
    "sram_access": "energy per SRAM access",
    "sram_leakage": "leakage of the SRAM",
    "wire": "energy of the interconnect",
    "cpu_cycle": "energy per CPU cycle",
    "cpu_static": "static power of the CPU",
    "dram_activates": "energy per DRAM activation",
    "dram_read_bursts": "energy per DRAM read",
    "dram_write_bursts": "energy per DRAM write",
    "dram_standby": "standby power of the DRAM",
    "dram_refresh": "energy per DRAM refresh",
}


def name_of(path: str) -> str:
    """Return a setting by its part, or a factor of prices, as people say it."""
    if path.startswith(PREFIX):
        kind = path.removeprefix(PREFIX)
        return _PRICES.get(kind, f"energy per {kind.removeprefix('mac_')} MAC")
    *parents, leaf = path.split(".")
    return " of the ".join(_spoken(part) for part in (leaf, *reversed(parents)))


def _spoken(part: str) -> str:
    return " ".join(_WORDS.get(word, word) for word in part.split("_"))
