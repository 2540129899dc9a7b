"""DRAM standards as tables: which commands must keep how far apart, by JEDEC timing name.

A standard is a `Standard` in `STANDARDS` and a preset in `hwconfigs/dram`; controller, closed
forms and tests read the tables. Sources of the rows: DRAMsim3 (`src/timing.cc`) and Ramulator 2
(`src/dram/impl`), which state JESD79-4 (DDR4), JESD209-4 and -5 (LPDDR4, LPDDR5), JESD235 and 238
(HBM2, HBM3), JESD79-5 (DDR5) and JESD250 (GDDR6). LPDDR4X (JESD209-4-1) and LPDDR5X (JESD209-5B)
keep the tables of LPDDR4 and LPDDR5 at other voltages and rates.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

ACT, RD, WR, PRE, REF = COMMANDS = range(5)
"""Commands of a controller to a device; REF refreshes all banks, one, or one of every group."""

Scope = Literal["bank", "bank_group", "rank", "channel"]
"""Where a second command is delayed: in the bank of the first, in its bank group, or anywhere.

Devices here have one rank per channel, so "rank" (limits of the dies) and "channel" (limits of
the shared buses) act alike.
"""

RefreshMode = Literal["all_bank", "per_bank", "same_bank"]

_TERM = re.compile(r"([+-]?)\s*(\w+)")


class Constraint(NamedTuple):
    """`after` is legal `latency` cycles after `before`, within `scope`.

    `latency` is a sum or difference of timing names and of cycles that the standard fixes, such
    as "CWL + burst + tWR". With a `window` of n it counts from the n-th last `before`.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    scope: Scope
    latency: str
    window: int = 1

    def timings(self) -> list[str]:
        """Return the timing names in the latency."""
        return [term for _, term in _TERM.findall(self.latency) if not term.isdigit()]

    def cycles(self, timing: Mapping[str, int]) -> int:
        """Return the latency under `timing`, in clock cycles."""
        return sum(
            (-1 if sign == "-" else 1) * (int(term) if term.isdigit() else timing[term])
            for sign, term in _TERM.findall(self.latency)
        )


@dataclass(frozen=True, slots=True)
class Standard:
    """Timing table of a standard.

    `beats` are transfers per data pin and clock of the timing (GDDR6: 8 per CK, by way of WCK).
    `refresh` adds the rows of each refresh mode that the standard has.
    """

    beats: int
    constraints: tuple[Constraint, ...]
    refresh: Mapping[RefreshMode, tuple[Constraint, ...]]

    def rows(self, mode: RefreshMode) -> tuple[Constraint, ...]:
        """Return all constraints of a device that refreshes in `mode`."""
        return self.constraints + self.refresh[mode]

    def timings(self, mode: RefreshMode) -> frozenset[str]:
        """Return the names of all timings that a device of this standard has.

        Beside those of the table: the read latency, which is CL + burst, and the refresh interval.
        """
        named = (name for row in self.rows(mode) for name in row.timings())
        return frozenset((*named, "CL", "burst", "tREFI"))


_ROW_CYCLE = (
    Constraint((ACT,), (PRE,), "bank", "tRAS"),
    Constraint((ACT,), (ACT, REF), "bank", "tRAS + tRP"),
    Constraint((PRE,), (ACT, REF), "bank", "tRP"),
    Constraint((RD,), (PRE,), "bank", "tRTP"),
    Constraint((WR,), (PRE,), "bank", "CWL + burst + tWR"),
    Constraint((PRE,), (PRE,), "rank", "tPPD"),
)
_ACTIVATION = (
    Constraint((ACT,), (ACT,), "bank_group", "tRRD_L"),
    Constraint((ACT,), (ACT,), "rank", "tRRD_S"),
    Constraint((ACT,), (ACT,), "rank", "tFAW", window=4),
)
_DATA_BUS = (
    Constraint((RD,), (RD,), "channel", "burst"),
    Constraint((WR,), (WR,), "channel", "burst"),
    Constraint((RD,), (WR,), "channel", "CL + burst - CWL + tRTRS"),
    Constraint((WR,), (RD,), "bank_group", "CWL + burst + tWTR_L"),
    Constraint((WR,), (RD,), "rank", "CWL + burst + tWTR_S"),
)
_COLUMN = (
    Constraint((RD,), (RD,), "bank_group", "tCCD_L"),
    Constraint((WR,), (WR,), "bank_group", "tCCD_L"),
    Constraint((RD,), (RD,), "rank", "tCCD_S"),
    Constraint((WR,), (WR,), "rank", "tCCD_S"),
)
_COMMON = (*_ROW_CYCLE, *_ACTIVATION, *_DATA_BUS)
_OPENING = (Constraint((ACT,), (RD, WR), "bank", "tRCD"),)
_REFRESH = (Constraint((REF,), (ACT, REF), "bank", "tRFC"),)

# JEDEC knows no bank groups in LPDDR4: its presets have one, and _L equal to _S.
_DDR4 = (*_COMMON, *_COLUMN, *_OPENING)

_DDR5 = (
    *_COMMON,
    *_OPENING,
    Constraint((RD,), (RD,), "bank_group", "tCCD_L"),
    Constraint((WR,), (WR,), "bank_group", "tCCD_L_WR"),
    Constraint((RD,), (RD,), "rank", "tCCD_S"),
    Constraint((WR,), (WR,), "rank", "tCCD_S"),
    # ACT, RD and WR take two cycles of the command bus (JESD79-5, command truth table).
    Constraint((ACT, RD, WR), (ACT, RD, WR, PRE, REF), "channel", "2"),
)

_GDDR6 = (
    *_COMMON,
    *_COLUMN,
    Constraint((ACT,), (RD,), "bank", "tRCDRD"),
    Constraint((ACT,), (WR,), "bank", "tRCDWR"),
)

_SAME_BANK_REFRESH = (
    *_REFRESH,
    Constraint((REF,), (ACT, REF), "rank", "tREFSBRD"),
    Constraint((ACT,), (REF,), "rank", "tRRD_L"),
)
_EITHER: Mapping[RefreshMode, tuple[Constraint, ...]] = {
    "all_bank": _REFRESH,
    "per_bank": _REFRESH,
}

STANDARDS: Mapping[str, Standard] = {
    "DDR4": Standard(2, _DDR4, {"all_bank": _REFRESH}),
    "DDR5": Standard(2, _DDR5, {"all_bank": _REFRESH, "same_bank": _SAME_BANK_REFRESH}),
    "GDDR6": Standard(8, _GDDR6, {"all_bank": _REFRESH}),
    "HBM2": Standard(2, _DDR4, _EITHER),
    "HBM3": Standard(4, _DDR4, _EITHER),
    "LPDDR4": Standard(2, _DDR4, _EITHER),
    "LPDDR4X": Standard(2, _DDR4, _EITHER),
    "LPDDR5": Standard(8, _DDR4, _EITHER),
    "LPDDR5X": Standard(8, _DDR4, _EITHER),
}
"""All standards by name, the `protocol` of a preset."""
