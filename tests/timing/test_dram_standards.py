"""The table of every standard: each row is a tight gate, and the values of new ones by hand."""

import pytest

from simulator.errors import InputError
from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, COMMANDS, PRE, RD, REF, STANDARDS, WR
from simulator.hardware.load import load_part
from simulator.hardware.shipped import CONFIGS
from simulator.timing.dram.device import Channel
from tests.builders import machine

GDDR6, DDR5 = "GDDR6-14000_2x16b_2ch", "DDR5-4800_2x32b_2ch"
PRESETS = [
    "DDR4-2400_x64_1ch", "LPDDR4-3200_x32_1ch", "LPDDR5-6400_2x16b_2ch",
    "LPDDR5-6400_2x16b_2ch_REFpb", "HBM2_8ch", "HBM3_64ch_1638GBps", GDDR6, DDR5, f"{DDR5}_REFsb",
    "LPDDR4X-4266_x32_1ch", "LPDDR5X-10667_2x16b_2ch",
]  # fmt: skip
LATE = 10_000


def device(preset):
    return machine(dram__preset=preset).dram.device


def test_same_bank_refresh_takes_one_bank_of_every_group():
    spec = device(f"{DDR5}_REFsb")
    due = spec.refresh_sets[3]
    assert list(due) == [3, 7, 11, 15, 19, 23, 27, 31]
    channel = Channel(spec)
    channel.refresh(due, 0)
    ready = {bank: channel.earliest(ACT, bank) for bank in range(spec.banks)}
    assert {ready[bank] for bank in due} == {312}  # tRFCsb
    assert {ready[bank] for bank in ready if bank not in due} == {72}  # tREFSBRD


def relation(spec, bank, other):
    """Which scopes hold between two banks."""
    same_group = bank // spec.banks_per_group == other // spec.banks_per_group
    holds = {"bank": bank == other, "bank_group": same_group, "rank": True, "channel": True}
    return {scope for scope in holds if holds[scope]}


def longest(spec, before, after, scopes):
    """The longest gap of the table between two commands, with Python as the interpreter."""
    timing = spec.timing.model_dump()
    gaps = [
        eval(row.latency, {}, timing)
        for row in STANDARDS[spec.protocol].rows(spec.refresh)
        if before in row.before and after in row.after and row.scope in scopes and row.window == 1
    ]
    return max(gaps, default=0)


@pytest.mark.parametrize("before", COMMANDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_pair_of_commands_is_as_far_apart_as_the_longest_row_says(preset, before):
    spec = device(preset)
    channel = Channel(spec)
    channel.issue(before, 0, LATE)
    for after in COMMANDS:
        for bank in range(spec.banks):
            gap = longest(spec, before, after, relation(spec, 0, bank))
            assert channel.earliest(after, bank) == (LATE + gap if gap else 0)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_row_is_a_gate(preset):
    """A row whose timing is made the longest of all is what the second command waits for."""
    spec = device(preset)
    for row in STANDARDS[spec.protocol].rows(spec.refresh):
        for name in set(row.timings()) - {"CL", "CWL", "burst"} or set(row.timings()):
            slow = spec.timing.model_copy(update={name: getattr(spec.timing, name) + 5000})
            channel = Channel(spec.model_copy(update={"timing": slow}))
            for bank in range(row.window):
                channel.issue(row.before[0], bank, LATE)
            gap = eval(row.latency, {}, slow.model_dump())
            assert gap > 5000
            reached = [
                bank for bank in range(spec.banks)
                if channel.earliest(row.after[0], bank) == LATE + gap
            ]  # fmt: skip
            assert reached == [
                bank for bank in range(spec.banks) if row.scope in relation(spec, 0, bank)
            ]


# By hand from the presets: (before, after, of the same bank, same group, other group).
BY_HAND = {
    GDDR6: [
        (ACT, RD, 26, 0, 0),  # tRCDRD
        (ACT, WR, 16, 0, 0),  # tRCDWR
        (ACT, PRE, 53, 0, 0),
        (ACT, ACT, 79, 7, 7),  # tRC = 53 + 26; tRRD
        (RD, RD, 3, 3, 2),  # tCCD_L, tCCD_S = burst
        (WR, WR, 3, 3, 2),
        (RD, WR, 24, 24, 24),  # 24 + 2 - 6 + 4
        (WR, RD, 19, 19, 17),  # 6 + 2 + tWTR_L of 11, tWTR_S of 9
        (RD, PRE, 4, 0, 0),
        (WR, PRE, 34, 0, 0),  # 6 + 2 + 26
        (PRE, ACT, 26, 0, 0),
        (REF, ACT, 210, 0, 0),
    ],
    DDR5: [
        (ACT, RD, 39, 2, 2),  # an activation takes two cycles of the command bus
        (ACT, WR, 39, 2, 2),
        (ACT, PRE, 77, 2, 2),
        (ACT, ACT, 116, 12, 8),  # tRC = 77 + 39; tRRD_L, tRRD_S
        (RD, RD, 12, 12, 8),
        (WR, WR, 24, 24, 8),  # tCCD_L_WR, not tCCD_L
        (RD, WR, 14, 14, 14),  # 40 + 8 - 38 + 4
        (WR, RD, 70, 70, 52),  # 38 + 8 + tWTR_L of 24, tWTR_S of 6
        (RD, PRE, 18, 2, 2),
        (WR, PRE, 118, 2, 2),  # 38 + 8 + 72
        (WR, ACT, 2, 2, 2),
        (PRE, PRE, 2, 2, 2),
        (REF, ACT, 708, 0, 0),
    ],
    f"{DDR5}_REFsb": [
        (REF, ACT, 312, 72, 72),
        (PRE, REF, 39, 0, 0),
        (ACT, REF, 116, 12, 12),
    ],
}


@pytest.mark.parametrize(
    ("preset", "before", "after", "gaps"),
    [(preset, *row[:2], row[2:]) for preset, rows in BY_HAND.items() for row in rows],
)
def test_gates_of_new_standards_by_hand(preset, before, after, gaps):
    spec = device(preset)
    channel = Channel(spec)
    channel.issue(before, 0, LATE)
    for bank, gap in zip((0, 1, spec.banks_per_group), gaps, strict=True):
        assert channel.earliest(after, bank) == (LATE + gap if gap else 0)


@pytest.mark.parametrize(("preset", "apart", "window"), [(GDDR6, 7, 28), (DDR5, 8, 32)])
def test_activations_of_new_standards_follow_as_by_hand(preset, apart, window):
    """Of other bank groups: tRRD_S apart; the fifth waits for tFAW, here four times that."""
    spec = device(preset)
    channel, at = Channel(spec), []
    for group in range(4):
        at.append(channel.earliest(ACT, group * spec.banks_per_group))
        channel.issue(ACT, group * spec.banks_per_group, at[-1])
    assert at == [0, apart, 2 * apart, 3 * apart]
    fifth = spec.banks - 1
    in_last_group = fifth // spec.banks_per_group == 3
    assert channel.earliest(ACT, fifth) == max(window, at[3] + spec.timing.tRRD_L * in_last_group)


def test_every_standard_has_a_preset_here():
    assert {device(preset).protocol for preset in PRESETS} == set(STANDARDS)


@pytest.mark.parametrize(
    ("preset", "old", "new", "problem"),
    [
        (GDDR6, "  tRCDWR: 16", "  tRCD: 26", "timing: GDDR6 needs tRCDWR: add it"),
        (DDR5, "  tPPD: 2", "  tPPD: 2\n  tRCDRD: 39", "timing: DDR5 has no tRCDRD: remove it"),
        (DDR5, "timing:", "refresh: per_bank\ntiming:", "DDR5 has no per_bank refresh"),
        (DDR5, "timing:", "refresh: same_bank\ntiming:", "DDR5 needs tREFSBRD"),
        (DDR5, "granule: 64 B", "granule: 32 B", "granule must be 64 B"),
        (DDR5, "protocol: DDR5", "protocol: DDR9", "no DRAM standard 'DDR9'; known: DDR4"),
    ],
)
def test_a_preset_that_does_not_fit_its_standard_is_refused(tmp_path, preset, old, new, problem):
    text = (CONFIGS / "dram" / f"{preset}.yaml").read_text()
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=problem):
        load_part(DramDevice, path, "example.yaml")
