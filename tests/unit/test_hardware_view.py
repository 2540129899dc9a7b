"""What `show` says of a SoC: numbers with their ranges, as JSON, and as YAML that runs."""

import json

import pytest

from simulator.energy import price_constants
from simulator.hardware import load_hardware
from simulator.hardware.shipped import hardware_names
from simulator.replay import Replay
from simulator.results.constants import constants_document
from simulator.run_folder import save_run
from simulator.views.hardware_yaml import hardware_yaml
from tests.builders import StepBuilder, one_step_trace

LAUNCH = "{value: 10 us, range: 3 us .. 40 us, source: 'guess: a driver'}"


def test_a_constant_as_json():
    soc = load_hardware("edge-16x16", [f"runtime.launch={LAUNCH}"])
    found = {each["path"]: each for each in constants_document(soc)}
    assert found["runtime.launch"] == {
        "path": "runtime.launch", "value": 10**7, "low": 3 * 10**6, "high": 4 * 10**7,
        "unit": "ps", "value_text": "10 us", "low_text": "3 us", "high_text": "40 us",
        "source": "guess: a driver", "kind": "guess",
    }  # fmt: skip
    assert found["accelerator.rows"]["unit"] == ""
    price = found["energy.dram_activates"]
    assert (price["low"], price["value"], price["high"]) == (430, 540, 1000)  # of the datasheet
    assert price["unit"] == "permille"
    assert (price["low_text"], price["high_text"]) == ("x0.43", "x1")
    assert len(found) == len(soc.constants) + len(price_constants(soc))


def test_peaks_and_areas_come_first():
    lines = hardware_yaml(load_hardware("edge-16x16")).splitlines()
    assert lines[2] == "# cpu: 22.4 GMAC/s in fp32, 4 cores at 1.4 GHz"  # 4 x 1.4 G x 16 B / 4 B
    assert lines[3] == "# accelerator: 256 GMAC/s, 256 int8 elements at 1 GHz"
    assert lines[4] == "# dram: 12.8 GB/s, LPDDR4-3200_x32_1ch"  # 3200 MT/s x 4 B
    assert lines[5].startswith("# area in mm2: array 0.0248, ")


SOCS = (
    "edge-16x16-npu", "ef-train-zcu102", "host", "jetson-xavier-gpu-npu", "mandheling-xiaomi10",
    "pixel-3-battery",
)  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in SOCS else pytest.mark.slow) for n in hardware_names()],
)
def test_what_is_shown_runs_and_says_as_much_of_every_number(name, tmp_path):
    soc = load_hardware(name)
    text = hardware_yaml(soc)
    (tmp_path / "soc.yaml").write_text(text)
    again = load_hardware(tmp_path / "soc.yaml")
    assert again == soc
    assert _stated(again) == _stated(soc)
    for each in price_constants(soc):
        assert f"{each.path}: " in text


def _stated(soc):
    return {
        each.path: (each.value, each.low, each.high, " ".join(each.source.split()), each.kind)
        for each in soc.constants
    }


def test_a_setting_changes_its_line():
    soc = load_hardware("edge-16x16", [f"runtime.launch={LAUNCH}", "accelerator.rows=32"])
    lines = hardware_yaml(soc).splitlines()
    assert "  launch: {value: 10 us, range: 3 us .. 40 us}  # guess: a driver" in lines
    assert "  rows: 32" in lines
    assert "  cols: 16  # Gemmini default" in lines


def test_a_saved_run_has_its_constants(tmp_path):
    builder = StepBuilder()
    builder.gemm(4, 8, 16)
    soc = load_hardware("edge-16x16")
    replay = Replay(soc, one_step_trace(builder))
    save_run(replay, replay.run(), tmp_path)
    saved = json.loads((tmp_path / "hardware.json").read_text())
    assert saved.pop("constants") == constants_document(soc)
    assert saved == json.loads(json.dumps(soc.plain()))


def test_a_kind_that_the_source_does_not_tell_is_written(tmp_path):
    stated = "{value: 10 us, range: 3 us .. 40 us, source: a driver, kind: guess}"
    soc = load_hardware("edge-16x16", [f"runtime.launch={stated}"])
    (tmp_path / "soc.yaml").write_text(hardware_yaml(soc))
    assert _stated(load_hardware(tmp_path / "soc.yaml")) == _stated(soc)
    assert _stated(soc)["runtime.launch"][-2:] == ("a driver", "guess")
