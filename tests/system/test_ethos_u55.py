"""Ethos-U55 as its PMU counts it: what is predicted blindly, and what explains the miss."""

import pytest

from tests import ethos_u55
from tests.reference import rows

MACS_PER_CYCLE = 128


def test_no_network_is_faster_than_its_macs():
    """The layers written down have the published MACs: 3491 M and 301 M."""
    macs = {"mobilenet_v2": 300_775_552, "wav2letter": 3_491_098_000}
    for row in rows("array/ethos_u55_pmu.csv"):
        own = ethos_u55.layers(row["network"])
        found = sum(float(each["utilization"]) * int(each["total_cycles"]) for each in own)
        assert found * MACS_PER_CYCLE == pytest.approx(macs[row["network"]])
        assert int(row["npu_active_cycles"]) > macs[row["network"]] / MACS_PER_CYCLE


def test_flash_explains_most_of_what_mobilenet_lacks():
    """Its late layers have 3 MB of weights for few pixels; Wav2Letter computes longer than that."""
    blind = {each.name: each.error for each in ethos_u55.cycles()}
    behind = {each.name: each.error for each in ethos_u55.behind_flash()}
    for model in ("Wav2Letter", "Wav2Letter, pruned"):
        assert abs(blind[model]) < 0.05
        assert behind[model] == blind[model]
    assert -0.35 < blind["MobileNetV2"] < -0.25
    assert abs(behind["MobileNetV2"]) < 0.1


def test_reads_are_those_counted_where_weights_are_few_or_dense():
    """Of Wav2Letter, blocks of pixels read the weights again, more often here than Vela's do."""
    errors = {each.name: each.error for each in ethos_u55.reads()}
    assert abs(errors["MobileNetV2"]) < 0.1
    assert 0 < errors["Wav2Letter"] < 0.4
