"""Published systems of several devices: what their papers and repositories fix comes out.

Expected values are arithmetic on the papers' layer lists, not the studies' own.
"""

from fractions import Fraction
from itertools import pairwise

import pytest

from simulator.scenario.load import read_link
from simulator.trace.op import Role
from simulator.views.plots import draw_level_map

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from tests.studies import averaging, encoding, exits, hierarchy, splitting  # noqa: E402
from tests.studies.world import row, world  # noqa: E402


def convolution(inputs: int, outputs: int, size: int, kernel: int = 3) -> int:
    """Return the MACs of a convolution with maps of this size behind it."""
    return inputs * outputs * kernel**2 * size**2


TREE = {
    "root": convolution(3, 16, 32) + convolution(16, 32, 32) + 2 * convolution(32, 32, 32)
    + 32 * 16 * 16 * 3,
    "sg1": 2 * convolution(32, 64, 16) + 32 * 16 * 16 * 2,
    "sg3": 2 * convolution(32, 32, 16) + convolution(32, 64, 16) + 64 * 16 * 16 * 4,
    "sg4": convolution(64, 16, 16) + convolution(16, 32, 16) + 32 * 16 * 16 * 2,
}  # fmt: skip
FRAME = TREE["root"] + 0.4 * TREE["sg1"] + 0.6 * TREE["sg3"] + 0.4 * TREE["sg4"]


@pytest.mark.parametrize(("devices", "published"), [(4, 2.91), (3, 1.45), (2, 1.26)])
def test_the_trees_speed_up_is_that_of_its_macs(devices, published):
    busiest = {4: TREE["root"] / 2, 3: TREE["root"], 2: TREE["root"] + 0.4 * TREE["sg1"]}
    speedup = hierarchy.speedup(devices)
    assert speedup == pytest.approx(FRAME / busiest[devices], rel=1e-9)
    assert round(speedup, 2) == published


def test_the_trees_largest_device_holds_what_its_files_say():
    assert hierarchy.memory_saved(4, hierarchy.FILES) == pytest.approx(568_701 / 1_320_951 - 1)
    assert round(hierarchy.memory_saved(4, hierarchy.FILES), 3) == -0.569
    weights = hierarchy.weights()
    assert hierarchy.memory_saved(4, weights) == pytest.approx(-0.569, abs=5e-4)
    for node, size in hierarchy.FILES.items():  # the rest of a file: names, statistics, pickle
        assert 4_000 < size - weights[node] < 12_000


def test_the_trees_energy_falls_by_device_and_rises_together():
    """Boards draw the same at any load: 1 - 1/3.21 for each, and 4/3.21 for all of them."""
    each, together = hierarchy.energy_saved(4)
    assert each == pytest.approx(-(1 - 1 / hierarchy.speedup(4)), abs=1e-3)
    share = hierarchy.reload_share_for(hierarchy.SPEEDUP)
    assert share == pytest.approx(0.104, abs=1e-3)  # of compute time, 10.4 %
    each, together = hierarchy.energy_saved(4, reload_share=share)
    assert each == pytest.approx(hierarchy.ENERGY, abs=0.03)
    assert together == pytest.approx(4 / hierarchy.SPEEDUP - 1, abs=2e-3)  # the pipeline fills


def test_the_tree_on_simulated_boards_and_what_the_link_must_carry():
    speedup = hierarchy.speedup(4, hierarchy.PI)
    assert speedup == pytest.approx(hierarchy.SPEEDUP, rel=0.1)
    each, together = hierarchy.energy_saved(4, hierarchy.PI)
    assert each == pytest.approx(hierarchy.ENERGY, abs=0.03)  # published, -68 %
    assert each == pytest.approx(-(1 - 1 / speedup), abs=0.035)  # what ops take, they take anywhere
    assert together == pytest.approx(1.25 - 1, abs=0.015)
    gigabit = hierarchy.speedup(4, hierarchy.PI, hierarchy.ETHERNET)
    assert gigabit == pytest.approx(speedup)  # it never binds
    slow = hierarchy.ETHERNET | {"rate": "10 Mb/s", "medium": "shared"}
    result = hierarchy.tree(4, hierarchy.PI, slow)
    bytes_a_frame = 32_768 + 0.4 * 65_536  # one message of the root, and SG3's to SG5
    on_device = 0.2 * 65_536  # SG3's to SG4 stays where it is
    assert result.total["bytes"] / result.total["frames"] == bytes_a_frame - on_device
    assert result.total["busiest"] == "link"


@pytest.mark.slow
def test_the_map_of_speed_ups(tmp_path):
    shown = hierarchy.drawn()
    for medium, grid in shown.panels.items():
        assert all(b >= a for line in grid for a, b in pairwise(line)), medium
        assert grid[0][-1] < hierarchy.SPEEDUP < grid[-1][-1]
    assert shown.panels["shared medium"][0][0] < shown.panels["switched"][0][0]
    draw_level_map(shown, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


STAGES = [
    convolution(3, 64, 32),
    4 * convolution(64, 64, 32),
    convolution(64, 128, 16) + 3 * convolution(128, 128, 16) + convolution(64, 128, 16, 1),
    convolution(128, 256, 8) + 3 * convolution(256, 256, 8) + convolution(128, 256, 8, 1),
    convolution(256, 512, 4) + 3 * convolution(512, 512, 4) + convolution(256, 512, 4, 1),
]
ENCODERS = [
    convolution(64, 32, 32), convolution(64, 32, 32), convolution(128, 32, 16), 16_384 * 32,
    512 * 32,
]  # fmt: skip


def test_what_each_split_computes_and_sends():
    for split, encoder in enumerate(ENCODERS, 1):
        assert splitting.device_macs(splitting.Point(split)) == sum(STAGES[:split]) + encoder
        assert splitting.server_macs(split) == sum(STAGES[split:]) + 5120
    raw = [splitting.raw_bytes(split) for split in splitting.PARTS]
    assert raw == [4 * n for n in (65_536, 65_536, 32_768, 16_384, 512)]
    assert all(size > splitting.IMAGE_BYTES for size in raw[:4])
    assert splitting.sent_bytes(splitting.Point(4)) == 32


def test_the_best_split_is_that_of_the_closed_form():
    """On a device of constant rate: MAC/rate + bytes/link + the server's, for all 54 cases."""
    choices = set()
    for mbps in (0.01, *splitting.RATES_MBPS):
        for bits in splitting.BITS:
            for density in (Fraction(1), Fraction(1, 2), Fraction(1, 4)):
                split, latency = splitting.best(mbps, bits, density)
                own, link = [0, *STAGES, 0], 8 / (mbps * 1e6)
                forms = {0: sum(STAGES) / 1e12 + 5120 / 1e12 + 3072 * link}
                for at, encoder in enumerate(ENCODERS, 1):
                    device = float(density) * (sum(own[: at + 1]) + encoder) / splitting.DEVICE
                    values = (32_768, 32_768, 8_192, 32, 32)[at - 1]
                    server = (sum(STAGES[at:]) + 5120) / 1e12
                    forms[at] = device + server + values * bits / 8 * link
                forms[6] = float(density) * (sum(STAGES) + 5120) / splitting.DEVICE
                assert latency == pytest.approx(min(forms.values()), rel=1e-6)
                assert split == min(forms, key=lambda each: forms[each])
                choices.add(split)
    assert {0, 4, 6} <= choices


def test_a_faster_device_splits_up_to_faster_links():
    """Crossovers move with the rate that a device reaches; the order of splits does not."""
    edge, pi = (splitting.crossover_mbps(4, name) for name in ("edge-16x16", "raspberry-pi-4"))
    assert edge > 5 * pi
    for hardware, mbps in (("edge-16x16", edge), ("raspberry-pi-4", pi)):
        assert splitting.best(0.95 * mbps, hardware=hardware)[0] == 4
        assert splitting.best(1.05 * mbps, hardware=hardware)[0] == splitting.IMAGE


def test_the_encoder_is_the_published_one():
    convolutions = convolution(3, 96, 112, 5) + convolution(96, 48, 56, 5)
    convolutions += convolution(48, 24, 55, 2)
    norms = 96 * 96 * 112**2 + 48 * 48 * 56**2
    assert encoding.macs() == (convolutions, norms)
    assert (round(convolutions / 1e6, 1), round(norms / 1e6, 1)) == (465.5, 122.8)
    assert encoding.size_bytes() == 554_688


def test_a_code_over_lora_takes_half_a_second():
    assert encoding.link_s(2250) == 0.48
    assert encoding.link_s(11_264) == pytest.approx(2.4, abs=0.005)
    framed = encoding.link_s(2250, link=read_link("lora"))  # nine packets with preambles
    assert 0.49 < framed < 0.51


@pytest.mark.parametrize("hardware", ["raspberry-pi-4", "edge-16x16"])
def test_codes_and_jpegs_cross_where_the_bytes_spared_take_as_long_as_the_encoder(hardware):
    took = encoding.encoder_ps(hardware)
    crossover = (encoding.JPEG - encoding.CODE) * 8 / (took / 1e12)
    code, jpeg = encoding.latencies_s(int(0.99 * crossover), took)
    assert code < jpeg
    code, jpeg = encoding.latencies_s(int(1.01 * crossover), took)
    assert code > jpeg
    assert encoding.latencies_s(encoding.LORA_BPS, took)[0] < 0.4 * 2.4


MAIN, HARD = 69_124_096, 34_262_144  # ResNet-32 without its classifier; adaptive and extension


def test_exits_cost_what_their_shares_say():
    """MACs, upload and the device's energy by the shares of hard and of complex images."""
    assert (round(MAIN / 1e6, 2), round(HARD / 1e6, 2)) == (69.12, 34.26)
    dynamic = {}
    for hard, cloud in ((0, 0), (8, 2), (20, 4), (40, 10)):
        result = exits.inference(
            Fraction(hard, 40), Fraction(cloud, 40), {"hardware": "edge-16x16"}
        )
        edge = row(result.devices, kind="edge")
        assert edge["macs"] == 40 * (MAIN + 6_400) + hard * HARD
        assert result.total["bytes"] == cloud * 3072
        dynamic[hard] = edge["dynamic_aj"]
    # Linear but for the first hard image, which finds the caches cold.
    assert (dynamic[40] - dynamic[20]) * 12 == (dynamic[20] - dynamic[8]) * 20


def test_a_frozen_main_block_learns_nothing():
    frozen = exits.frozen()
    assert exits.macs("main", Role.FORWARD, frozen) == MAIN + 6_400
    for role in (Role.DGRAD, Role.WGRAD):
        assert exits.macs("main", role) > 0.9 * MAIN
        assert exits.macs("main", role, frozen) == 0
    assert exits.macs("adaptive,extension", Role.WGRAD, frozen) == HARD
    # Half of what the extension reads is the main block's, whose gradient nobody wants any more,
    # but its first convolution has the gradient of all 128 channels or of none.
    blocks = exits.macs("adaptive,extension", Role.DGRAD)
    assert exits.macs("adaptive,extension", Role.DGRAD, frozen) == blocks


@pytest.mark.parametrize("medium", ["full", "shared"])
@pytest.mark.parametrize("train_ps", [averaging.TRAIN_PS, 10**9])
def test_rounds_of_one_to_a_hundred_clients(medium, train_ps):
    """Downloads and uploads pass one after the other, at the server's port or on the medium."""
    for clients in (1, 2, 7, 30, 100):
        result = averaging.rounds(clients, medium, train_ps)
        took = result.rounds[0]["duration_ps"]
        assert took == averaging.closed_form_ps(clients, medium, train_ps)
        assert took == averaging.replayed_ps(clients, medium, [train_ps] * clients)
        assert result.total["bytes"] == 2 * clients * averaging.WEIGHTS


@pytest.mark.parametrize("medium", ["full", "shared"])
def test_a_client_four_times_slower_costs_three_times_its_training(medium):
    """It is the last one; without it the round takes no longer than the others'."""
    even = averaging.rounds(10, medium).rounds[0]["duration_ps"]
    for place in (0, 9):
        slow = averaging.rounds(10, medium, slow={place: 4}).rounds[0]["duration_ps"]
        times = [averaging.TRAIN_PS * (4 if place == number else 1) for number in range(10)]
        assert slow == averaging.replayed_ps(10, medium, times)
        later = (9 - place) * averaging.OCCUPIED_PS  # the first to start would have waited less
        assert slow - even == 3 * averaging.TRAIN_PS - later
    early = averaging.rounds(10, medium, slow={9: 4}, wait="90 %").rounds[0]
    assert early["answers"] == 9
    assert early["duration_ps"] == even - averaging.OCCUPIED_PS


def test_a_server_behind_a_tower_serves_all_phones_at_once():
    """Each has its own way to the tower, so that a round takes what it takes with one client."""
    cell = {"rate": "1 Gb/s", "latency": "0.2 ms", "send": "2 nJ", "receive": "1 nJ"}
    for clients in (1, 7, 30):
        result = averaging.rounds(clients, link=cell | {"hub": "server"})
        assert result.rounds[0]["duration_ps"] == averaging.closed_form_ps(1, "full")
        phones = row(result.devices, kind="phones")
        assert phones["links_aj"] == averaging.WEIGHTS * 3 * 10**9  # received, and sent
        assert row(result.devices, kind="server")["links_aj"] == 0
        assert result.links[0]["energy_aj"] == clients * phones["links_aj"]
        assert result.links[0]["devices"] == clients


def test_a_thousand_equal_devices():
    """10,000 messages; every device trains the same job, which is simulated once."""
    result = world(
        devices={
            "phones": {"hardware": "edge-16x16", "count": 1000},
            "server": {"rate": "1 TMAC/s"},
        },
        links={"link": {"rate": "1 Gb/s"}},
        rounds={
            "fed": {
                "server": "server", "clients": "phones", "over": "link", "rounds": 5,
                "train": {"trace": "mlp_digits", "job": "epoch"},
            }
        },
    )  # fmt: skip
    assert result.links[0]["messages"] == 10_000
    train = row(result.programs, program="fed.train")
    assert train["jobs"] == 5_000
    assert len({id(job.job) for job in result.played.jobs}) < 20
    assert result.links[0]["bytes"] == 10_000 * train["weights_bytes"]
