"""A board of units: an array under `units:` is the accelerator by another name."""

import pytest
from ruamel.yaml import YAML

from simulator import sweep
from simulator.energy import COMPONENTS
from simulator.energy.area import areas
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.runtime import Driver
from simulator.hardware.unit import PARTS, RESERVED
from simulator.replay import Replay, as_trace
from simulator.results.metrics import METRICS, TRAINING_PART
from simulator.results.priced import OWN_UNITS
from simulator.sweeps.axis import read_axes
from simulator.trace.op import Phase
from tests.builders import StepBuilder, one_step_trace

NAME = "npu"
ARRAY = {"kind": "array"} | load_hardware("edge-16x16").as_text()["accelerator"]


def written(raw, folder):
    path = folder / f"{raw['name']}.yaml"
    with path.open("w") as file:
        YAML().dump(raw, file)
    return path


def renamed(name, folder):
    """Return a shipped SoC with its accelerator, driver included, as a unit of another name."""
    raw = load_hardware(name).as_text()
    runtime = raw["runtime"]
    driver = {key: value for key, value in runtime.items() if key in Driver.model_fields}
    raw["units"] = {NAME: {"kind": "array", "driver": driver} | raw.pop("accelerator")}
    raw["dram"].pop("device", None)
    return load_hardware(written(raw, folder))


@pytest.mark.parametrize("name", ["edge-16x16", "gemmini-16x16", "edge-16x16-mp"])
def test_an_array_by_another_name_costs_the_same(name, tmp_path):
    trace = as_trace("lenet_digits")
    own = Replay(load_hardware(name), trace).run()
    other = Replay(renamed(name, tmp_path), trace).run()
    same = ("latency_ps", "energy_aj", "macs", "dram_read_bytes", "cpu_busy_s", "contention_s")
    assert {key: other.total[key] for key in same} == {key: own.total[key] for key in same}
    assert other.total[f"{NAME}_busy_s"] == own.total["accelerator_busy_s"]
    assert other.total["accelerator_busy_s"] == 0
    parts, whole = other.total["energy_by_component_j"], own.total["energy_by_component_j"]
    assert parts[NAME] == pytest.approx(whole["array"] + whole["scratchpad"])


def test_two_arrays_divide_independent_products(tmp_path):
    """Under dataflow issue two equal products take an array each, placed by a rule."""
    raw = load_hardware("edge-16x16", {"runtime.issue": "dataflow"}).as_text()
    raw["dram"].pop("device", None)
    raw["units"] = {NAME: {"kind": "array"} | raw["accelerator"]}
    raw["runtime"]["rules"] = [{"unit": NAME, "layer": "second"}]
    builder = StepBuilder()
    for layer in ("first", "second"):
        builder.gemm(256, 256, 256, layer=layer)
    trace = one_step_trace(builder)
    both = Replay(load_hardware(written(raw, tmp_path)), trace).run()
    del raw["runtime"]["rules"]
    alone = Replay(load_hardware(written(raw, tmp_path)), trace).run()
    assert both.total[f"{NAME}_busy_s"] > 0 == alone.total[f"{NAME}_busy_s"]
    assert both.total["latency_ps"] < alone.total["latency_ps"]
    assert both.total["macs"] == alone.total["macs"] == 2 * 256**3


def test_no_unit_takes_a_name_of_results():
    assert {*COMPONENTS, *OWN_UNITS} <= RESERVED
    assert {metric.key for metric in METRICS} & {f"energy_{name}_j" for name in RESERVED} == {
        "energy_low_j", "energy_high_j",
    }  # fmt: skip
    assert {*(phase.value for phase in Phase), TRAINING_PART} == PARTS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"interconnect": {"first": "gpu"}}, "interconnect.first: no unit 'gpu'"),
        ({"runtime": {"rules": [{"unit": "gpu"}]}}, "runtime.rules.0.unit: no unit 'gpu'"),
        ({"units": {"cpu": {"kind": "array"}}}, "units.cpu"),
        ({"units": {"npu": {"rows": 3}}}, "units.npu: kind is missing"),
        ({"units": {"dram": ARRAY}}, "units.dram: dram is a word of results"),
        ({"units": {"eval_npu": ARRAY}}, "units.eval_npu: eval is a word of results"),
        ({"units": {"n.pu": ARRAY}}, "'n.pu' is no name for a unit"),
    ],
)
def test_a_name_of_no_unit_is_one_sentence(change, says, tmp_path):
    raw = load_hardware("edge-16x16").as_text()
    raw["dram"].pop("device", None)
    for key, value in change.items():
        raw[key] = raw.get(key, {}) | value
    with pytest.raises(InputError) as caught:
        load_hardware(written(raw, tmp_path))
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("units", "path", "says"),
    [
        ({NAME: ARRAY}, "units.npu.rows.x", "unknown setting; did you mean units.npu.rows?"),
        ({NAME: ARRAY}, "units.npu", "unknown setting"),
        ({NAME: ARRAY}, "units.npu.rowz", "did you mean units.npu.rows?"),
        ({NAME: ARRAY}, "units.", "no unit ''; known: npu"),
        ({NAME: ARRAY}, "units.gpu.rows", "no unit 'gpu'; known: npu"),
        ({NAME: 5}, "units.npu.rows", "units.npu: kind is missing"),
        ({NAME: {"kind": 7}}, "units.npu.rows", "units.npu.kind: no kind of unit '7'"),
        ({5: ARRAY}, "units.npu.rows", "no unit 'npu'; known: 5"),
        ([1], "units.npu.rows", "no unit 'npu'; this hardware has none but its own"),
        (None, "units.npu.rows", "no unit 'npu'; this hardware has none but its own"),
    ],
)
def test_a_setting_of_no_unit_is_one_sentence(units, path, says, tmp_path):
    raw = load_hardware("edge-16x16").as_text() | {"units": units}
    raw["dram"].pop("device", None)
    with pytest.raises(InputError) as caught:
        load_hardware(written(raw, tmp_path), {path: "3"})
    assert f"--set {path}: " in str(caught.value)
    assert says in str(caught.value)


def test_a_further_array_has_an_area_and_a_sweep_knows_its_dimensions(tmp_path):
    raw = load_hardware("edge-16x16").as_text()
    raw["dram"].pop("device", None)
    raw["units"] = {NAME: ARRAY}
    path = written(raw, tmp_path)
    size = {each.component: each.mm2 for each in areas(load_hardware(path))}
    assert (size["npu"], size["npu_scratchpad"]) == (size["array"], size["scratchpad"])
    (axis,) = read_axes({"units.npu.clock": "400 MHz..1600 MHz:x2"})
    assert axis.choices == (("400 MHz",), ("800 MHz",), ("1.6 GHz",))
    trace = one_step_trace(_product(), 1)
    table = sweep({"units.npu.rows": [4, 8]}, trace, hardware=path, workers=1)
    smaller, larger = table.sort("units.npu.rows")["area_npu_mm2"]
    assert larger == pytest.approx(2 * smaller)


def _product():
    builder = StepBuilder()
    builder.gemm(16, 16, 16)
    return builder
