"""A dataflow of another package: found by YAML, command line, probe and sweep workers alike."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import extensions, simulate
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.dataflow import BUILT_IN
from simulator.hardware.shipped import CONFIGS
from simulator.probes import probe_array
from simulator.sweeps.api import sweep
from simulator.timing.dataflows import DATAFLOWS, dataflow_of
from tests.builders import machine, small_trace
from tests.extension.installed import distribution

ROOT = Path(__file__).parents[2]
ENTRY = ("[trainsoc.dataflows]", "toy = toy_dataflow:TOY")
SHAPES = ((64, 64, 64), (1, 10, 84), (100, 33, 17), (128, 96, 160))


def closed_form(rows, cols, m, n, k):
    """Return the cycles of a GEMM whose K is not cut: folds x (K + drain) + begin."""
    return -(-m // rows) * -(-n // cols) * (k + 5) + 3


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package as `pip install` leaves it."""
    folder = distribution(tmp_path_factory.mktemp("site"), "toy", *ENTRY)
    shutil.copy(Path(__file__).with_name("toy_dataflow.py"), folder)
    return folder


@pytest.fixture
def _installed(site, monkeypatch):
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("toy_dataflow", None)


@pytest.fixture
def described(tmp_path):
    """The default machine with the toy's dataflow in its YAML."""
    text = (CONFIGS / "edge-16x16.yaml").read_text()
    assert "dataflow: ws" in text
    path = tmp_path / "toy-16x16.yaml"
    path.write_text(text.replace("dataflow: ws", "dataflow: toy"))
    return path


def test_names_that_hardware_takes_are_those_of_the_objects():
    assert tuple(DATAFLOWS) == BUILT_IN
    assert all(dataflow_of(name).name == name for name in BUILT_IN)


def test_built_in_names_read_no_metadata(monkeypatch):
    monkeypatch.setattr(extensions, "_points", lambda group: pytest.fail(f"looked for {group}"))
    for name in BUILT_IN:
        assert machine(accelerator__dataflow=name).accelerator.dataflow == name


@pytest.mark.usefixtures("_installed")
def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(InputError, match="'tow': input should be 'ws', 'os', 'is' or 'toy'"):
        load_hardware("edge-16x16", {"accelerator.dataflow": "tow"})


def test_without_its_package_the_name_is_unknown():
    with pytest.raises(InputError, match="'toy': input should be 'ws', 'os' or 'is'"):
        load_hardware("edge-16x16", {"accelerator.dataflow": "toy"})


def probed(hardware, folder, fidelity):
    """Return the columns compute_cycles and stall_cycles of all shapes, each in one tile."""
    shapes, out = folder / "shapes.csv", folder / "out.csv"
    shapes.write_text("\n".join(["m,n,k", *(",".join(map(str, shape)) for shape in SHAPES)]))
    one_tile = {
        "accelerator.scratchpad": "1 MiB", "accelerator.accumulator": "1 MiB",
        "accelerator.overlap": "none", "accelerator.rows": 8,
    }  # fmt: skip
    probe_array(load_hardware(hardware, one_tile), shapes, out, fidelity)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    return tuple([int(row[name]) for row in rows] for name in ("compute_cycles", "stall_cycles"))


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("fidelity", ["flow", "tile"])
def test_a_gemm_takes_the_closed_form(described, tmp_path, fidelity):
    """Its transfers, which nothing overlaps, are those of any dataflow."""
    cycles, stalls = probed(described, tmp_path, fidelity)
    assert cycles == [closed_form(8, 16, *shape) for shape in SHAPES]
    assert stalls == probed(machine(accelerator__dataflow="os"), tmp_path, fidelity)[1]


@pytest.mark.usefixtures("_installed")
def test_both_fidelities_agree(tmp_path):
    """The toy is `os` with another formula: it executes the same MACs."""
    trace = small_trace(tmp_path)
    toy, tile, plain = (
        simulate(machine(accelerator__dataflow=name), trace, fidelity=fidelity).total
        for name, fidelity in (("toy", "flow"), ("toy", "tile"), ("os", "flow"))
    )
    assert toy["latency_ps"] == tile["latency_ps"]
    assert toy["macs_issued"] == plain["macs_issued"]
    assert toy["latency_ps"] != plain["latency_ps"]


def test_the_command_line_runs_it_where_it_is_installed(site, tmp_path):
    command = [sys.executable, "-m", "simulator.cli", "run", "edge-16x16", small_trace(tmp_path),
               "--json", "--set", "accelerator.dataflow=toy"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    hardware = machine(accelerator__dataflow="os")
    plain = simulate(hardware, small_trace(tmp_path)).total
    assert json.loads(done.stdout)["total"]["macs_issued"] == plain["macs_issued"]


@pytest.mark.usefixtures("_installed")
def test_workers_of_a_sweep_find_it(tmp_path):
    trace = small_trace(tmp_path)
    space = {"accelerator.dataflow": ["toy", "os"], "accelerator.rows": [8, 16]}
    table = sweep(space, trace, tmp_path / "sweep", workers=2, quiet=True)
    assert table.height == table["feasible"].sum() == 4
    toy = table.filter((table["accelerator.dataflow"] == "toy") & (table["accelerator.rows"] == 8))
    hardware = machine(accelerator__dataflow="toy", accelerator__rows=8)
    assert toy["latency_s"][0] == simulate(hardware, trace).total["latency_s"]
