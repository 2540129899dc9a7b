"""What README and docs/ tell people to type works, and prints what stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pins
from tests.command_line import ROOT, trainsoc
from tests.documents import blocks, commands, metric_lines, pages, text
from tests.silicon import blocks as blocks_of
from tests.silicon import chips, tiny, training_step

README = ROOT / "README.md"
TRAIN = """
import argparse
import torch

optimizers = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": torch.optim.Adam,
}
parser = argparse.ArgumentParser()
parser.add_argument("optimizer", nargs="?", default="sgd", choices=optimizers)
parser.add_argument("--epochs", type=int, default=1)
given = parser.parse_args()
model = torch.nn.Linear(8, 2)
optimizer = optimizers[given.optimizer](model.parameters())
for _ in range(given.epochs):
    optimizer.zero_grad()
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()
"""
LONG = (
    "heat.md",
    "index.md",
    "tasks.md",
    "sweeps.md",
    "scenarios.md",
    "offloading.md",
    "capture.md",
    "methods.md",
    "trust.md",
)
"""Pages whose commands take a minute together; README and the others show the same verbs."""


def _of_pages(*, run: bool):
    return [
        pytest.param(page, id=page.stem, marks=pytest.mark.slow if page.name in LONG else ())
        for page in pages()
        if not run or commands(page)
    ]


def _shown(printed, output):
    """Return the lines that a page shows and the output lacks, in the order of the page."""
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    return [each for each in printed if not any(" ".join(each.split()) in line for line in lines)]


@pytest.mark.torch
@pytest.mark.parametrize("page", _of_pages(run=True))
def test_commands_run_in_the_order_of_a_page_and_print_what_it_shows(page, tmp_path, server):
    pytest.importorskip("torch")
    for name in ("train.py", "optimizer.py"):
        (tmp_path / name).write_text(TRAIN)
    for block in blocks("yaml", page):  # one that begins with another SoC is a file of its own
        if block.text.startswith("base:"):
            (tmp_path / "soc.yaml").write_text(block.text)
    for words, printed in commands(page):
        captures = words[0] == "capture"  # a script may end its process
        done = server.run(tmp_path, *words) if captures else trainsoc(*words, cwd=tmp_path)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"
        assert not _shown(printed, done.stdout), f"{' '.join(words)}\n{done.stdout}"


@pytest.mark.parametrize("page", _of_pages(run=False))
def test_python_runs(page, capsys):
    for block in blocks("python", page):
        if "capture(model" not in block.text:
            exec(block.text, {})
    assert page.name not in ("README.md", "python.md") or "forward" in capsys.readouterr().out


def test_readme_says_how_far_to_trust_it():
    readme, rows = README.read_text(), pins.read()["rows"]
    pi = rows["Raspberry Pi 4: training steps, batch 16"]["held_out"]["the 22 others"][0]
    gemmini = rows["Gemmini RTL: layers under its own tiling"]
    halves = gemmini["held_out"]["halves"]
    cells = [
        f"{pi:.1f} % on average",
        f"{gemmini['figures']['mean']:.1f} % on average, "
        f"{halves[0]:.1f} to {halves[1]:.1f} % on rows held out",
    ]
    dram = rows["DRAMsim3: bandwidth of access patterns, one to eight masters"]["figures"]
    cells.append(f"{dram['mean']:.1f} % on average")
    xavier = "Jetson Xavier: ResNet-20, convolutions offloaded with copies, batch 4"
    cells.append(f"{rows[xavier]['figures']['mean']:.0f} %, where errors of its parts cancel")
    off = {row.chip: 100 * row.error for row in chips()}
    step = 100 * training_step().error
    cells.append(f"{off['TPU v1']:.0f}, {off['Edge TPU']:+.0f} and {step:.0f} %; TPU v3 and v4")
    cells.append(
        f"{off['TPU v3']:.0f} and {off['TPU v4']:+.0f} %, Simba {off['Simba chiplet']:.0f} %"
    )
    tiny_rows = [row for row in tiny() if "MLPerf" in row.what]
    gap9 = sorted(100 * row.error for row in tiny_rows if row.chip.startswith("gap9"))
    cells.append(f"GAP9 {gap9[0]:.0f} to {gap9[-1]:+.0f} %")
    assert [cell for cell in cells if f" {cell}" not in readme] == []
    means = sorted(rows[name]["figures"]["mean"] for name in rows if name.endswith(": the same"))
    assert f"steps are {means[0]:.0f} to {means[-1]:.0f} % off on average" in readme


def test_the_sweep_file_describes_a_space(tmp_path):
    from simulator.sweeps.request import read_request
    from simulator.sweeps.study import study_of

    (block,) = [block for block in blocks("yaml") if "axes:" in block.text]
    (tmp_path / "sweep.yaml").write_text(block.text)
    study = study_of(read_request(tmp_path / "sweep.yaml"))
    points = list(study.points())
    assert study.space.size == 2 * 4 * 5 * 2 * 2
    assert 2 * 2 < len(points) < study.space.size
    assert sum(bool(point.baseline) for point in points) == 2 * 2


def test_yaml_is_a_part_of_the_default_machine():
    from ruamel.yaml import YAML

    from simulator.hardware import load_hardware

    (block,) = [block for block in blocks("yaml") if block.text.startswith("accelerator:")]
    edge = load_hardware("edge-16x16").as_text()
    for part, settings in YAML(typ="safe", pure=True).load(block.text).items():
        for key, value in settings.items():
            assert (
                load_hardware("edge-16x16", {f"{part}.{key}": value}).as_text()[part] == edge[part]
            )


def test_a_description_begins_with_another_one(tmp_path):
    from simulator.hardware import load_hardware

    block, *_ = [block for block in blocks("yaml") if block.text.startswith("base:")]
    (tmp_path / "soc.yaml").write_text(block.text)
    soc = load_hardware(tmp_path / "soc.yaml")
    assert len(block.text.splitlines()) <= 12
    assert (soc.cpu.cores, soc.cpu.simd_pipes, soc.accelerator.rows) == (2, 2, 32)


def test_yaml_says_how_sure_its_numbers_are(tmp_path):
    from simulator.hardware import load_hardware
    from simulator.hardware.shipped import CONFIGS

    start = "runtime:\n  launch:"
    (block,) = [block for block in blocks("yaml") if block.text.startswith(start)]
    path = tmp_path / "soc.yaml"
    edge = (CONFIGS / "edge-16x16.yaml").read_text()
    path.write_text(re.sub(r"(?m)^runtime:\n(  .*\n)*", lambda _: block.text, edge))
    soc = load_hardware(path)
    constants = {each.path: each for each in soc.constants}
    launch, synchronise = constants["runtime.launch"], constants["runtime.synchronise"]
    assert soc == load_hardware("edge-16x16")
    assert (launch.low, launch.high, launch.kind) == (3 * 10**6, 4 * 10**7, "guess")
    assert (synchronise.low, synchronise.high, synchronise.kind) == (10**6, 3 * 10**7, "guess")


def test_the_table_of_a_measured_unit_and_its_description_go_together(tmp_path):
    from simulator.hardware import load_hardware
    from simulator.hardware.shipped import CONFIGS

    (unit,) = [block.text for block in blocks("yaml") if "kind: measured" in block.text]
    (table,) = [block.text for block in blocks("csv")]
    (tmp_path / "gpu.csv").write_text(table)
    path = tmp_path / "soc.yaml"
    start = "runtime:\n  split:"
    (split,) = [block.text for block in blocks("yaml") if block.text.startswith(start)]
    edge = (CONFIGS / "edge-16x16.yaml").read_text().replace("runtime:\n", split)
    path.write_text(edge + unit)
    hardware = load_hardware(path)
    assert [part.unit for part in hardware.runtime.split[0].parts] == ["accelerator", "gpu"]
    kernels = hardware.units["gpu"].kernels
    assert [each.op for each in kernels] == ["gemm", "convolution_dgrad", "relu", "elementwise"]


def test_the_table_of_what_is_worth_offloading_is_current():
    from simulator.hardware import load_hardware
    from simulator.probes import break_even_table

    assert break_even_table(load_hardware("edge-16x16")) in text()


@pytest.mark.parametrize("network", ["lenet_digits", "resnet20_digits"])
def test_the_table_of_who_converts_is_current(network):
    from simulator import simulate

    alone = simulate("cpu-only", network).total["latency_s"]
    cells = [network]
    for way in ("fused", "eager", "unit"):
        run = simulate("edge-16x16", network, {"runtime.conversions": way})
        cells.append(f"{alone / run.total['latency_s']:.2f}x")
    assert f"| {' | '.join(cells)} |" in text()


@pytest.mark.parametrize(
    "network", ["lenet_digits", pytest.param("resnet20_digits", marks=pytest.mark.slow)]
)
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
    runs = [simulate(soc, network, settings).total for soc, settings in ways]
    cells = [network, *(f"{alone / total['latency_s']:.2f}x" for total in runs)]
    assert f"| {' | '.join(cells)} |" in text()
    traffic = [total["dram_read_bytes"] + total["dram_write_bytes"] for total in runs[-2:]]
    if network == "lenet_digits":
        assert traffic[1] / traffic[0] == pytest.approx(0.895, abs=0.005)
    else:
        assert traffic[1] >= traffic[0]


def test_the_table_of_metrics_is_that_of_results():
    page = (ROOT / "docs" / "formats" / "results.md").read_text()
    assert "\n".join(metric_lines()) in page


@pytest.mark.parametrize("page", [*pages(), ROOT / "ARCHITECTURE.md"], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    folder = ROOT / "docs"
    assert {*folder.rglob("*.md")} == {*pages()} - {README}


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    environment = {"PATH": Path(sys.executable).parent.as_posix(), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert (tmp_path / "site" / "trust" / "index.html").exists()
    html = (tmp_path / "site" / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', html)


def test_the_citation_names_the_version_and_the_license():
    from importlib.metadata import version

    from ruamel.yaml import YAML

    citation = YAML(typ="safe", pure=True).load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == version("trainsoc")
    assert citation["license"] in (ROOT / "LICENSE").read_text()


def test_readme_is_short():
    """A newcomer reads it whole; all that is long is a page of docs/."""
    assert len(README.read_text().splitlines()) <= 200


def test_make_has_the_targets_that_readme_names():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)`?", README.read_text()):
        assert re.search(rf"(?m)^{target}( [\w-]+)*:", makefile), target


_BLOCKS = (
    ("arithmetic",),
    ("array",),
    ("scratchpad",),
    ("vector",),
    ("dram",),
    ("controller", "interconnect"),
    ("serial",),
    ("beside",),
)
"""The components of each column of the second table of energy."""


def test_the_tables_of_energy_are_those_of_the_comparison_with_silicon():
    page = (ROOT / "docs" / "trust.md").read_text()
    lines = page[page.index("### Energy") : page.index("### Phones")].splitlines()
    for row in chips():
        found = [line for line in lines if re.match(rf"\| {row.chip}[, ].*\|", line)]
        assert len(found) == 2
        assert f"{row.predicted:.3g} {row.unit} | {100 * row.error:+.0f} %" in found[0]
        spent = blocks_of(row.chip)
        sums = [sum(spent.get(name, 0) for name in names) for names in _BLOCKS]
        cells = [f"{each:.3g}" if each else "-" for each in sums]
        assert found[1] == f"| {row.chip} | {' | '.join(cells)} |"
