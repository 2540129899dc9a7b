"""What `show` says of a SoC: numbers with their ranges, as JSON and as a person reads them."""

import io
import json

from rich.console import Console

from simulator.energy import price_constants
from simulator.hardware import load_hardware
from simulator.replay import Replay, save_run
from simulator.results.constants import constants_document
from simulator.views.hardware_view import hardware_table
from tests.builders import StepBuilder, one_step_trace

LAUNCH = "{value: 10 us, range: 3 us .. 40 us, source: 'guess: a driver'}"


def shown(soc) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=200).print(hardware_table(soc))
    return text.getvalue().splitlines()


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


def test_a_person_sees_what_has_a_range_first():
    soc = load_hardware("edge-16x16", [f"runtime.launch={LAUNCH}"])
    lines = shown(soc)
    rows = [" ".join(line.split()) for line in lines]
    launch = rows.index("runtime.launch 10 us 3 us .. 40 us guess a driver")
    rest = rows.index("Numbers that have a source and no range:")
    rows_row = rows.index("accelerator.rows 16 published Gemmini default (Genc et al., DAC 2021)")
    assert launch < rest < rows_row
    assert "cpu.operating_points 10 numbers published hi3660.dtsi" in rows
    count = sum(each["low"] < each["high"] for each in constants_document(soc))
    assert f"{count} of {len(constants_document(soc))} numbers have a range:" in rows
    assert any("dataflow ws, structure systolic" in row for row in rows)


def test_every_setting_is_shown_once():
    soc = load_hardware("edge-16x16-mp")
    text = "\n".join(shown(soc))
    for path in ("cpu.cores", "runtime.synchronise", "energy.wire", "technology.node"):
        assert text.count(f"{path} ") == 1
    assert "precisions int2 int3" in text


def test_a_saved_run_has_its_constants(tmp_path):
    builder = StepBuilder()
    builder.gemm(4, 8, 16)
    soc = load_hardware("edge-16x16")
    replay = Replay(soc, one_step_trace(builder))
    save_run(replay, replay.run(), tmp_path)
    saved = json.loads((tmp_path / "hardware.json").read_text())
    assert saved.pop("constants") == constants_document(soc)
    assert saved == json.loads(json.dumps(soc.plain()))
