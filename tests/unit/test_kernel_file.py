"""Tables of measured kernels: what a CSV file or a list of rows may say, and what is refused."""

import pytest
from ruamel.yaml import YAML

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.kernel_file import read_kernels
from simulator.hardware.measured import KernelTime
from simulator.hardware.shipped import CONFIGS
from tests.reference import rows

TABLE = """\
# a source
op,format,batch,m,n,k,elements,time,source

gemm,fp32,,64,32,16,,10 us,"mine, yesterday"
gemm,fp16,2,64,32,16,,6 us,
relu,fp32,,,,,4096,2.5 us,
"""


def written(folder, text):
    path = folder / "gpu.csv"
    path.write_text(text)
    return path


def soc(folder, kernels, **changes):
    """Return a SoC with a measured unit of these kernels."""
    unit = {"kind": "measured", "kernels": kernels, "busy_power": "10 W", "static_power": "1 W"}
    raw = YAML(typ="safe").load(CONFIGS / "cpu-only.yaml")
    path = folder / "measured.yaml"
    with path.open("w") as file:
        YAML().dump(raw | {"units": {"gpu": unit | changes}}, file)
    return load_hardware(path)


def test_a_table_is_read_as_it_stands(tmp_path):
    gemm, half, relu = read_kernels(written(tmp_path, TABLE))
    assert gemm == KernelTime(op="gemm", m=64, n=32, k=16, time="10 us", source="mine, yesterday")
    assert (half.format, half.sizes, half.time) == ("fp16", (2, 64, 32, 16), 6 * 10**6)
    assert (relu.op, relu.sizes, relu.time) == ("relu", (4096,), 2_500_000)


def test_a_file_beside_the_yaml_and_its_rows_in_it_are_the_same_machine(tmp_path):
    path = written(tmp_path, TABLE)
    by_file = soc(tmp_path, "gpu.csv")
    inline = soc(tmp_path, [each.as_text() for each in read_kernels(path)])
    assert by_file == inline
    assert by_file.digest == inline.digest
    assert load_hardware(by_file, {"units.gpu.time_scale": "50 %"}).units["gpu"].time_scale == 500


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (",time,", ",", r"gpu\.csv: line 2: no column time: add it"),
        (",time,", ",tme,", r"line 2: unknown column 'tme'; did you mean time\?"),
        (",time,", ",time,time,", r"line 2: column time stands there twice"),
        ("10 us", "10", r"line 4: time: '10' has no unit: write it as '10 us'"),
        ("10 us", "10 kg", r"line 4: time: '10 kg': 'kg' is not a unit of duration"),
        ("10 us", "-10 us", r"line 4: time: -10000000: input should be greater than 0"),
        ("10 us", "", r"line 4: time: missing; fill its cell"),
        ("fp16", "fp17", r"line 5: format: 'fp17': input should be "),
        ("64,32,16,,10", "64,32,0,,10", r"line 4: k: 0: input should be greater than 0"),
        ("64,32,16,,10", "64,3.5,16,,10", r"line 4: n: '3.5': input should be a valid integer"),
        ("64,32,16,,10", "64,32,,,10", r"line 4: k: gemm is measured by m, n, k: add it"),
        ("64,32,16,,10", "64,32,16,7,10", r"line 4: elements: gemm has none: leave it out"),
        (",,4096", ",,", r"line 6: elements: relu is measured by elements: add it"),
        (",,4096", ",8,4096", r"line 6: k: relu has none: leave it out"),
        ("relu,fp32,", "relu,fp32,3", r"line 6: batch: relu has none: leave it out"),
        ("gemm,fp32", "gem,fp32", r"line 4: op: no product 'gem'; known: gemm, batched, conv"),
        (",,4096", ",4096", r"line 6: 8 cells under 9 columns: separate cells by commas"),
        ("gemm,fp16,2", "gemm,fp32,", r"line 5: measures the same kernel as line 4: leave one out"),
        ('yesterday"', "yesterday", r"line 4: no CSV \(.*\): put text with commas in quotes"),
        (TABLE, "# nothing\n", r"no table: begin with a header, op, format"),
    ],
)
def test_a_mistake_names_its_line_and_the_fix(tmp_path, before, after, message):
    assert before in TABLE
    with pytest.raises(InputError, match=message):
        read_kernels(written(tmp_path, TABLE.replace(before, after, 1)))


def test_products_that_are_no_convolutions_have_no_stride(tmp_path):
    text = "op,stride,m,n,k,time\nconvolution,2,1,2,3,1 us\ngemm,2,1,2,3,1 us\n"
    with pytest.raises(InputError, match=r"line 3: stride: gemm has none: leave it out"):
        read_kernels(written(tmp_path, text))


@pytest.mark.parametrize(
    ("kernels", "changes", "message"),
    [
        ("none.csv", {}, r"cannot read .*none\.csv: there is no such file"),
        ([], {}, r"measured\.yaml: units\.gpu: kernels: \[\]: .* at least 1 item"),
        ([{"op": "gemm", "m": 1, "n": 1, "k": 1}], {}, r"units\.gpu: kernels\.0\.time: missing"),
        ([{"op": "relu", "elements": 1, "time": "1 us"}] * 2, {},
         r"units\.gpu: kernels\.1: repeats kernels\.0: leave one out"),
        ([{"op": "relu", "elements": 1, "time": "1 us"}], {"busy_power": "10"},
         r"units\.gpu: busy_power: '10' has no unit"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_yaml_names_its_path(tmp_path, kernels, changes, message):
    with pytest.raises(InputError, match=message):
        soc(tmp_path, kernels, **changes)


def test_the_shipped_times_are_the_published_ones_without_their_copies():
    """Wait and copy together, in ms, less the copy at 8.6 GB/s, layer by layer and role by role."""
    roles = {"convolution": "fwd", "convolution_dgrad": "dgrad", "convolution_wgrad": "wgrad"}
    published = {
        (row["layer"], row["phase"]): float(row["output_plus_sync_ms"])
        - int(row["d2h_bytes"]) / 8.6e6
        for row in rows("systems/yonas_pytorch_bytes.csv")
    }
    macs = {
        (row["layer"], row["phase"]): int(row["macs"])
        for row in rows("systems/yonas_pytorch_bytes.csv")
    }
    kernels = read_kernels(CONFIGS / "kernels" / "jetson-xavier-gpu.csv")
    assert len(kernels) == 15
    for kernel in kernels:
        place = "L" + kernel.source.removeprefix("ResNet-20 layer "), roles[kernel.op]
        assert kernel.time / 1e9 == pytest.approx(published[place], abs=0.0005001)
        assert kernel.m * kernel.n * kernel.k == macs[place]
