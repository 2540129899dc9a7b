"""Every timing gate of the device is tight: blocked a cycle before, legal on time."""

import pytest

from simulator.hardware.dram_standards import ACT, PRE, RD, REF, WR
from simulator.timing.dram.device import CLOSED, Channel
from tests.builders import machine

PRESETS = [
    "DDR4-2400_x64_1ch", "LPDDR4-3200_x32_1ch", "LPDDR5-6400_2x16b_2ch", "HBM2_8ch",
]  # fmt: skip
LATE = 10_000


def device(preset):
    return machine(dram__preset=preset).dram.device


@pytest.fixture(params=PRESETS)
def spec(request):
    return device(request.param)


def opened(spec, *banks):
    """A channel with row 0 of `banks` open for long."""
    channel = Channel(spec)
    for index, bank in enumerate(banks):
        channel.activate(bank, 0, 1000 * index)
    return channel


def neighbours(spec):
    """A bank of another bank group than bank 0's, and one of the same."""
    return [(spec.banks_per_group % spec.banks or 1, spec.bank_groups == 1), (1, True)]


def long_or_short(spec, same_group, name):
    same = same_group and spec.bank_groups > 1
    return getattr(spec.timing, f"{name}_{'L' if same else 'S'}")


@pytest.mark.parametrize(
    ("first", "then", "gap"),
    [
        (ACT, RD, lambda t: t.tRCD),
        (ACT, WR, lambda t: t.tRCD),
        (ACT, PRE, lambda t: t.tRAS),
        (ACT, ACT, lambda t: t.tRAS + t.tRP),
        (ACT, REF, lambda t: t.tRAS + t.tRP),
        (RD, PRE, lambda t: t.tRTP),
        (WR, PRE, lambda t: t.CWL + t.burst + t.tWR),
        (PRE, ACT, lambda t: t.tRP),
        (PRE, REF, lambda t: t.tRP),
        (REF, ACT, lambda t: t.tRFC),
    ],
)
def test_gates_of_a_bank(spec, first, then, gap):
    channel = opened(spec, 0)
    channel.issue(first, 0, LATE)
    assert channel.earliest(then, 0) == LATE + gap(spec.timing)


def test_activations_keep_their_distance(spec):
    for bank, same in neighbours(spec):
        channel = opened(spec, 0)
        channel.issue(ACT, 0, LATE, 1)
        assert channel.earliest(ACT, bank) == LATE + long_or_short(spec, same, "tRRD")


def test_the_fifth_activation_waits_for_the_window_of_four(spec):
    channel, at = Channel(spec), []
    for bank in range(5):
        at.append(channel.earliest(ACT, bank))
        channel.issue(ACT, bank, at[-1])
    assert at[4] >= at[0] + spec.timing.tFAW
    apart = max(spec.timing.tRRD_L, spec.timing.tRRD_S)
    assert at[4] == max(at[0] + spec.timing.tFAW, at[3] + apart) or spec.bank_groups > 1


@pytest.mark.parametrize("command", [RD, WR])
def test_accesses_of_one_kind_follow_by_burst_and_bank_group(spec, command):
    for bank, same in neighbours(spec):
        channel = opened(spec, 0, bank)
        channel.issue(command, 0, LATE)
        gap = max(spec.timing.burst, long_or_short(spec, same, "tCCD"))
        assert channel.earliest(command, bank) == LATE + gap


def test_a_read_waits_for_what_was_written(spec):
    t = spec.timing
    for bank, same in neighbours(spec):
        channel = opened(spec, 0, bank)
        channel.issue(WR, 0, LATE)
        gap = t.CWL + t.burst + long_or_short(spec, same, "tWTR")
        assert channel.earliest(RD, bank) == LATE + gap


def test_a_write_waits_for_the_bus_to_turn(spec):
    t = spec.timing
    channel = opened(spec, 0, 1)
    channel.issue(RD, 0, LATE)
    assert channel.earliest(WR, 1) == LATE + t.CL + t.burst - t.CWL + t.tRTRS


def test_precharges_keep_their_distance():
    spec = device("LPDDR4-3200_x32_1ch")
    channel = opened(spec, 0, 1)
    channel.issue(PRE, 0, LATE)
    assert channel.earliest(PRE, 1) == LATE + spec.timing.tPPD == LATE + 4


def test_refresh_of_all_waits_for_the_last_bank_and_blocks_them_all(spec):
    channel = opened(spec, 0, 1)
    channel.issue(PRE, 0, LATE)
    channel.issue(PRE, 1, LATE + 5)
    assert channel.earliest_refresh(range(spec.banks)) == LATE + 5 + spec.timing.tRP
    at = channel.earliest_refresh(range(spec.banks))
    channel.refresh(range(spec.banks), at)
    assert {channel.earliest(ACT, b) for b in range(spec.banks)} == {at + spec.timing.tRFC}


def test_refresh_of_one_bank_leaves_the_others():
    spec = device("LPDDR5-6400_2x16b_2ch_REFpb")
    channel = Channel(spec)
    channel.issue(REF, 3, 0)
    assert channel.earliest(ACT, 3) == spec.timing.tRFC
    assert channel.earliest(ACT, 4) == 0


def test_rows_open_and_close():
    channel = Channel(device("DDR4-2400_x64_1ch"))
    channel.issue(ACT, 2, 0, 77)
    assert channel.open_row[2] == 77
    channel.issue(PRE, 2, 100)
    assert channel.open_row[2] == CLOSED
