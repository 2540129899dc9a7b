"""LPDDR4 against ratios that were measured of datasheets, and against rails of boards."""

from simulator.activity import (
    DRAM_ACTIVATES,
    DRAM_READ_BURSTS,
    DRAM_READ_BYTES,
    DRAM_WRITE_BURSTS,
    DRAM_WRITE_BYTES,
    Action,
    Counts,
    DramStates,
)
from simulator.energy import prices
from simulator.energy.account import Account
from simulator.hardware import load_hardware
from tests.silicon_row import AWAKE, SECOND, SiliconRow, read_table, regulated, three

_CHIP = "LPDDR4-3200 x32"
_POWERED_DOWN = DramStates(0, SECOND)
_WRITES = 1 / 3
"""A guess: two reads for a write, as STREAM's triad has. With reads alone the Xavier, under load,
is at +24 %.
"""


def lpddr4() -> list[SiliconRow]:
    """Return what LPDDR4-3200 x32 draws when it streams and when it idles, against its datasheet
    times the ratio that was measured on DDR4 (Shi et al., arXiv:2411.17960: 0.55 of IDD4R) and
    DDR3L (Ghose et al., arXiv:1807.05102: 0.566 of IDD2P and 0.83 of refresh). These rows hold the
    model to the ratios, not to a chip.
    """
    priced = prices(load_hardware("cpu-only"))
    streamed = round(11.684e9)
    counts = _traffic(streamed, writes=0)
    streaming = 9.482 * 0.55
    refresh = 44.771e-9 / (6246 * 0.625e-9) * 1000

    def per_bit(account: Account) -> float:
        dram = account.by_component_aj(counts, SECOND, AWAKE)["dram"]
        return dram / 1e6 / streamed / 8

    def idle(account: Account) -> float:
        return account.by_component_aj(Counts(), SECOND, _POWERED_DOWN)["dram"] / 1e15

    return [
        SiliconRow(_CHIP, "streaming reads", "pJ/bit", streaming, *three(priced, per_bit), 0.2),
        SiliconRow(_CHIP, "power-down", "mW", 10.91 * 0.566 + refresh * 0.83,
                   *three(priced, idle), 0.2),
    ]  # fmt: skip


def rails() -> list[SiliconRow]:
    """Return what the rails of boards' LPDDR4 draw, its interface on the chip and the loss of its
    regulator included.
    """
    return [_rail(row) for row in read_table("lpddr4_rails")]


def _rail(row: dict[str, str]) -> SiliconRow:
    priced = prices(load_hardware("cpu-only", {"dram.preset": row["preset"]}))
    parts = int(row["parts"])
    counts = _traffic(round(float(row["gbps"]) * 1e9 / parts), _WRITES)
    states = AWAKE if row["state"] == "awake" else _POWERED_DOWN

    def rail(account: Account) -> float:
        by_component = account.by_component_aj(counts, SECOND, states)
        return regulated(parts * (by_component["dram"] + by_component["controller"]) / 1e18)

    return SiliconRow(
        row["board"], row["what"], "W", float(row["watts"]), *three(priced, rail), 0.2, row["why"]
    )


def _traffic(size: int, writes: float) -> Counts:
    """Return the commands of so many bytes in long runs, of 64 B per burst and 4 KiB per row."""
    written = round(size * writes)
    read = size - written
    counts: dict[Action, int] = {
        DRAM_READ_BYTES: read,
        DRAM_READ_BURSTS: read // 64,
        DRAM_WRITE_BYTES: written,
        DRAM_WRITE_BURSTS: written // 64,
        DRAM_ACTIVATES: size // 4096,
    }
    return Counts(counts)
