"""Names of constants in sentences: "GEMM efficiency of the CPU", "energy per int8 MAC"."""

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
    "cpu_vector": "energy per vector instruction of the CPU",
    "cpu_cache": "energy per byte through the CPU's caches",
    "cpu_wait": "energy per cycle of a core that waits",
    "clock": "energy of the array's clock",
    "control": "control of the array",
    "gated": "gated clock of the array",
    "noc": "energy of routers",
    "controller": "energy of the DRAM controller",
    "phy": "energy of the DRAM interface",
    "regulators": "losses of regulators",
    "board_static": "static power of the board",
    "dram_power_down": "power-down power of the DRAM",
    "dram_self_refresh": "self-refresh power of the DRAM",
    "dram_activates": "energy per DRAM activation",
    "dram_read_bursts": "energy per DRAM read",
    "dram_write_bursts": "energy per DRAM write",
    "dram_standby": "standby power of the DRAM",
    "dram_refresh": "energy per DRAM refresh",
}
_COSTS = {
    "product_pack": "packing for BLAS",
    "product_fork": "start of BLAS's threads",
    "aside": "GEMM efficiency side by side",
    "inner_dispatch": "dispatch within kernels",
    "fork": "start of NNPACK's threads",
    "unfold": "im2col",
    "fold": "col2im",
    "row_start": "start of a row of im2col",
    "pack": "packing for NNPACK",
    "packed_efficiency": "efficiency of NNPACK's GEMM",
    "transform": "transforms of NNPACK",
    "tuple_efficiency": "efficiency between NNPACK's transforms",
    "page_walk": "page walk",
    "first_touch": "first touch of memory",
    "pool": "pooling",
    "norm": "norms",
}
_OF_COSTS = "cpu.costs."


def name_of(path: str) -> str:
    """Return the name of a setting or of a price factor."""
    if path.startswith(PREFIX):
        kind = path.removeprefix(PREFIX)
        return _PRICES.get(kind, f"energy per {kind.removeprefix('mac_')} MAC")
    if path.startswith(_OF_COSTS):
        cost = path.removeprefix(_OF_COSTS)
        return f"{_COSTS.get(cost, _spoken(cost))} on the CPU"
    *parents, leaf = path.split(".")
    return " of the ".join(_spoken(part) for part in (leaf, *reversed(parents)))


def _spoken(part: str) -> str:
    return " ".join(_WORDS.get(word, word) for word in part.split("_"))
