"""Energy of an inference on MCUs with accelerators (MLPerf Tiny), in the measured time.

Syntiant's NDP120 is an array with one memory. GAP9 is described by what is public of it: its
engine, NE16, by its RTL (github.com/pulp-platform/ne16), its cluster by its family's papers. What
its cores do is not public: they are taken to work while neither the engine does nor weights are
loaded, which was assumed with these rows in sight (`gap9_asleep` has the rows if they slept).
"""

from collections.abc import Callable
from typing import NamedTuple

from simulator.energy import tables
from simulator.energy.overheads import at_node, clock_pj, overhead
from tests.silicon_row import CORE_HIGH, CORE_LOW, SiliconRow, core_pj, read_table

_Times = Callable[[str], float]
"""The factor on a kind of price."""

_Uj = Callable[[dict[str, str], _Times], float]

_GOAL = 0.35


def tiny() -> list[SiliconRow]:
    """Return the energy of an inference, and of GAP9's engine at its full rate."""
    rows = [_tiny(row) for row in read_table("mlperf_tiny")]
    return [*rows, engine_at_full_rate()]


def gap9_asleep() -> list[SiliconRow]:
    """Return GAP9's rows as they were if its cores did not work while the engine waits."""
    rows = [row for row in read_table("mlperf_tiny") if _is_gap9(row)]
    return [_row(row, _asleep_uj) for row in rows]


def _tiny(row: dict[str, str]) -> SiliconRow:
    return _row(row, _gap9_uj if _is_gap9(row) else _array_uj)


def _is_gap9(row: dict[str, str]) -> bool:
    return row["system"].startswith("gap9")


def _row(row: dict[str, str], of: _Uj) -> SiliconRow:
    ends = [of(row, times) for times in (_usual, _low, _high)]
    what = f"{row['network']}, MLPerf Tiny"
    measured = float(row["energy_uj"])
    return SiliconRow(row["system"], what, "uJ", measured, *ends, _GOAL, row["missing"])


def _array_uj(row: dict[str, str], times: _Times) -> float:
    """Return MACs, clock, operands of the array in one memory, each weight once, and leakage."""
    node, seconds = int(row["node_nm"]), 1 / float(row["throughput_inf_per_s"])
    macs, side = float(row["mmacs"]) * 1e6, float(row["macs_per_cycle"]) ** 0.5
    bank = tables.sram("itrs-lstp", node, int(row["memory_kib"]) * 1024, 128)
    byte = bank.read_pj * 8 / bank.width_bits * times("sram_access")
    cycles = seconds * float(row["clock_mhz"]) * 1e6
    clock = clock_pj(2 * 8 + 32, node) * (1 + overhead("control").value) * times("clock")
    moved = macs / side * (1 + 2 * 4) + float(row["weights_kib"]) * 1024
    pj = macs * tables.mac_pj("int8", node) * times("mac")
    pj += cycles * float(row["macs_per_cycle"]) * clock + moved * byte
    return pj * _supply(row) * 1e-6 + bank.leakage_mw * seconds * 1e3 * times("sram_leakage")


_COLUMNS, _TAPS, _CHANNELS, _OUTPUTS = 9, 9, 16, 32  # of NE16: ne16_package.sv
_MACS = _COLUMNS * _TAPS * _CHANNELS // 8  # 1 x 8 bit multipliers, eight steps for weights of 8 bit
_REGISTERS = _COLUMNS * _OUTPUTS * 32 + 32 * _CHANNELS * 8 + _COLUMNS * _TAPS * _CHANNELS
"""Bits: 32-bit sums of 32 outputs in each column, the input buffer, a weight bit per multiplier."""
_WEIGHTS = _TAPS * _CHANNELS // 8  # bytes per cycle: one bit of each weight, for all columns
_DMA = 8  # bytes per cycle: a port of 64 bit between L2 and L1 (PULP, recalled)
_L1_BANK, _L2_BANK = 8 * 1024, 128 * 1024  # guess: 128 KiB in 16 banks, 1.5 MiB in 12
_CORES = 8  # of its cluster; a ninth, and one outside, drive it


class Gap9(NamedTuple):
    """Energy in pJ at the tables' voltage by block, of some MACs, loads and cycles."""

    macs: float
    registers: float
    l1: float
    loads: float
    drivers: float
    cores: float


def gap9(macs: float, weights: float, cycles: float, node: int, times: _Times, fc: bool) -> Gap9:
    """Return what `macs` with so many bytes of `weights` take in `cycles` by block.

    A convolution reads a byte of weights for nine MACs, a fully connected layer (`fc`) for each,
    and the port limits its rate. `cores` work while neither the engine nor the DMA does.
    """
    read = macs if fc else macs / _COLUMNS
    busy = max(macs / _MACS, read / _WEIGHTS)
    hop = at_node("noc", node) * times("noc")
    l1, l1_write = (each * times("sram_access") + hop for each in _bank_pj(_L1_BANK, node))
    wire = 8 * tables.wire_pj_per_bit_mm(node) * tables.interconnect_mm() * times("wire")
    l2 = _bank_pj(_L2_BANK, node)[0] * times("sram_access") + wire + hop
    clock = clock_pj(_REGISTERS, node) * (1 + overhead("control").value) * times("clock")
    gated = overhead("gated").value
    serial = tables.spread("mac", "int8").high  # an element made of narrow parts
    core = core_pj(node) * times("core")
    rest = max(0.0, cycles - busy - weights / _DMA)
    return Gap9(
        macs * tables.mac_pj("int8", node) * serial * times("serial_mac"),
        (busy + (cycles - busy) * gated) * clock,
        read * l1,
        weights * (l2 + l1_write),
        2 * cycles * core,
        _CORES * rest * core,
    )


def _gap9_uj(row: dict[str, str], times: _Times) -> float:
    return sum(_gap9_blocks(row, times)) * _supply(row) * 1e-6


def _asleep_uj(row: dict[str, str], times: _Times) -> float:
    blocks = _gap9_blocks(row, times)
    return (sum(blocks) - blocks.cores) * _supply(row) * 1e-6


def _gap9_blocks(row: dict[str, str], times: _Times) -> Gap9:
    cycles = float(row["clock_mhz"]) * 1e6 / float(row["throughput_inf_per_s"])
    macs, weights = float(row["mmacs"]) * 1e6, float(row["weights_kib"]) * 1024
    return gap9(macs, weights, cycles, int(row["node_nm"]), times, fc=row["network"] == "ad")


def engine_at_full_rate() -> SiliconRow:
    """Return GAP9's power per rate of operations at 0.65 V, its engine never waiting, against what
    its maker says: 330 uW/GOP (eenewsanalog.com, 19 October 2020, read).
    """
    macs = 1e9

    def uw_per_gop(times: _Times) -> float:
        blocks = gap9(macs, 0, macs / _MACS, 22, times, fc=False)
        return sum(blocks) * (0.65 / 0.8) ** 2 / (2 * macs) * 1e3

    ends = [uw_per_gop(times) for times in (_usual, _low, _high)]
    return SiliconRow("gap9_650_240", "engine at its full rate", "uW/GOP", 330, *ends, _GOAL)


def _bank_pj(size: int, node: int) -> tuple[float, float]:
    """Return the energy in pJ of a byte read and written."""
    bank = tables.sram("itrs-lstp", node, size, 64)
    return bank.read_pj * 8 / bank.width_bits, bank.write_pj * 8 / bank.width_bits


def _supply(row: dict[str, str]) -> float:
    return (float(row["voltage"]) / float(row["table_voltage"])) ** 2


def _usual(_: str) -> float:
    return 1.0


def _low(kind: str) -> float:
    if kind == "core":
        return CORE_LOW
    if kind == "serial_mac":  # as a multiplier that is not composed
        return 1 / tables.spread("mac", "int8").high
    return tables.spread(kind, "int8" if kind == "mac" else "").low


def _high(kind: str) -> float:
    if kind == "core":
        return CORE_HIGH
    if kind == "serial_mac":  # Bit Fusion: composed of 2 bits over fixed, 2.45 for 1.93 here
        return 0.5778 / 0.2356 / tables.spread("mac", "int8").high
    return tables.spread(kind, "int8" if kind == "mac" else "").high
