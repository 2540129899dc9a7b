"""EF-Train's FPGA from captured traces: against its board, its own equations, its networks."""

import pytest

from simulator.hardware import load_hardware
from simulator.hardware.unit import ACCELERATOR
from simulator.replay import Replay
from tests import validation
from tests.reference import rows
from tests.timing import eftrain_equations as paper

pytest.importorskip("torch")
from workloads.models import capture_model

BOARD = [
    row for row in rows("systems/eftrain_alexnet_cycles.csv") if row["layer"].startswith("Conv")
]
LAYERS = {
    "Conv1": paper.Conv(96, 3, 55, 55, 11, 4),
    "Conv2": paper.Conv(256, 96, 27, 27, 5),
    "Conv3": paper.Conv(384, 256, 13, 13, 3),
    "Conv4": paper.Conv(384, 384, 13, 13, 3),
    "Conv5": paper.Conv(256, 384, 13, 13, 3),
}
NAMES = [f"{row['layer']} {row['phase']}" for row in BOARD]


@pytest.mark.parametrize("row", BOARD, ids=NAMES)
def test_the_equations_give_the_papers_model_cycles(row):
    conv = LAYERS[row["layer"]]
    conv = conv.backward() if row["phase"] == "BP" else conv
    tile = paper.Tile(int(row["Tr"]), int(row["Mon"]))
    cycles = paper.phase_cycles(paper.Array(), conv, row["phase"], tile, batch=4)
    assert cycles == int(row["paper_model_cycles"])


@pytest.fixture(scope="module", params=["flow", "tile"])
def pairs(request):
    """Predicted and on-board cycles of AlexNet's convolutions, from a captured step at batch 4."""
    return {pair.name: pair for pair in validation.ef_train(request.param)}


@pytest.mark.parametrize("name", NAMES)
def test_every_phase_of_alexnet_is_within_4_percent_of_the_board(pairs, name):
    assert abs(pairs[name].error) <= 0.04


def test_all_phases_of_alexnet_together_are_within_2_percent(pairs):
    assert len(pairs) == 14
    measured = sum(pair.measured for pair in pairs.values())
    assert sum(pair.predicted for pair in pairs.values()) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize("row", BOARD, ids=NAMES)
def test_the_model_follows_the_equations(pairs, row):
    # An input gradient loads its weights in the first beat too, which the equations leave out.
    tolerance = 0.01 if row["phase"] == "BP" else 0.002
    model = int(row["paper_model_cycles"])
    found = pairs[f"{row['layer']} {row['phase']}"].predicted
    assert found == pytest.approx(model, rel=tolerance)


# Tiles one by one take ten times as long; tests/machine compares both fidelities.
@pytest.fixture(params=["flow", pytest.param("tile", marks=pytest.mark.slow)])
def fidelity(request):
    return request.param


# Conv1 is the one layer whose tiles are not whole maps, and FP with channels last the one phase of
# it that the CPU does not rearrange for: a tile is 51 runs of input and 11 of output. The board
# takes 8930 cycles more for it. They would be 144 a run, or two thirds of them a word a cycle
# where a pixel's three words do not fill a transfer of four: the paper says neither. Its 400 cycles
# for a restart would give 21 % too much.
MISSED = {("BHWC", "Conv1 FP"): (-0.115, -0.105)}


@pytest.mark.parametrize("layout", ["BCHW", "BHWC"])
def test_the_baselines_are_within_5_percent_of_the_board_but_for_one_row(layout, fidelity):
    pairs = validation.ef_train(fidelity, layout)
    assert len(pairs) == 14
    for pair in pairs:
        low, high = MISSED.get((layout, pair.name), (-0.05, 0.05))
        assert low <= pair.error <= high, pair
    assert abs(total(pairs).error) <= 0.025


@pytest.mark.parametrize("layout", ["BCHW", "BHWC"])
def test_the_cpu_rearranges_every_weight_in_the_measured_time(layout, fidelity):
    pairs = validation.ef_train_rearranging(fidelity, layout)
    by_weights = [pair for pair in pairs if not pair.name.startswith("Conv1")]
    assert len(by_weights) == {"BCHW": 12, "BHWC": 4}[layout]
    for pair in by_weights:
        assert abs(pair.error) <= 0.02, pair
    for pair in pairs:  # of conv1, whose weights are few, the board spends 40 times as much
        if pair not in by_weights:
            assert pair.predicted <= 0.03 * pair.measured


def test_layouts_compare_as_on_the_board_but_for_what_conv1_rearranges(fidelity):
    """22.3 : 9.19 : 1 in the paper; its rearranging in conv1 does not follow from weights.

    Without it, and with the paper's cycles for every weight, the board's would be 18.0 : 6.86 : 1.
    """
    reshaped = total(validation.ef_train(fidelity))
    for layout, published, reached in (("BCHW", 22.3, 18.0), ("BHWC", 9.19, 6.86)):
        moved = validation.ef_train_rearranging(fidelity, layout)
        whole = total((*validation.ef_train(fidelity, layout), *moved))
        assert whole.measured / reshaped.measured == pytest.approx(published, rel=0.001)
        assert whole.predicted / reshaped.predicted == pytest.approx(reached, rel=0.02)
        unexplained = total(pair for pair in moved if pair.name.startswith("Conv1"))
        rest = unexplained.measured - unexplained.predicted
        assert whole.predicted + rest == pytest.approx(whole.measured, rel=0.01)


def total(pairs):
    names, measured, predicted = zip(*pairs, strict=True)
    return validation.Pair(" + ".join(names), sum(measured), sum(predicted))


@pytest.mark.parametrize(
    ("machine", "network", "batch", "gflops", "watts", "gflops_per_watt", "tolerance"),
    [  # tables 7 and 8; every network has a bitstream, and so a power, of its own
        ("ef-train-zcu102", "vgg16", 16, 46.99, "7.712 W", 6.09, 0.05),
        ("ef-train-zcu102", "alexnet_eftrain", 128, 34.52, "7.736 W", 4.46, 0.08),
        ("ef-train-zcu102", "cnn1x_cifar10", 128, 28.15, "6.89 W", 4.09, 0.05),
        ("ef-train-pynq-z1", "cnn1x_cifar10", 128, 4.08, "1.85 W", 2.21, 0.05),
    ],
)
def test_networks_train_at_the_published_rate(
    machine, network, batch, gflops, watts, gflops_per_watt, tolerance
):
    # batches need not fit: shapes alone are captured
    settings = {"dram.capacity": "64 GiB", "technology.board_power": watts}
    hardware = load_hardware(machine, settings)
    document = Replay(hardware, capture_model(network, batch)).run().as_dict(ops=True)
    convolutions = [
        op for op in document["ops"] if op["unit"] == ACCELERATOR and op["layer"].startswith("conv")
    ]
    seconds = sum(op["end_s"] - op["start_s"] for op in convolutions)
    rate = 2 * sum(op["macs"] for op in convolutions) / seconds / 1e9
    assert rate == pytest.approx(gflops, rel=tolerance)
    total = document["total"]
    power = total["board_energy_j"] / total["latency_s"]
    assert rate / power == pytest.approx(gflops_per_watt, rel=tolerance)
