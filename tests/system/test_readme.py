"""What the README tells people to type works as it stands there."""

import re
import shlex

import pytest

from tests.command_line import ROOT, trainsoc

README = (ROOT / "README.md").read_text()
TRAIN = """
import argparse
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(parser.parse_args().epochs):
    optimizer.zero_grad()
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()
"""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands():
    lines = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("trainsoc ")]


def test_the_readme_has_commands():
    assert len(commands()) >= 8


@pytest.mark.torch
def test_commands_run_in_the_order_of_the_readme(tmp_path, server):
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(TRAIN)
    for command in commands():
        words = shlex.split(command)[1:]
        captures = words[0] == "capture"  # a script may end its process
        done = server.run(tmp_path, *words) if captures else trainsoc(*words, cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_python_runs(capsys):
    (code,) = [block for block in blocks("python") if "simulate" in block]
    exec(code, {})
    assert "forward" in capsys.readouterr().out


def test_a_sweep_in_python_runs(capsys):
    (code,) = [block for block in blocks("python") if "sweep" in block]
    exec(code, {})
    assert "pareto" in capsys.readouterr().out


def test_the_sweep_file_describes_a_space(tmp_path):
    from simulator.sweeps.request import read_request
    from simulator.sweeps.study import study_of

    (text,) = [block for block in blocks("yaml") if "axes:" in block]
    (tmp_path / "sweep.yaml").write_text(text)
    asked = study_of(read_request(tmp_path / "sweep.yaml"))
    points = list(asked.points())
    assert asked.space.size == 2 * 4 * 5 * 2 * 2
    assert 2 * 2 < len(points) < asked.space.size
    assert sum(bool(point.baseline) for point in points) == 2 * 2


def test_yaml_is_a_part_of_the_default_machine():
    from ruamel.yaml import YAML

    from simulator.hardware import load_hardware

    (text,) = [block for block in blocks("yaml") if block.startswith("accelerator:")]
    edge = load_hardware("edge-16x16").as_text()
    for part, settings in YAML(typ="safe", pure=True).load(text).items():
        for key, value in settings.items():
            assert (
                load_hardware("edge-16x16", {f"{part}.{key}": value}).as_text()[part] == edge[part]
            )


def test_a_description_begins_with_another_one(tmp_path):
    from simulator.hardware import load_hardware

    (text,) = [block for block in blocks("yaml") if block.startswith("base:")]
    (tmp_path / "soc.yaml").write_text(text)
    soc = load_hardware(tmp_path / "soc.yaml")
    assert len(text.splitlines()) <= 12
    assert (soc.cpu.cores, soc.cpu.simd_pipes, soc.accelerator.rows) == (2, 2, 32)


def test_yaml_says_how_sure_its_numbers_are(tmp_path):
    from simulator.hardware import load_hardware
    from simulator.hardware.shipped import CONFIGS

    (text,) = [block for block in blocks("yaml") if block.startswith("runtime:\n  launch:")]
    path = tmp_path / "soc.yaml"
    edge = (CONFIGS / "edge-16x16.yaml").read_text()
    path.write_text(re.sub(r"(?m)^runtime:\n(  .*\n)*", lambda _: text, edge))
    soc = load_hardware(path)
    known = {each.path: each for each in soc.constants}
    launch, synchronise = known["runtime.launch"], known["runtime.synchronise"]
    assert soc == load_hardware("edge-16x16")
    assert (launch.low, launch.high, launch.kind) == (3 * 10**6, 4 * 10**7, "guess")
    assert (synchronise.low, synchronise.high, synchronise.kind) == (10**6, 3 * 10**7, "guess")


def test_the_table_of_what_is_worth_offloading_is_current():
    from simulator.hardware import load_hardware
    from simulator.probes import break_even_table

    assert break_even_table(load_hardware("edge-16x16")) in README


@pytest.mark.parametrize("network", ["lenet_digits", "resnet20_digits"])
def test_the_table_of_who_converts_is_current(network):
    from simulator import simulate

    alone = simulate("cpu-only", network).total["latency_s"]
    cells = [network]
    for way in ("fused", "eager", "unit"):
        found = simulate("edge-16x16", network, {"runtime.conversions": way})
        cells.append(f"{alone / found.total['latency_s']:.2f} x")
    assert f"| {' | '.join(cells)} |" in README


@pytest.mark.parametrize("network", ["lenet_digits", "resnet20_digits"])
def test_the_table_of_vector_unit_and_fusion_is_current(network):
    from simulator import simulate

    alone, npu = simulate("cpu-only", network).total["latency_s"], "edge-16x16-npu"
    products = {"accelerator.vector.min_elements": 10**9, "runtime.fusion": "none"}
    ways = [
        ("edge-16x16", {}),
        (npu, products),
        (npu, {"runtime.fusion": "none"}),
        (npu, {"runtime.fusion": "epilogue"}),
        (npu, {}),
        (npu, {"accelerator.keep": "192 KiB"}),
    ]
    found = [simulate(soc, network, settings).total for soc, settings in ways]
    cells = [network, *(f"{alone / total['latency_s']:.2f} x" for total in found)]
    assert f"| {' | '.join(cells)} |" in README
    moved = [total["dram_read_bytes"] + total["dram_write_bytes"] for total in found[-2:]]
    if network == "lenet_digits":
        assert moved[1] / moved[0] == pytest.approx(0.895, abs=0.005)
    else:
        assert moved[1] >= moved[0]


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_table_of_a_measured_unit_and_its_description_go_together(tmp_path):
    from simulator.hardware import load_hardware
    from simulator.hardware.shipped import CONFIGS

    (unit,) = [block for block in blocks("yaml") if "kind: measured" in block]
    (table,) = [block for block in blocks("text") if block.startswith("op,")]
    (tmp_path / "gpu.csv").write_text(table)
    path = tmp_path / "soc.yaml"
    (split,) = [block for block in blocks("yaml") if block.startswith("runtime:\n  split:")]
    edge = (CONFIGS / "edge-16x16.yaml").read_text().replace("runtime:\n", split)
    path.write_text(edge + unit)
    hardware = load_hardware(path)
    assert [part.unit for part in hardware.runtime.split[0].parts] == ["accelerator", "gpu"]
    kernels = hardware.units["gpu"].kernels
    assert [each.op for each in kernels] == ["gemm", "convolution_dgrad", "relu", "elementwise"]
