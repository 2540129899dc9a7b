"""A point of a sweep is the SoC that its settings make from the beginning, and so is its digest."""

import json
import random
from itertools import product

import pytest

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.overlay import Overlay
from simulator.hardware.part import digest_of
from simulator.hardware.settings import quantity_of, setting_paths, value_of
from simulator.hardware.shipped import hardware_names

CHOICES = {
    "cpu.core": ["in-order", "out-of-order", "wide"],
    "accelerator": ["none"],
    "accelerator.dataflow": ["ws", "os"],
    "accelerator.precision": ["int4", "fp16"],
    "dram.preset": ["ideal", "HBM2_8ch", "LPDDR4-3200_x32_1ch"],
    "runtime.issue": ["in_order", "dataflow"],
}


def _drawn(draw, hardware):
    """Return a few settings, some of which do not fit each other, or change nothing."""
    there = [path for path in setting_paths() if value_of(hardware, path) is not None]
    paths = draw.sample([*CHOICES, *there], draw.choice([1, 2, 3, 5]))
    return {path: _value(draw, hardware, path) for path in paths}


def _value(draw, hardware, path):
    if path in CHOICES:
        return draw.choice(CHOICES[path])
    quantity, value = quantity_of(path), value_of(hardware, path)
    if quantity:
        return quantity.text(draw.choice([value, 2 * value, value + 1]))
    return json.dumps(value) if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", hardware_names())
def test_the_digest_of_settings_is_that_of_what_they_make(name):
    draw, hardware = random.Random(name), load_hardware(name)
    made = 0
    for _ in range(60):
        changes = _drawn(draw, hardware)
        overlay = Overlay(hardware, changes)
        try:
            whole = overlay.at(changes)
        except InputError:
            continue
        made += 1
        assert overlay.digest_at(changes) == whole.digest
        plain = json.dumps(whole.plain(), sort_keys=True, separators=(",", ":"))
        assert whole.digest == digest_of(plain)
    assert made > 20


def test_a_setting_that_changes_nothing_by_itself_may_with_another():
    hardware = load_hardware("edge-16x16")
    changes = {
        "cpu.core": "wide",
        "cpu.costs.fork": quantity_of("cpu.costs.fork").text(hardware.cpu.costs.fork),
    }
    overlay = Overlay(hardware, changes)
    assert overlay.digest_at(changes) == overlay.at(changes).digest
    assert overlay.at(changes).cpu.costs.fork == hardware.cpu.costs.fork


@pytest.mark.parametrize("other", ["accelerator.rows", "runtime.issue", "layers.conv2.precision"])
def test_a_precision_of_layers_adds_a_rule(other):
    hardware = load_hardware("edge-16x16-mp")
    value = {"accelerator.rows": "8", "runtime.issue": "dataflow"}.get(other, "int8")
    changes = {"layers.block.*.fc.precision": "int8", other: value}
    overlay = Overlay(hardware, changes)
    whole = overlay.at(changes)
    assert whole == load_hardware("edge-16x16-mp", changes)
    assert "block.*.fc" in [rule.layer for rule in whole.runtime.rules]
    assert overlay.digest_at(changes) == whole.digest
    assert whole.digest != hardware.digest


def test_points_of_one_overlay_are_what_their_settings_make():
    values = {
        "accelerator.rows": ["8", "{value: 8, range: 4 .. 16, source: a paper}", "32"],
        "accelerator.scratchpad": ["64 KiB", "1 MiB"],
        "dram.preset": ["ideal", "HBM2_8ch"],
        "interconnect.latency": ["50 ns", "80 ns"],
        "cpu.core": ["in-order", "wide"],
    }
    overlay = Overlay(load_hardware("edge-16x16"), values)
    points = [dict(zip(values, each, strict=True)) for each in product(*values.values())]
    for point in random.Random(0).sample(points, len(points)):
        fewer = {path: value for path, value in point.items() if "preset" not in path}
        for changes in (point, fewer):
            soc, whole = overlay.at(changes), load_hardware("edge-16x16", changes)
            assert soc == whole
            # What no point changes is known of by itself alone; what its own form says is new.
            told = [each for each in whole.constants if each.path in changes]
            assert [each for each in soc.constants if each.path in changes] == told
            assert any(each.path == "accelerator.rows" for each in told) == (
                "paper" in changes["accelerator.rows"]
            )


def test_designs_with_a_part_in_common_share_it():
    overlay = Overlay(
        load_hardware("edge-16x16"), ["accelerator", "accelerator.rows", "dram.preset"]
    )
    points = [
        overlay.at({"accelerator.rows": rows, "dram.preset": preset})
        for rows, preset in (("8", "ideal"), ("8", "HBM2_8ch"), ("32", "ideal"))
    ]
    assert points[0].accelerator is points[1].accelerator
    assert points[0].dram is points[2].dram
    assert points[1].dram.preset == "HBM2_8ch"
    with pytest.raises(InputError, match="no accelerator"):
        overlay.at({"accelerator": "none", "accelerator.rows": "8"})


def test_an_overlay_keeps_what_no_setting_touches():
    hardware = load_hardware("edge-16x16")
    overlay = Overlay(hardware, ["accelerator.rows"])
    points = [overlay.at({"accelerator.rows": rows}) for rows in ("8", "32")]
    assert [point.accelerator.rows for point in points] == [8, 32]
    assert all(point.cpu is hardware.cpu for point in points)
    assert all(point.accelerator.dma is hardware.accelerator.dma for point in points)
    kept = [each for each in hardware.constants if each.path != "accelerator.rows"]
    assert list(points[0].constants) == kept


def test_a_copy_with_another_value_has_another_digest():
    array = load_hardware("edge-16x16").accelerator
    digest = array.digest
    assert array.model_copy(update={"rows": 8}).digest != digest
    assert array.model_copy().digest == array.digest == digest
