"""A network, an array and its precision searched together: what the study says is so."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("optuna")

from tests.studies.codesign import (
    ARRAYS,
    BITS,
    IMAGES_PER_S,
    LUTS,
    NETWORKS,
    SEEDS,
    Array,
    Network,
    accuracies,
    compared,
    feasible_bits,
    images_per_s,
    luts,
    sign_test,
    trained,
)

pytestmark = [pytest.mark.slow, pytest.mark.torch]


def test_every_network_was_trained_in_every_width_in_which_it_runs():
    wanted = {(net, bits) for net in NETWORKS for bits in {*feasible_bits(net), BITS[-1]}}
    assert wanted <= accuracies().keys()
    network = Network(2, 16, 3)
    within = 0.012  # 4 of 360 images: kernels differ by machine
    assert trained(network, 6) == pytest.approx(accuracies()[network, 6], abs=within)


def test_of_accurate_six_layer_networks_some_fit_in_6_bits_and_none_in_16():
    accurate = {key for key, accuracy in accuracies().items() if accuracy >= 0.96}
    six = [network for network in NETWORKS if network.depth == 6]
    fitting = {bits for net in six for bits in feasible_bits(net) if (net, bits) in accurate}
    assert 6 in fitting
    assert 16 not in fitting


def test_elements_and_rates_are_closed_forms():
    """Each element is a multiplier and an adder of the table, and does a MAC a cycle at most."""
    assert luts(Array(16, 16, 4)) == 256 * (11 + 16)
    assert all(
        luts(each) > LUTS for each in ARRAYS if each.bits == 16 and each.rows * each.cols > 163
    )
    network, array = Network(6, 32, 3), Array(16, 16, 6)
    macs = 64 * 9 * 32 + 64 * 9 * 32**2 + 2 * 16 * 9 * 32**2 + 2 * 4 * 9 * 32**2 + 32 * 10
    assert IMAGES_PER_S < images_per_s(network, array) < 256 * 10**8 / macs


@pytest.mark.parametrize("trainings", [8, 12, 16])
def test_joint_search_beats_the_best_network_fitted_afterwards(trainings):
    """The best network is too slow in any width; to go back to the next best costs nothing here."""
    pairs = compared(trainings)
    assert len(pairs) == len(SEEDS) == 10
    assert sign_test(pairs) < 0.02
    fallen = compared(trainings, falls_back=True)
    gains = [a - b for a, b in fallen]
    assert sum(gains) > 0
    assert sign_test(fallen) > 0.05
