"""Mandheling's published rows, by how much they are met or missed, and its search of placements.

Bounds are those of the errors as they are: `python -m tests.mandheling` prints every row, and
`tests/reference/systems/README.md` says where published figures contradict each other.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.hardware.unit import HOST
from simulator.lowering.chain import Choice, UnitCost, cheapest
from simulator.lowering.lower import Lowering
from simulator.placing import choices
from simulator.trace.passes.overlay import resolved
from tests import mandheling, mandheling_bounds
from tests.mandheling import mean_gain, per_batch, predicted
from tests.mandheling_networks import LISTED_VGG16, NETWORKS
from tests.validation import mape
from workloads.models import capture_step

DSP = "dsp"
NEVER = 10**30


def recurrence(on_cpu, on_dsp, switch):
    """Return the least time of ops in a row, from the CPU and back to it, by equations 1 to 3.

    T[i, p] = min(T[i-1, p] + L[i, p], T[i-1, q] + L[i, p] + L_switch).
    """
    t_cpu, t_dsp = 0, NEVER
    for cpu, dsp in zip((*on_cpu, 0), (*on_dsp, NEVER), strict=True):
        t_cpu, t_dsp = (
            min(t_cpu, t_dsp + switch) + cpu,
            min(t_cpu + switch, t_dsp) + dsp,
        )
    return min(t_cpu, t_dsp)


def cost_of(on_cpu, on_dsp, switch, units):
    """Return the time of a placement by definition, both ends on the CPU."""
    each = [dsp if u == DSP else cpu for cpu, dsp, u in zip(on_cpu, on_dsp, units, strict=True)]
    path = [HOST, *units, HOST]
    return sum(each) + switch * sum(a != b for a, b in pairwise(path))


TIMES = st.integers(0, 60)


@given(st.lists(st.tuples(TIMES, st.none() | TIMES), max_size=12), st.integers(0, 40))
@settings(deadline=None)
def test_the_search_of_placements_is_its_recurrence(ops, switch):
    found = cheapest(
        [Choice(c, {} if d is None else {DSP: UnitCost(d, switch, switch)}) for c, d in ops]
    )
    on_cpu = [cpu for cpu, _ in ops]
    on_dsp = [NEVER if dsp is None else dsp for _, dsp in ops]
    assert cost_of(on_cpu, on_dsp, switch, found) == recurrence(on_cpu, on_dsp, switch)


def test_a_training_step_is_placed_as_by_its_recurrence():
    """VGG-11 on the Xiaomi 10; a host that needs no time to notice results switches alike."""
    free = {f"units.{DSP}.driver.synchronise": "0 us"}
    hardware = mandheling.phone("Xiaomi10", DSP, mandheling.CO_SCHEDULING | free)
    step = resolved(mandheling.trained("VGG11", DSP)).steps[0]
    found = choices(step, Lowering(hardware), (DSP,))
    (switch,) = {cost for each in found for own in each.others.values() for cost in own[1:]}
    assert switch == 25 * 10**9
    on_cpu = [each.host for each in found]
    on_dsp = [each.others[DSP].stay if each.others else NEVER for each in found]
    units = cheapest(found)
    assert set(units) == {HOST, DSP}
    assert cost_of(on_cpu, on_dsp, switch, units) == recurrence(on_cpu, on_dsp, switch)


def test_networks_have_the_listed_flops_or_are_known_not_to():
    """GFLOP of training one image (table 6), and by how many percent ours differ."""
    listed = {"VGG11": 0.914, "VGG16": 1.35, "VGG19": 26.92, "ResNet34": 7.26, "ResNet18": 11.66,
              "InceptionV3": 2.43}  # fmt: skip
    errors = {}
    for name in NETWORKS:
        (step,) = mandheling.trained(name, "fp32").steps
        flops = 2 * sum(gemm.macs for op in step.ops for gemm in op.gemms) / 64
        errors[name] = round(100 * (flops / 1e9 / listed[name] - 1))
    assert errors == {"VGG11": 0, "VGG16": 39, "VGG19": 43, "ResNet34": -4, "ResNet18": -9,
                      "InceptionV3": -7}  # fmt: skip


def test_the_cliff_is_where_the_batch_leaves_the_cache():
    """Table 4: a batch of 8, filled up to 32, takes 24 times that of 4 on 32 x 32, and 17 of 18
    rows are met within 40 %. The other one, 16 x 16 and 64, is twice the published time.
    """
    pairs = {pair.name: pair for pair in mandheling.convolutions()}
    jump = pairs["32 8"]
    for side in ("measured", "predicted"):
        assert getattr(jump, side) > 20 * getattr(pairs["32 4"], side)
        assert getattr(pairs["16 8"], side) < 6 * getattr(pairs["16 4"], side)
    assert pairs.pop("16 64").error == pytest.approx(0.98, abs=0.01)
    assert max(abs(pair.error) for pair in pairs.values()) < 0.40
    assert mape(pairs.values()) < 0.14


def test_hours_to_convergence():
    """VGG-11 on CIFAR-10: 29.1 h in fp32, 7.5 h by Mandheling (table 8; SoCFlow, ASPLOS 2024)."""
    assert mandheling.hours("fp32") == pytest.approx(29.13, rel=0.20)
    assert mandheling.hours("dsp") == pytest.approx(7.50, rel=0.20)


def test_training_takes_more_than_three_times_inference():
    """7.14 times in figure 1; ours is a third short: MNN's forward pass is a guess."""
    assert 4.5 < mandheling.training_over_inference("Xiaomi11Pro", "VGG16") < 7.14


@pytest.mark.parametrize("network", ["VGG11", pytest.param("ResNet34", marks=pytest.mark.slow)])
def test_each_technique_saves_time(network):
    """Figure 10: the order holds. Misses are overrated where batches are not split."""
    pairs = mandheling.ablation(network)
    times = [pair.predicted for pair in pairs]
    assert times == sorted(times, reverse=True)
    errors = [pair.error for pair in pairs]
    bound = {"VGG11": (0.20, 0.20, 0.80, 0.20, 0.20), "ResNet34": (0.20, 0.55, 1.30, 0.35, 0.30)}
    assert all(abs(e) < b for e, b in zip(errors, bound[network], strict=True))


@pytest.mark.slow
def test_mean_gains_on_the_phone_of_the_abstract():
    """5.5 times less time and 8.9 times less energy than MNN in fp32, over six networks."""
    assert abs(mean_gain("Xiaomi11Pro", "s").error) < 0.15
    assert abs(mean_gain("Xiaomi11Pro", "J").error) < 0.15


@pytest.mark.slow
def test_vgg_16_is_missed():
    """0.30 s and 1.1 J of 2.13 s and 12.6 J; ours are too much: table 6 has fewer FLOPs. With those
    it is met.
    """
    for unit, low, high in (("s", 0.35, 0.55), ("J", 0.25, 0.45)):
        (pair,) = [
            p for p in per_batch("Xiaomi11Pro", unit) if p.name == f"VGG16 {mandheling.MANDHELING}"
        ]
        assert low < pair.error < high


@pytest.mark.slow
def test_vgg_16_is_met_with_the_flops_that_are_listed():
    """Ten convolutions have 1.37 of 1.35 GFLOP. So has the ratio of training to inference."""
    (step,) = capture_step(LISTED_VGG16).steps
    flops = 2 * sum(gemm.macs for op in step.ops for gemm in op.gemms) / 64
    assert flops / 1e9 == pytest.approx(1.35, rel=0.02)
    assert all(abs(pair.error) < 0.20 for pair in mandheling_bounds.as_listed())


@pytest.mark.slow
def test_figure_10_contradicts_itself_and_table_4():
    """All products of VGG-11 are VGG-16's, too, whose rescaling saves less. ResNet-34 has 92 of 110
    products that VGG-16 has, each at most 7 times as often: these save 3.5 of 14.66 s, whatever a
    product costs. By table 4 splitting saves more in the convolutions listed there than it saves in
    all of VGG-16, or of ResNet-34.
    """
    rescaling, splitting = "adaptive rescaling", "batch splitting"
    saved_s, most_times = mandheling_bounds.saved_s, mandheling_bounds.most_times
    assert most_times("VGG11", "VGG16") == (1, mandheling_bounds.products("VGG11").total())
    assert saved_s("VGG11", rescaling) > 1.3 * saved_s("VGG16", rescaling)
    times, common = most_times("ResNet34", "VGG16")
    assert (times, common, mandheling_bounds.products("ResNet34").total()) == (7, 92, 110)
    assert times * saved_s("VGG16", rescaling) < 0.25 * saved_s("ResNet34", rescaling)
    for network in ("VGG16", "ResNet34"):
        saves_s = mandheling_bounds.split_saves_s(network)
        assert saves_s > 1.5 * saved_s(network, splitting)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seconds", "joules"),
    [("Xiaomi11Pro", 0.32, 0.28), ("Xiaomi10", 0.34, 0.40), ("RedmiNote9Pro", 0.29, 0.35)],
)
def test_rows_that_nothing_is_fitted_on(name, seconds, joules):
    assert mape(predicted(name, "s")) < seconds
    assert mape(predicted(name, "J")) < joules
