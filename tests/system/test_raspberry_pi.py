"""Training steps and forward passes of public networks on a Raspberry Pi 4, those not fitted."""

import pytest

from tests.raspberry_pi import (
    KINDS,
    forward_passes,
    held_out,
    measured,
    predicted,
    steps,
)
from tests.validation import bias, mape

QUICK = ("resnet18", "mobilenetv3_small_075", "efficientvit_b0", "edgenext_x_small")


@pytest.mark.slow
def test_steps_of_networks_held_out():
    pairs = held_out(steps())
    assert len(pairs) == 22
    assert mape(pairs) < 0.055  # 4.6 %
    assert abs(bias(pairs)) < 0.03  # -0.7 %
    assert max(abs(pair.error) for pair in pairs) < 0.16  # inception_next_tiny, 14 %


@pytest.mark.slow
def test_forward_passes_of_networks_held_out():
    pairs = held_out(forward_passes())
    assert mape(pairs) < 0.09  # 7.3 %
    assert max(abs(pair.error) for pair in pairs) < 0.3  # resnet18, -27 %


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_network_is_biased(kind):
    of_kind = [pair for pair in held_out(steps()) if pair.name in KINDS[kind]]
    assert abs(bias(of_kind)) < 0.15  # plain, -13 %: resnet18 alone


@pytest.mark.parametrize("network", QUICK)
def test_a_network_of_each_kind(network):
    ours, theirs = predicted(network), measured(network)
    assert ours.step == pytest.approx(theirs.step, rel=0.16)
    assert ours.forward == pytest.approx(theirs.forward, rel=0.31)


def test_the_fit_moved_nothing_by_more_than_its_data_allow():
    for network in ("mobilenetv2_100", "vit_small"):
        ours, theirs = predicted(network), measured(network)
        assert ours.step == pytest.approx(theirs.step, rel=0.1)
