"""What descriptions say of their numbers: is it read as written, and do ours say it of each?"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.load import preset_constants
from simulator.hardware.part import Part, value_at
from simulator.hardware.ranges import number_field, range_of
from simulator.hardware.runtime import Runtime
from simulator.hardware.shipped import CONFIGS, dram_presets, hardware_names
from simulator.hardware.unit import MeasuredUnit
from simulator.units import DURATION

FORM = "launch: {value: 10 us, range: 3 us .. 40 us, source: a driver, kind: measured}"
BLOCK = """launch:  # fitted on three drivers
    value: 10 us
    range: x0.3 .. x4"""


def numbers(part: Part, prefix: str = ""):
    """Yield the paths of all numbers that a file gave, but for those of a DRAM preset, and of
    measured kernels, whose rows have sources themselves.
    """
    for name in sorted(part.model_fields_set - {"device", "kernels"}):
        value = getattr(part, name)
        key, entries = type(part).model_fields[name].alias or name, {}
        if isinstance(value, Part):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, dict):
            entries = value
        elif isinstance(value, tuple):
            entries = {i: each for i, each in enumerate(value) if isinstance(each, Part)}
        elif isinstance(value, int) and not isinstance(value, bool):
            yield prefix + key
        for which, entry in entries.items():
            yield from numbers(entry, f"{prefix}{key}.{which}.")


def constant(soc: Hardware, path: str):
    return next((each for each in soc.constants if each.path == path), None)


def written(tmp_path, old, new, name="edge-16x16"):
    """Return a shipped description that has one entry, with what belongs to it, rewritten."""
    text = (CONFIGS / f"{name}.yaml").read_text()
    changed = re.sub(rf"(?m)^  {old}:.*\n(    .*\n)*", lambda _: f"  {new}\n", text)
    assert changed != text
    path = tmp_path / "soc.yaml"
    path.write_text(changed)
    return path


@pytest.mark.parametrize("name", hardware_names())
def test_every_number_of_a_shipped_description_has_a_source(name):
    soc = load_hardware(name)
    known = {each.path: each.source for each in soc.constants}
    found = list(numbers(soc))
    assert len(found) > 15
    assert [path for path in found if len(known.get(path, "")) < 3] == []
    assert not [source for source in known.values() if source.startswith("likewise")]
    tables = [unit.kernels for unit in soc.units.values() if isinstance(unit, MeasuredUnit)]
    assert all(kernel.source for kernels in tables for kernel in kernels)


@pytest.mark.parametrize("preset", [name for name in dram_presets() if name != "ideal"])
def test_every_number_of_a_preset_has_a_source_and_none_a_range(preset):
    device = load_hardware("edge-16x16", {"dram.preset": preset}).dram.device
    known = {each.path: each for each in preset_constants(preset)}
    assert set(numbers(device)) == set(known)
    assert all(value_at(device, path) == each.value for path, each in known.items())
    assert not any(each.is_uncertain for each in known.values())


@pytest.mark.parametrize("name", hardware_names())
def test_every_guess_and_every_fitted_number_has_a_range(name):
    unsure = [each for each in load_hardware(name).constants if each.kind in ("guess", "fitted")]
    assert [each.path for each in unsure if not each.is_uncertain] == []


@pytest.mark.parametrize("name", hardware_names())
def test_a_constant_has_the_value_of_its_setting(name):
    soc = load_hardware(name)
    assert len(soc.constants) == len({each.path for each in soc.constants})
    assert all(value_at(soc, each.path) == each.value for each in soc.constants)


@pytest.mark.parametrize("name", ["cpu-only", "edge-16x16-mp"])
def test_machines_with_the_same_part_share_what_is_unsure_of_it(name):
    edge = {each.path: each for each in load_hardware("edge-16x16").constants}
    for each in load_hardware(name).constants:
        unused = name == "cpu-only" and each.path.startswith("runtime.")
        if each.path in edge and not unused and each.path.partition(".")[0] != "cpu":
            assert each == edge[each.path]


@pytest.mark.parametrize(
    ("entry", "low_us", "high_us", "source", "kind"),
    [
        ("launch: 10 us", None, None, None, None),
        ("launch: 10 us  # a driver", 10, 10, "a driver", "published"),
        ("launch: 10 us # Guess: a driver", 10, 10, "Guess: a driver", "guess"),
        ("launch: '10 us'  # CALIBRATED on it", 10, 10, "CALIBRATED on it", "fitted"),
        ("launch: 10 us  # not measured", 10, 10, "not measured", "published"),
        ("launch: 10 us  # measured, the rest a guess", 10, 10, ..., "guess"),
        ("launch: 10 us  # chosen as measured elsewhere", 10, 10, ..., "chosen"),
        (FORM, 3, 40, "a driver", "measured"),
        ("launch: {value: 10 us, range: 3 us..40 us}  # a driver", 3, 40, "a driver", "published"),
        ("launch: {value: 10 us, range: 3 us .. 40 us}", 3, 40, "", "guess"),
        (BLOCK, 3, 40, "fitted on three drivers", "fitted"),
        ("launch: {value: 10 us, source: '#1 # 2'}", 10, 10, "#1 # 2", "published"),
        ("launch: &fast 10 us  # a driver", 10, 10, "a driver", "published"),
    ],
)
def test_forms_of_a_number(tmp_path, entry, low_us, high_us, source, kind):
    soc = load_hardware(written(tmp_path, "launch", entry))
    found = constant(soc, "runtime.launch")
    assert soc == load_hardware("edge-16x16")
    if low_us is None:
        assert found is None
        return
    assert (found.low, found.value, found.high) == (low_us * 10**6, 10**7, high_us * 10**6)
    assert source in (found.source, ...)
    assert found.kind == kind


def test_a_comment_of_a_section_is_the_source_of_what_has_none(tmp_path):
    entry = "load:  # measured on it\n    fixed: 3 us\n    rate: 2 GB/s  # a datasheet"
    soc = load_hardware(written(tmp_path, "issue", f"issue: in_order\n  {entry}"))
    assert constant(soc, "runtime.load.fixed").source == "measured on it"
    assert constant(soc, "runtime.load.rate").source == "a datasheet"


def test_entries_of_a_list_and_by_name_have_sources():
    edge, host = load_hardware("edge-16x16"), load_hardware("host")
    point = edge.cpu.operating_points[1]
    assert constant(edge, "cpu.operating_points.1.voltage").value == point.voltage
    assert constant(host, "cpu.kernels.operations.add.element").kind == "measured"


def test_ranges_of_plain_numbers_and_of_ratios():
    soc = load_hardware(
        "edge-16x16",
        {
            "cpu.gemm_efficiency": {"value": "60 %", "range": "20 % .. 75 %"},
            "accelerator.rows": "{value: 16, range: x0.5 .. x2}",
            "cpu.cores": "{value: 4, range: 2 .. 8}",
            "cpu.misses": "{value: 5, range: 1 .. 9}",  # a number or nothing, of no unit
        },
    )
    ends = {each.path: (each.low, each.high) for each in soc.constants}
    assert ends["cpu.gemm_efficiency"] == (200, 750)
    assert ends["accelerator.rows"] == (8, 32)
    assert ends["cpu.cores"] == (2, 8)
    assert ends["cpu.misses"] == (1, 9)


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("runtime.launch", "{value: 10 us, range: 40 us .. 3 us}", "swap the two"),
        ("runtime.launch", "{value: 10 us, range: 20 us .. 30 us}", "outside: widen it"),
        ("runtime.launch", "{value: 10 us, range: 3 GHz .. 4 GHz}", "not a unit of duration"),
        ("runtime.launch", "{value: 10 us, range: 3 .. 4}", "has no unit"),
        ("runtime.launch", "{value: 10 us, range: 3 us to 4 us}", "as low .. high, or x0.5 .. x2"),
        ("runtime.launch", "{value: 10 us, range: [3 us, 4 us]}", "as low .. high, or x0.5 .. x2"),
        ("runtime.launch", "{value: 10 us, range: -1 us .. 20 us}", "greater than or equal to 0"),
        ("runtime.launch", "{value: 10 us, rnage: 3 us .. 4 us}", "did you mean range"),
        ("runtime.launch", "{value: 10 us, kind: gues}", "kind 'gues': write one of measured"),
        ("runtime.launch", "{value: 10 us, source: [a]}", "write a text"),
        ("runtime.launch", "{range: 3 us .. 40 us}", "has no value: add value"),
        ("runtime.launch", "{value: 10 GHz, range: 3 us .. 40 us}", "not a unit of duration"),
        ("accelerator.dataflow", "{value: ws, range: ws .. os}", "is no number and has no range"),
        ("cpu.gemm_efficiency", "{value: 60 %, range: 20 % .. 120 %}", "less than or equal"),
        ("cpu.gemm_efficiency", "{value: 60 %, range: x0.5 .. x2}", "less than or equal"),
        ("accelerator.rows", "{value: 16, range: 8 .. 32.5}", "valid integer"),
    ],
)
def test_a_mistake_is_one_sentence_beside_the_others(path, form, said):
    with pytest.raises(InputError, match=said) as caught:
        load_hardware("edge-16x16", [f"{path}={form}", "accelerator.cols=0"])
    sentences = str(caught.value).split("; edge-16x16.yaml: ")
    assert len(sentences) == 2
    assert sum(path in each for each in sentences) == 1
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    path = written(tmp_path, "launch", "launch: {value: 10 us, range: 40 us .. 3 us}")
    with pytest.raises(InputError, match=r"soc\.yaml: runtime\.launch: range '40 us .. 3 us'"):
        load_hardware(path)


def test_an_entry_of_a_list_takes_no_range(tmp_path):
    entry = "{clock: {value: 1.4 GHz, range: 1 GHz .. 2 GHz}, voltage: 0.9 V}"
    path = written(tmp_path, "operating_points", f"operating_points: [{entry}]")
    with pytest.raises(InputError, match=r"operating_points\.0\.clock: .* leave out range"):
        load_hardware(path)


def test_a_part_by_name_may_be_called_as_a_key_of_the_long_form(tmp_path):
    entry = "kernels: {operations: {range: {call: 3 us}}}  # measured on it"
    soc = load_hardware(written(tmp_path, "cores", f"cores: 4\n  {entry}"))
    assert constant(soc, "cpu.kernels.operations.range.call").value == 3 * 10**6


def test_what_is_set_is_sure_and_the_rest_as_it_was():
    edge = load_hardware("edge-16x16")
    for changed in (
        load_hardware("edge-16x16", ["runtime.launch=10 us"]),
        load_hardware(edge, {"runtime.launch": "20 us"}),
        edge.model_copy(update={"runtime": edge.runtime.model_copy(update={"launch": 20})}),
    ):
        assert constant(changed, "runtime.launch") is None
        assert set(changed.constants) == set(edge.constants) - {constant(edge, "runtime.launch")}
    without = load_hardware(edge, {"accelerator": "none"})
    assert not [each for each in without.constants if each.path.startswith("accelerator.")]
    assert constant(without, "runtime.launch").is_uncertain


def test_values_do_not_depend_on_how_sure_they_are():
    sure = load_hardware("edge-16x16", {"runtime.launch": "10 us"})
    unsure = load_hardware("edge-16x16")
    assert sure.constants != unsure.constants
    assert (sure, hash(sure), sure.digest) == (unsure, hash(unsure), unsure.digest)
    assert (sure.plain(), sure.as_text()) == (unsure.plain(), unsure.as_text())


LAUNCH = number_field(Runtime, "launch")


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**14), min_size=3, max_size=3).map(sorted))
def test_a_range_in_units_is_read_back(ends):
    low, value, high = ends
    text = f"{DURATION.text(low)} .. {DURATION.text(high)}"
    assert range_of(LAUNCH, text, value) == (low, high)
    if low < value:
        with pytest.raises(ValueError, match="outside: widen it"):
            range_of(LAUNCH, text, low - 1)
        with pytest.raises(ValueError, match="swap the two"):
            range_of(LAUNCH, f"{DURATION.text(high)} .. {DURATION.text(low)}", value)


@settings(deadline=None)
@given(st.integers(1, 10**12), st.decimals(0, 1, places=3), st.decimals(1, 10**3, places=3))
def test_a_relative_range_is_that_of_the_value(value, down, up):
    found = range_of(LAUNCH, f"x{down} .. x{up}", value)
    assert found == (round(value * down), round(value * up))


@settings(deadline=None)
@given(st.text(max_size=20).filter(lambda text: ".." not in text))
def test_any_other_text_for_a_range_is_refused(text):
    with pytest.raises(ValueError, match=r"write it as low \.\. high"):
        range_of(LAUNCH, text, 10**7)
