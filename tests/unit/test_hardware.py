"""SoC descriptions: what ships is sound and sourced, what is wrong is told in one sentence."""

import pytest

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.settings import setting_paths
from simulator.hardware.shipped import CONFIGS, dram_presets, hardware_names
from tests.builders import machine

PEAK_GBPS = {  # from the configurations that DRAMsim3 and Ramulator were run with; pins x rate
    "DDR4-2400_x64_1ch": 19.208,
    "DDR4-3200_x64_2ch": 51.2,
    "LPDDR4-3200_x32_1ch": 12.8,
    "LPDDR4-4266_x64_2ch": 34.133,
    "LPDDR5-6400_4x16b_4ch": 51.2,
    "HBM2_8ch": 256.0,
    "DDR5-4800_2x32b_2ch": 64 * 4.8 / 8,
    "GDDR6-14000_2x16b_2ch": 32 * 14 / 8,
}


@pytest.mark.parametrize("name", hardware_names())
def test_shipped_descriptions_load(name):
    assert load_hardware(name).name == name


@pytest.mark.parametrize("preset", dram_presets())
def test_every_preset_loads(preset):
    dram = machine(dram__preset=preset).dram
    assert dram.peak_bytes_per_s > 0
    assert (dram.device is None) == (preset == "ideal")


@pytest.mark.parametrize(("preset", "peak"), PEAK_GBPS.items())
def test_peak_rates_follow_from_the_timing(preset, peak):
    assert machine(dram__preset=preset).dram.peak_bytes_per_s / 1e9 == pytest.approx(peak, rel=1e-4)


def test_text_form_loads_to_the_same_description():
    hardware = load_hardware("edge-16x16")
    assert load_hardware(hardware, {"cpu.cores": hardware.cpu.cores}) == hardware
    assert load_hardware(hardware, {"cpu.cores": 2}).digest != hardware.digest


@pytest.mark.parametrize("name", hardware_names())
def test_every_shipped_description_survives_an_override(name):
    hardware = load_hardware(name)
    assert load_hardware(hardware, {"cpu.cores": hardware.cpu.cores}) == hardware


def test_settings_of_parts_that_a_file_leaves_out_can_be_set():
    changed = load_hardware("edge-16x16", {"runtime.load.rate": "2 GB/s"})
    assert changed.runtime.load.rate == 2 * 10**9
    assert changed.plain()["runtime"]["load"]["rate_bytes_per_s"] == 2 * 10**9


def test_plain_view_carries_units_in_its_keys():
    view = load_hardware("edge-16x16").plain()
    assert view["accelerator"]["clock_hz"] == 10**9
    assert view["accelerator"]["scratchpad_bytes"] == 256 * 1024
    assert view["dram"]["device"]["timing"]["tRCD"] == 29


def test_published_setting_paths_exist():
    wanted = {
        "accelerator.rows", "accelerator.cols", "accelerator.dataflow", "accelerator.clock",
        "accelerator.precision", "accelerator.scratchpad", "dram.preset", "cpu.cores",
        "cpu.clock", "runtime.issue",
    }  # fmt: skip
    assert wanted <= set(setting_paths())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("accelerator.rowz=3", "did you mean accelerator.rows"),
        ("accelerator.rows=0", "greater than 0"),
        ("accelerator.rows=-4", "greater than 0"),
        ("accelerator.rows=many", "valid integer"),
        ("accelerator.scratchpad=12", "no unit"),
        ("accelerator.scratchpad=1 GHz", "not a unit of size"),
        ("accelerator.clock=-3 GHz", "greater than 0"),
        ("accelerator.dataflow=xs", "'ws', 'os' or 'is'"),
        ("dram.preset=DDR9", "no DRAM 'DDR9'"),
        ("accelerator.rows", "key=value"),
        ("cpu.gemm_efficiency=120 %", "less than or equal"),
    ],
)
def test_wrong_overrides(override, said):
    with pytest.raises(InputError, match=said) as caught:
        load_hardware("edge-16x16", [override])
    assert "\n" not in str(caught.value)


def test_all_mistakes_at_once():
    with pytest.raises(InputError) as caught:
        load_hardware("edge-16x16", ["accelerator.rows=0", "cpu.cores=none", "cpu.clock=3"])
    assert str(caught.value).count("edge-16x16.yaml: ") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("[1, 2]", "expected keys"),
        ("a: 1\na: 2\n", "line 2.*keep one of the two"),
        ("a: {", "not YAML"),
        ("cpu: 3\n", "cpu"),
    ],
)
def test_wrong_files(tmp_path, text, said):
    path = tmp_path / "soc.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_hardware(path)
    assert "soc.yaml" in str(caught.value)


def test_unknown_key_in_a_file(tmp_path):
    path = tmp_path / "soc.yaml"
    path.write_text((CONFIGS / "edge-16x16.yaml").read_text().replace("  rows:", "  rowz:"))
    with pytest.raises(InputError, match=r"accelerator\.rowz: unknown key; did you mean"):
        load_hardware(path)


def test_overriding_what_is_not_there():
    with pytest.raises(InputError, match="has no accelerator"):
        load_hardware("cpu-only", ["accelerator.rows=8"])
    assert machine(accelerator="none").accelerator is None


def test_an_override_may_name_a_part_that_the_file_leaves_at_its_defaults():
    hardware = load_hardware("edge-16x16", {"runtime.rearrange.forward": "10 ns"})
    assert hardware.runtime.rearrange.forward == 10_000
    assert hardware.runtime.rearrange.dgrad == 0


def test_an_override_cannot_make_a_part_that_has_no_defaults():
    with pytest.raises(InputError, match="this hardware has no accelerator; describe one"):
        load_hardware("cpu-only", {"accelerator.rows": "8"})
