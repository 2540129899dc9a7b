"""Descriptions that begin with another one: values, sources and ranges, and what is refused."""

import pytest

from simulator import simulate
from simulator.errors import InputError
from simulator.hardware.load import load_hardware
from simulator.hardware.shipped import cpu_names

MINE = """\
base: edge-16x16
cpu:
  base: cortex-a76
  cores: 2
accelerator:
  rows: 32
  cols: 32
"""
SAME_BUT_FOR_THE_NAME = {"name": "mine", "description": ""}


@pytest.fixture
def write(tmp_path):
    def written(text, name="mine.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return written


def known(soc):
    return {each.path: each for each in soc.constants}


def refusal(path):
    with pytest.raises(InputError) as error:
        load_hardware(path)
    return str(error.value)


def test_a_description_of_its_base_alone_is_the_base(write):
    soc, edge = load_hardware(write("base: edge-16x16\n")), load_hardware("edge-16x16")
    assert soc == edge.model_copy(update=SAME_BUT_FOR_THE_NAME)
    assert soc.constants == edge.constants


def test_a_soc_in_seven_lines_runs(write):
    soc = load_hardware(write(MINE))
    assert len(MINE.splitlines()) <= 12
    assert (soc.cpu.cores, soc.cpu.clock, soc.cpu.simd_pipes) == (2, 2_400_000_000, 2)
    assert (soc.accelerator.rows, soc.accelerator.cols, soc.accelerator.scratchpad) == (
        32,
        32,
        262144,
    )
    assert simulate(soc, "mlp_digits").total["latency_s"] > 0


def test_it_is_the_soc_that_settings_make(write):
    text = "base: edge-16x16\naccelerator: {rows: 32, dma: {bandwidth: 8 GB/s}}\ncpu: {cores: 2}\n"
    settings = ["accelerator.rows=32", "accelerator.dma.bandwidth=8 GB/s", "cpu.cores=2"]
    by_settings = load_hardware("edge-16x16", settings)
    soc = load_hardware(write(text))
    assert soc == by_settings.model_copy(update=SAME_BUT_FOR_THE_NAME)
    assert {each.path for each in soc.constants} == {each.path for each in by_settings.constants}


def test_sources_and_ranges_come_along_where_nothing_takes_their_place(write):
    text = (
        "base: edge-16x16\nruntime: {synchronise: {value: 6 us, range: 2 us .. 8 us}}  # measured\n"
    )
    soc, edge = known(load_hardware(write(text))), known(load_hardware("edge-16x16"))
    assert soc["runtime.launch"] == edge["runtime.launch"]
    own = soc["runtime.synchronise"]
    assert (own.low, own.high, own.source, own.kind) == (
        2 * 10**6,
        8 * 10**6,
        "measured",
        "measured",
    )


def test_the_cpu_of_a_base_leaves_nothing_of_another(write):
    soc = load_hardware(write(MINE))
    assert soc.cpu.operating_points == ()  # those of the A53 in edge-16x16
    assert known(soc)["cpu.op_overhead"].source.startswith("guess: 12 us")


def test_another_class_of_cores_has_its_own_costs(write):
    write("base: edge-16x16\ncpu: {costs: {norm: 99 cycles}}\n", "lower.yaml")
    assert load_hardware(write("base: lower.yaml\n")).cpu.costs.norm == 99_000
    wide = load_hardware(write("base: lower.yaml\ncpu: {core: wide}\n"))
    assert wide.cpu.costs == load_hardware("edge-16x16", ["cpu.core=wide"]).cpu.costs


def test_units_go_by_their_name(write):
    sizes = "rows: 8, cols: 8, clock: 800 MHz, scratchpad: 64 KiB, accumulator: 32 KiB"
    unit = f"{{kind: array, {sizes}, dma: {{bandwidth: 6.4 GB/s}}}}"
    write(f"base: edge-16x16\nunits:\n  npu: {unit}\n  side: {unit}\n", "lower.yaml")
    soc = load_hardware(write("base: lower.yaml\nunits: {npu: {rows: 4}, side: null}\n"))
    assert {*soc.further} == {"npu"}
    assert (soc.further["npu"].rows, soc.further["npu"].cols) == (4, 8)
    small = "{kind: cpu, base: cortex-a55, cores: 2}"
    soc = load_hardware(write(f"base: lower.yaml\nunits: {{npu: {small}}}\n"))
    assert (soc.further["npu"].core, soc.further["npu"].cores) == ("in-order", 2)


def test_null_takes_away(write):
    soc = load_hardware(write("base: edge-16x16\naccelerator: null\ncpu: {llc: null}\n"))
    assert soc.accelerator is None
    assert soc.cpu.llc is None
    assert not [path for path in known(soc) if path.startswith(("accelerator", "cpu.llc"))]


def test_kernels_lie_beside_the_file_that_names_them(write, tmp_path):
    gpu = "{kind: measured, kernels: gpu.csv, busy_power: 8 W, static_power: 1 W}"
    write(f"base: edge-16x16\nunits: {{gpu: {gpu}}}\n", "lib/lower.yaml")
    row = "gemm,fp32,,,1024,1024,1024,,{},a board\n"
    head = "op,format,stride,batch,m,n,k,elements,time,source\n"
    (tmp_path / "lib" / "gpu.csv").write_text(head + row.format("3.4 ms"))
    (tmp_path / "own.csv").write_text(head + row.format("1 ms"))
    soc = load_hardware(write("base: lib/lower.yaml\nunits: {gpu: {time_scale: 50 %}}\n"))
    assert [each.time for each in soc.further["gpu"].kernels] == [3_400_000_000]
    soc = load_hardware(write("base: lib/lower.yaml\nunits: {gpu: {kernels: own.csv}}\n"))
    assert [each.time for each in soc.further["gpu"].kernels] == [1_000_000_000]


@pytest.mark.parametrize(("text", "words"), [
    ("base: edge-16\n", "mine.yaml: base: no hardware 'edge-16': did you mean edge-16x16?"),
    ("base: [edge-16x16]\n", "mine.yaml: base: no hardware"),
    ("base: mine.yaml\n", "mine.yaml -> mine.yaml: base leads back"),
    ("base: other.yaml\n", "mine.yaml -> other.yaml -> mine.yaml: base leads back: remove one"),
    ("base: edge-16x16\ncpu: {base: cortex-a67}\n", "cpu.base: no CPU 'cortex-a67': did you mean"),
    ("base: edge-16x16\naccelerator: {rws: 3}\n", "did you mean accelerator.rows?"),
    ("base: edge-16x16\nunits: {3: {kind: cpu, base: cortex-a55}}\n", "units.3"),
    ("base: 3\n", "no hardware 3"),
    ('base: "\\0"\n', "no hardware"),
    ("base: edge-16x16\ncpu: {base: {}}\n", "no CPU {}"),
    ("base: edge-16x16\naccelerator: {base: tpu-v3}\n", "accelerator.base: unknown key"),
    ("base: wrong.yaml\n", "mine.yaml on wrong.yaml: cpu.cores"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(write, text, words):
    write("base: mine.yaml\n", "other.yaml")
    write("base: edge-16x16\ncpu: {cores: many}\n", "wrong.yaml")
    assert words in refusal(write(text))
    assert "\n" not in refusal(write(text))


@pytest.mark.parametrize("name", cpu_names())
def test_each_cpu_that_ships_runs_alone(write, name):
    soc = load_hardware(write(f"base: cpu-only\ncpu: {{base: {name}}}\n"))
    assert simulate(soc, "mlp_digits").total["latency_s"] > 0
    own = [each for each in soc.constants if each.path.startswith("cpu.")]
    assert [each.path for each in own if not each.source] == []
    unsure = [each for each in own if each.kind in ("guess", "fitted")]
    assert [each.path for each in unsure if not each.is_uncertain] == []


@pytest.mark.parametrize(("name", "board"), [
    ("cortex-a53", "edge-16x16"), ("cortex-a72", "raspberry-pi-4"),
])  # fmt: skip
def test_cpus_that_are_of_a_board_are_the_same(write, name, board):
    own = load_hardware(write(f"base: {board}\ncpu: {{base: {name}}}\n"))
    theirs = load_hardware(board)
    assert own.cpu == theirs.cpu
    assert [each for each in own.constants if each.path.startswith("cpu")] == [
        each for each in theirs.constants if each.path.startswith("cpu")
    ]


def test_boards_are_ordered_as_their_makers_say():
    times = {
        name: simulate(name, "lenet_digits").total["latency_s"]
        for name in ("raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5")
    }
    assert times["raspberry-pi-3"] > times["raspberry-pi-4"] > times["raspberry-pi-5"]
