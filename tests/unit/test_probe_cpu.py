"""Microbenchmarks of the simulated CPU against those of boards (tests/reference/cpu/README.md)."""

import json

import pytest
from typer.testing import CliRunner

from simulator.cli.verbs import app_of
from simulator.hardware import load_hardware
from simulator.probes import cpu_rows


def rate(hardware, benchmark, cores, overrides=()):
    """A rate of a shipped description, per second."""
    soc = load_hardware(hardware, overrides)
    (row,) = [r for r in cpu_rows(soc) if (r["benchmark"], r["cores"]) == (benchmark, cores)]
    return row["rate"]


@pytest.mark.parametrize(
    ("name", "cores", "expected"),
    [  # HPL; the middle of LMBench's two SoCs
        ("HPL (fp64 GEMM)", 4, 11.41e9),
        ("HPL (fp64 GEMM)", 1, 0.6 * 2 * 2 * 1.416e9),
        ("memcpy", 1, 4.1e9),
        ("memcpy", 4, 7.5e9),
        ("copy loop", 1, 2.1e9),
        ("copy loop", 4, 3.75e9),
    ],
)
@pytest.mark.parametrize("hardware", ["edge-16x16", "cpu-only"])
def test_cortex_a53(hardware, name, cores, expected):
    overrides = {"cpu.clock": "1.402 GHz"}  # an operating point, 1 % below the board's
    assert rate(hardware, name, cores, overrides) == pytest.approx(expected, rel=0.05)


def test_four_cores_are_not_four_times_one():
    one, four = (rate("cpu-only", "copy loop", cores) for cores in (1, 4))
    assert four / one == pytest.approx(1.8, rel=0.02)  # TI SPRAD90


@pytest.mark.parametrize("hardware", ["cpu-only", "raspberry-pi-4"])
def test_armv8_0_is_slower_in_bf16_than_in_fp32(hardware):
    assert rate(hardware, "bf16 GEMM", 4) < rate(hardware, "fp32 GEMM", 4) / 10


def test_a_core_with_bf16_is_faster():
    wide = {"cpu.core": "wide"}
    narrow, full = (rate("cpu-only", name, 4, wide) for name in ("bf16 GEMM", "fp32 GEMM"))
    assert narrow == pytest.approx(2 * full, rel=0.05)  # twice the lanes


def test_json():
    result = CliRunner().invoke(app_of("probe"), ["probe", "cpu", "raspberry-pi-4", "--json"])
    document = json.loads(result.stdout)
    assert document["hardware"] == "raspberry-pi-4"
    assert {row["unit"] for row in document["cpu"]} == {"FLOP/s", "B/s"}
