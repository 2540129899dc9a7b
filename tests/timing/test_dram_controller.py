"""The controller: closed forms, policy, and a checker of its commands that is not the device."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.hardware.dram_standards import ACT, PRE, RD, REF, WR
from simulator.timing.dram.address import decoder
from simulator.timing.dram.controller import NEVER, Controller, LogEntry
from simulator.timing.dram.memory import Memory
from simulator.timing.dram.patterns import pattern
from simulator.timing.dram.traffic import Stream, Transaction
from tests.builders import machine

GDDR6, DDR5 = "GDDR6-14000_2x16b_2ch", "DDR5-4800_2x32b_2ch"
PRESETS = [
    "DDR4-2400_x64_1ch", "LPDDR4-3200_x32_1ch", "LPDDR5-6400_2x16b_2ch_REFpb", "HBM2_8ch",
    GDDR6, f"{DDR5}_REFsb",
]  # fmt: skip


def device(preset):
    return machine(dram__preset=preset).dram.device


class Seen:
    """Requester that records when its access completed."""

    def __init__(self):
        self.at = None

    def complete(self, at):
        assert self.at is None, "served twice"
        self.at = at


def serve(spec, accesses, until=4000):
    """Put (bank, row, command) in at cycle 0 and return when each was complete, and the log."""
    log: list[LogEntry] = []
    controller, owners = Controller(spec, log), []
    for index, (bank, row, command) in enumerate(accesses):
        owners.append(Seen())
        controller.add((0, bank, row, command, index, owners[-1]), 0)
    while controller.wake < min(until, NEVER):
        controller.tick(controller.wake)
    return [owner.at for owner in owners], log


@pytest.mark.parametrize("preset", PRESETS)
def test_latency_of_an_idle_bank_of_a_hit_and_of_a_conflict(preset):
    t = device(preset).timing
    opening, data = t.tRCD or t.tRCDRD, t.CL + t.burst
    (first, hit), _ = serve(device(preset), [(0, 5, RD), (0, 5, RD)])
    assert first == 1 + opening + data
    assert hit == first + max(t.burst, t.tCCD_L)
    (_, conflict), _ = serve(device(preset), [(0, 5, RD), (0, 6, RD)])
    closed = 1 + max(t.tRAS, opening + t.tRTP)
    assert conflict == closed + t.tRP + opening + data


def test_hits_behind_a_conflict_go_first():
    spec = device("LPDDR4-3200_x32_1ch")
    (_, conflict, hit), _ = serve(spec, [(0, 1, RD), (0, 2, RD), (0, 1, RD)])
    assert hit < conflict


def test_after_four_accesses_hits_no_longer_overtake_a_conflict():
    spec = device("LPDDR4-3200_x32_1ch")
    busy = [(bank, 1, RD) for bank in (1, 2) for _ in range(8)]
    done, _ = serve(spec, [(0, 1, RD), (0, 2, RD), *[(0, 1, RD)] * 6, *busy])
    assert sum(at < done[1] for at in done[2:8]) == 3


def test_a_full_write_buffer_drains_whole_and_a_small_one_waits():
    spec = device("LPDDR4-3200_x32_1ch")
    few = serve(spec, [(b, 0, WR) for b in range(8)])[1]
    assert not [line for line in few if line.command == WR]
    idle = serve(spec, [(b % 8, 0, WR) for b in range(9)])[1]
    assert sum(line.command == WR for line in idle) == 9
    many = serve(spec, [(b % 8, 0, WR) for b in range(32)])[1]
    assert sum(line.command == WR for line in many) == 32


def test_writes_are_posted_and_reads_of_them_served_from_the_buffer():
    spec = device("LPDDR4-3200_x32_1ch")
    controller, write, read = Controller(spec), Seen(), Seen()
    controller.add((0, 0, 0, WR, 42, write), 10)
    controller.add((0, 0, 0, RD, 42, read), 11)
    assert (write.at, read.at) == (11, 12)


def test_reads_of_a_granule_under_way_share_its_burst():
    spec = device("LPDDR4-3200_x32_1ch")
    controller, owners = Controller(spec), [Seen(), Seen()]
    for owner in owners:
        controller.add((0, 0, 0, RD, 42, owner), 0)
    while controller.wake < 200:
        controller.tick(controller.wake)
    assert controller.counts[RD] == 1
    assert owners[0].at == owners[1].at


def test_a_full_write_buffer_lets_the_reads_pass_that_it_overwrites():
    spec = device("LPDDR4-3200_x32_1ch")
    controller, read = Controller(spec), Seen()
    controller.add((0, 0, 0, RD, 0, read), 0)
    for granule in range(32):
        controller.add((0, granule % 8, 0, WR, granule, Seen()), 0)
    while controller.wake < spec.timing.tREFI:
        controller.tick(controller.wake)
    assert read.at == 1 + spec.timing.tRCD + spec.timing.CL + spec.timing.burst
    assert controller.counts[WR] == 32


def test_refresh_closes_all_banks_once_per_interval():
    spec = device("LPDDR4-3200_x32_1ch")
    _, log = serve(spec, [(bank, 0, RD) for bank in range(8)], until=3 * spec.timing.tREFI - 1)
    refreshes = [line.at for line in log if line.command == REF]
    assert len(refreshes) == 2
    assert sum(line.command == PRE for line in log if line.at < refreshes[0]) == 8
    assert all(0 <= at - (i + 1) * spec.timing.tREFI < 200 for i, at in enumerate(refreshes))


@pytest.mark.parametrize(
    ("preset", "firsts"), [("LPDDR5-6400_2x16b_2ch_REFpb", range(16)), (f"{DDR5}_REFsb", range(4))]
)
def test_partial_refreshes_take_every_bank_in_turn(preset, firsts):
    spec = device(preset)
    _, log = serve(spec, [], until=(len(firsts) + 1) * spec.timing.tREFI)
    assert sorted(line.bank for line in log) == list(firsts)
    assert all(line.command == REF for line in log)


def measure(spec, name, params="{}"):
    what = pattern(spec, name, params)
    return Memory(spec, what.streams, what.mapping, hashed=what.hashed).run()


@pytest.mark.parametrize("preset", [*PRESETS[:2], "HBM2_8ch", GDDR6, DDR5])
def test_sequential_reads_reach_the_peak_less_refresh(preset):
    spec = device(preset)
    t = spec.timing
    blocks = Stream(lambda: (Transaction(i * 4096, 4096) for i in range(512)), 16)
    measured = Memory(spec, (blocks,)).run()
    lost = (t.tRFC + t.tRP + (t.tRCD or t.tRCDRD)) / t.tREFI
    reached = measured.useful_gbps * 1e9 / spec.peak_bytes_per_s
    assert reached == pytest.approx(1 - lost, rel=0.015)  # rows reopen one tRRD after the other


@pytest.mark.parametrize(
    ("preset", "cycles"),
    [
        # Clock cycles per activation by hand, over the share of time that refresh leaves.
        (GDDR6, 7 / (1 - (26 + 210 + 26) / 3333)),  # tRRD_S 7 = tFAW / 4; a burst takes 2
        (DDR5, 8 / (1 - (39 + 708 + 39) / 9360)),  # tRRD_S 8 = tFAW / 4 = a burst
        ("HBM2_8ch", 7.5 / (1 - (14 + 260 + 14) / 3900)),  # tFAW / 4; tRRD_S 4, a burst 2
    ],
)
def test_row_misses_go_as_fast_as_activations_may(preset, cycles):
    """Every read opens another row of the next bank; groups in turn, then banks of a group."""
    spec = device(preset)
    n = 2048 * spec.channels
    reads = [Transaction(i * spec.granule, spec.granule) for i in range(n)]
    banks_first = "ch*,bg*,ba*,ro*,co*,ra*"
    measured = Memory(spec, (Stream(lambda: reads, 512),), banks_first, hashed=False).run()
    assert n == measured.reads <= measured.activates < 1.01 * n  # refresh closes a few rows unread
    per_channel = measured.activates / spec.channels
    assert measured.cycles / per_channel == pytest.approx(cycles, rel=0.015)


def test_an_unknown_pattern_and_wrong_params_are_refused():
    spec = device("DDR4-2400_x64_1ch")
    for name, params in [
        ("seq_raed", "{}"),
        ("seq_read", '{"block_B": 64}'),
        ("random_read", "{}"),
        ("random_read", "nonsense"),
        ("random_read", '{"block_B": 0}'),
        ("stride_read", '{"stride_B": 64, "xor": 2}'),
        ("seq_read_rate", '{"inj": 1.5}'),
        ("tile_read", '{"rows": 4, "width_B": 256, "pitch_B": 64, "T": 2}'),
    ]:
        with pytest.raises(InputError, match=r"pattern|tile"):
            pattern(spec, name, params)


def test_mapping_is_least_significant_first_and_hashed_by_low_row_bits():
    spec = device("LPDDR4-3200_x32_1ch")
    plain = decoder(spec, "co2,ch*,co*,ba*,ra*,ro*", hashed=False)
    row = spec.row // spec.granule
    assert plain(row - 1) == (0, 0, 0)
    assert plain(row) == (0, 1, 0)
    assert plain(row * spec.banks) == (0, 0, 1)
    assert decoder(spec)(row * spec.banks) == (0, 1, 1)
    for wrong in ("co9,ba*,ro*", "xx*,ro*", "co*,ro*"):
        with pytest.raises(InputError, match="mapping"):
            decoder(spec, wrong)


def gaps_of(spec):
    """JEDEC rules by (same group, same bank) and pair of commands; knows nothing of the tables."""
    t, gaps = spec.timing, {}
    tRCDRD, tRCDWR = (t.tRCDRD, t.tRCDWR) if spec.protocol == "GDDR6" else (t.tRCD, t.tRCD)
    for same_group in (False, True):
        pick = "L" if same_group else "S"
        tRRD, tCCD, tWTR = (getattr(t, f"{name}_{pick}") for name in ("tRRD", "tCCD", "tWTR"))
        tCCD_WR = t.tCCD_L_WR if same_group and spec.protocol == "DDR5" else tCCD
        gaps[same_group, False] = {
            (ACT, ACT): tRRD, (RD, RD): max(t.burst, tCCD), (WR, WR): max(t.burst, tCCD_WR),
            (RD, WR): t.CL + t.burst - t.CWL + t.tRTRS, (PRE, PRE): t.tPPD,
            (WR, RD): t.CWL + t.burst + tWTR,
            (REF, ACT): t.tREFSBRD or 0, (ACT, REF): tRRD if t.tREFSBRD else 0,
        }  # fmt: skip
    gaps[True, True] = gaps[True, False] | {
        (ACT, RD): tRCDRD, (ACT, WR): tRCDWR, (ACT, PRE): t.tRAS, (PRE, ACT): t.tRP,
        (ACT, ACT): t.tRAS + t.tRP, (RD, PRE): t.tRTP, (REF, ACT): t.tRFC,
        (WR, PRE): t.CWL + t.burst + t.tWR, (PRE, REF): t.tRP,
    }  # fmt: skip
    return gaps


def touched(spec, line):
    """The banks of a command."""
    if line.bank < 0:
        return range(spec.banks)
    if line.command == REF and spec.refresh == "same_bank":
        return range(line.bank, spec.banks, spec.banks_per_group)
    return (line.bank,)


def violations(spec, log):
    """Yield the pairs of commands that a JEDEC rule forbids."""
    gaps = gaps_of(spec)
    longest = max(max(each.values()) for each in gaps.values())
    least = {ACT: 2, RD: 2, WR: 2} if spec.protocol == "DDR5" else {}  # cycles of the command bus
    banks = [set(touched(spec, line)) for line in log]
    groups = [{bank // spec.banks_per_group for bank in each} for each in banks]
    for j, b in enumerate(log):
        for i in range(j - 1, -1, -1):
            a = log[i]
            if b.at - a.at >= longest:
                break
            relation = not groups[i].isdisjoint(groups[j]), not banks[i].isdisjoint(banks[j])
            gap = max(least.get(a.command, 1), gaps[relation].get((a.command, b.command), 0))
            if b.at - a.at < gap:
                yield a, b, gap
    acts = [line.at for line in log if line.command == ACT]
    yield from ((a, b) for a, b in zip(acts, acts[4:], strict=False) if b - a < spec.timing.tFAW)


def misplaced(spec, log):
    """Yield commands that find their bank in the wrong state."""
    is_open = [False] * spec.banks
    for line in log:
        for bank in touched(spec, line):
            if is_open[bank] == (line.command in (ACT, REF)):
                yield line
        if line.command in (ACT, PRE):
            is_open[line.bank] = line.command == ACT


@st.composite
def traffic(draw):
    streams = []
    for _ in range(draw(st.integers(1, 3))):
        base, span = draw(st.integers(0, 1 << 14)), draw(st.sampled_from([4, 64, 4096]))
        n, size = draw(st.integers(1, 60)), draw(st.sampled_from([16, 64, 256, 1024]))
        writes = draw(st.lists(st.booleans(), min_size=n, max_size=n))
        places = draw(st.lists(st.integers(0, span), min_size=n, max_size=n))
        blocks = [
            Transaction((base + at) * 64, size, write)
            for at, write in zip(places, writes, strict=True)
        ]
        streams.append((blocks, draw(st.sampled_from([1, 4, 64]))))
    return streams


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PRESETS), traffic())
def test_no_rule_is_broken_and_every_granule_is_served_once(preset, traffic):
    spec = device(preset)
    for blocks, outstanding in traffic:
        memory = Memory(spec, (Stream(lambda b=blocks: b, outstanding),), logged=True)
        measured = memory.run()
        assert measured.useful_bytes == (sum(block.rows * block.width for block in blocks),)
        touched = [g for block in blocks for g in block.granules(spec.granule)]
        assert measured.bursts <= len(touched)
        if not any(block.write for block in blocks):
            assert measured.reads >= len(set(touched))
        assert (
            measured.bursts * spec.granule * 10**15 / measured.time_fs
            <= spec.peak_bytes_per_s * 1.001
        )
        for log in memory.logs:
            assert not list(violations(spec, log))
            assert not list(misplaced(spec, log))


@pytest.mark.parametrize("preset", PRESETS)
def test_random_mixtures_break_no_rule_across_refreshes(preset):
    spec = device(preset)
    streams = pattern(spec, "accel_2r1w_plus_cpu_rand30w", '{"cpu_window": 4}').streams
    memory = Memory(spec, streams, logged=True)
    memory.run()
    for log in memory.logs[:1]:
        assert not list(violations(spec, log[:3000]))
        assert not list(misplaced(spec, log))


def test_results_repeat():
    spec = device("DDR4-2400_x64_1ch")
    once, again = (measure(spec, "random_rw50", '{"block_B": 64}') for _ in range(2))
    assert once == again
