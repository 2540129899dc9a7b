"""CPU time of other simulators of arrays beside trainsoc's: python -m tests.benchmarks.peers.

Each tool is installed from PyPI into an environment of its own, in a folder that is deleted at the
end (`--folder` keeps one, and uses what is there), and gets the same layers for the same array: the
21 of ResNet-18, batch 1, on 32 x 32 elements whose weights stay. A tool that does not install is a
row with its reason. Seconds are CPU time, user and system, of the whole process; "net" is without
what the same interpreter takes to import the tool. trainsoc's are medians of five, the others run
once. Ratios are to trainsoc's dearer row on the same layers.

What each does more or less than trainsoc:

* SCALE-Sim generates the address that every row and column of the array reads or writes in every
  cycle (`cycles`; it derives from them the bandwidth that would never stall), writes them to disk
  (`traces written`), or serves them, cycle by cycle, from double buffers behind a fixed bandwidth
  (`stalls`). trainsoc has no addresses, but a closed form per fold that gives the same cycles.
  SCALE-Sim searches no tilings, prices nothing and has no DRAM timing by itself.
* ZigZag searches the order of each layer's loops, among permutations of six factors, and which
  memory keeps what, priced in energy and cycles; its DRAM is a bandwidth, its scratchpad 2 MiB.
  It simulates none of these mappings.
* AccelForge searches fused mappings; it is tried, and nothing here drives it.
* trainsoc, `cycles`: the closed form alone, without a memory (the description `scalesim`).
* trainsoc, `whole`: a search of tilings for scratchpads as large as SCALE-Sim's, patterns of DRAM
  command by command with nothing kept from earlier runs, every tile as events, and energy
  (`edge-16x16` with 32 x 32 elements).

So cycles agree between the rows called `cycles`, and are of different machines elsewhere. trainsoc
works out a layer once where several have its shape (12 of the 21 differ), the others each time. The
rows `traces written` and `stalls` take up to minutes a layer: they have the three shortest, or all
with `--all-layers`. Without it the whole takes about a quarter of an hour of CPU time.
"""

import argparse
import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REPEATS = 5
TICK_S = 30

# SCALE-Sim's own topologies/conv_nets/Resnet18.csv (github.com/scalesim-project/SCALE-Sim, commit
# a1a1a2a0), which its wheels leave out. Inputs are as in that file, without padding.
TOPOLOGY = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1,224,224,7,7,3,64,2,
Conv2_1a,56,56,3,3,64,64,1,
Conv2_1b,56,56,3,3,64,64,1,
Conv2_2a,56,56,3,3,64,64,1,
Conv2_2b,56,56,3,3,64,64,1,
Conv3_1a,56,56,3,3,64,128,2,
Conv3_1b,28,28,3,3,128,128,1,
Conv3_s,56,56,1,1,64,128,2,
Conv3_2a,28,28,3,3,128,128,1,
Conv3_2b,28,28,3,3,128,128,1,
Conv4_1a,28,28,3,3,128,256,2,
Conv4_1b,14,14,3,3,256,256,1,
Conv4_s,28,28,1,1,128,256,2,
Conv4_2a,14,14,3,3,256,256,1,
Conv4_2b,14,14,3,3,256,256,1,
Conv5_1a,14,14,3,3,256,512,2,
Conv5_1b,7,7,3,3,512,512,1,
Conv5_s,14,14,1,1,256,512,2,
Conv5_2a,7,7,3,3,512,512,1,
Conv5_2b,7,7,3,3,512,512,1,
FC,1,1,1,1,512,1000,1,
"""
SHORTEST = ("Conv3_s", "Conv4_s", "Conv5_s")
COLUMNS = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filters", "stride")

# Sizes of SCALE-Sim's own configs/scale.cfg; `ws` instead of its `os`. Requests, layouts and
# sparsity are keys that version 3 wants, off or at its defaults.
CONFIG = """\
[general]
run_name = run

[architecture_presets]
ArrayHeight: 32
ArrayWidth: 32
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 64
Dataflow: ws
ReadRequestBuffer: 64
WriteRequestBuffer: 64

[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2

[sparsity]
SparsitySupport: false

[run_presets]
InterfaceBandwidth: {bandwidth}
UseRamulatorTrace: False
"""
SETTINGS = (
    "accelerator.rows=32", "accelerator.cols=32",
    "accelerator.scratchpad=128 KiB", "accelerator.accumulator=64 KiB",
)  # fmt: skip


class Layer(NamedTuple):
    """A convolution by the columns of `trainsoc probe array`."""

    name: str
    sizes: dict[str, int]


class Answer(NamedTuple):
    """What a run of one tool took, in CPU seconds, and said, in cycles."""

    seconds: float
    cycles: int


@dataclass(frozen=True)
class Environment:
    """An interpreter that has a tool, and how its processes start."""

    python: Path
    module: str  # the import that any use of the tool begins with
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Tool:
    """What pip is to install, and the import that any use of it begins with."""

    name: str
    version: str
    requirements: tuple[str, ...]
    module: str


@dataclass(frozen=True)
class Contest:
    """One way to use a tool: its row of the table."""

    tool: Tool
    what: str
    run: Callable[[Environment, Sequence[Layer], Path], Answer] | None
    long: bool = False  # only the shortest layers, unless told otherwise


@dataclass(frozen=True)
class Row:
    """A row of the table; without seconds, `remark` says why."""

    tool: str
    version: str
    what: str
    layers: int = 0
    seconds: float = 0
    net: float = 0
    cycles: int = 0
    ratio: float = 0
    net_ratio: float = 0
    remark: str = ""


class DoesNotRun(Exception):
    """A tool that cannot be installed or that fails, in one sentence."""


def layers_of(topology: str) -> list[Layer]:
    """Return the layers of a topology in SCALE-Sim's format."""
    rows = [line.strip().rstrip(",").split(",") for line in topology.splitlines()[1:]]
    return [
        Layer(name.strip(), dict(zip(COLUMNS, map(int, sizes), strict=True)))
        for name, *sizes in rows
    ]


def topology_of(layers: Iterable[Layer]) -> str:
    """Return `layers` in SCALE-Sim's format."""
    lines = [f"{name},{','.join(map(str, sizes.values()))}," for name, sizes in layers]
    return "\n".join([TOPOLOGY.splitlines()[0], *lines, ""])


def output_size(length: int, kernel: int, stride: int) -> int:
    """Return the outputs along one side by SCALE-Sim's rule, which rounds up."""
    return -(-(length - kernel + stride) // stride)


def cycles_in(report: str) -> int:
    """Return the sum over layers of a COMPUTE_REPORT.csv of version 2 or 3, stalls included."""
    header, *rows = [[cell.strip() for cell in line.split(",")] for line in report.splitlines()]
    return sum(int(row[header.index("Total Cycles")]) for row in rows)


def reason_in(errors: str, python: str) -> str:
    """Return in one sentence why pip failed, by what it wrote to stderr."""
    if missing := re.search(r"No matching distribution found for (\S+)", errors):
        which = f" for Python {python}" if "different python version" in errors else ""
        return f"does not install: PyPI has no release of {missing[1]}{which}"
    return f"does not install: {last_line(errors) or 'pip failed without a word'}"


def last_line(text: str) -> str:
    """Return the last line of `text` that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [
        "| tool | what | layers | CPU s | net | cycles | x trainsoc | net x |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        numbers = (
            (row.remark, *[""] * 5)
            if row.remark
            else (
                str(row.layers),
                f"{row.seconds:.2f}",
                f"{row.net:.2f}",
                f"{row.cycles:,}",
                f"{row.ratio:.3g}",
                f"{row.net_ratio:.3g}",
            )
        )
        lines.append(f"| {' | '.join((f'{row.tool} {row.version}', row.what, *numbers))} |")
    return "\n".join(lines)


def say(text: str) -> None:
    """Write a line of progress."""
    print(text, file=sys.stderr, flush=True)


def cpu_seconds(command: Sequence[str], environ: Mapping[str, str], what: str) -> tuple[float, str]:
    """Return the CPU time of a process and its children, and its output; say that it goes on."""
    before, start = _children(), time.monotonic()
    with TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")
        with out.open("w") as output, errors.open("w") as error:
            process = subprocess.Popen(
                command, stdout=output, stderr=error, env=dict(environ), cwd=folder
            )
            while True:
                try:
                    process.wait(TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{what}: {time.monotonic() - start:.0f} s so far")
        if process.returncode:
            raise DoesNotRun(f"fails: {last_line(errors.read_text(errors='replace'))}")
        return _children() - before, out.read_text(errors="replace")


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def start_up(environment: Environment) -> float:
    """Return the CPU time in which the tool is imported, median of some processes."""
    command = [str(environment.python), "-c", f"import {environment.module}"]
    cpu_seconds(command, environment.environ, "import")  # compiles it
    return median(cpu_seconds(command, environment.environ, "import")[0] for _ in range(REPEATS))


# Tools


def run_trainsoc(
    arguments: Sequence[str],
    column: str,
    environment: Environment,
    layers: Sequence[Layer],
    folder: Path,
) -> Answer:
    """Probe the layers on one description, in new processes and with an empty cache.

    The cycles are those of the probe's `column`.
    """
    shapes, out = folder / "shapes.csv", folder / "out.csv"
    with shapes.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(layer.sizes for layer in layers)
    command = [str(environment.python), "-m", "simulator.cli", "probe", "array", *arguments]
    seconds = []
    for _ in range(REPEATS):
        with TemporaryDirectory() as cache:
            environ = {**environment.environ, "TRAINSOC_CACHE": cache}
            took, _ = cpu_seconds([*command, str(shapes), "-o", str(out)], environ, "trainsoc")
        seconds.append(took)
    with out.open(newline="") as file:
        cycles = sum(int(row[column]) for row in csv.DictReader(file))
    return Answer(median(seconds), cycles)


def run_scalesim(
    bandwidth: str, traces: str, environment: Environment, layers: Sequence[Layer], folder: Path
) -> Answer:
    """Run SCALE-Sim; `bandwidth` CALC never stalls, USER has 64 words per cycle and operand."""
    topology, config = folder / "topology.csv", folder / "scale.cfg"
    topology.write_text(topology_of(layers))
    config.write_text(CONFIG.format(bandwidth=bandwidth))
    script = str(HERE / "peer_scalesim.py")
    command = [str(environment.python), script, str(topology), str(config), str(folder), traces]
    seconds, _ = cpu_seconds(command, environment.environ, "SCALE-Sim")
    return Answer(seconds, cycles_in((folder / "run/COMPUTE_REPORT.csv").read_text()))


def run_zigzag(environment: Environment, layers: Sequence[Layer], folder: Path) -> Answer:
    """Run ZigZag; layers have the outputs that SCALE-Sim gives them."""
    path = folder / "layers.json"
    path.write_text(json.dumps([(name, with_outputs(sizes)) for name, sizes in layers]))
    script = str(HERE / "peer_zigzag.py")
    command = [str(environment.python), script, str(path), str(folder / "out")]
    seconds, output = cpu_seconds(command, environment.environ, "ZigZag")
    return Answer(seconds, int(last_line(output)))


def with_outputs(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return sizes of a layer, those of its outputs added."""
    return {
        **sizes,
        "out_h": output_size(sizes["ifmap_h"], sizes["filt_h"], sizes["stride"]),
        "out_w": output_size(sizes["ifmap_w"], sizes["filt_w"], sizes["stride"]),
    }


TRAINSOC = Tool("trainsoc", "0.1.0", (), "simulator.cli.verbs, simulator.probes")
# numpy 2.4 refuses int() of an array of one element, which SCALE-Sim 3.0.0 does; both get the same.
SCALESIM_2 = Tool("SCALE-Sim", "2.0.2", ("scalesim==2.0.2", "numpy<2.4"), "scalesim.scale_sim")
SCALESIM_3 = Tool("SCALE-Sim", "3.0.0", ("scalesim==3.0.0", "numpy<2.4"), "scalesim.scale_sim")
# ZigZag imports six without saying so.
ZIGZAG = Tool("ZigZag", "3.9.1", ("zigzag-dse==3.9.1", "six"), "zigzag.api")
ACCELFORGE = Tool("AccelForge", "1.0.467", ("accelforge==1.0.467",), "accelforge")

_WHOLE = ["edge-16x16", *(word for text in SETTINGS for word in ("--set", text))]
REFERENCE = Contest(
    TRAINSOC, "whole: tilings, DRAM, energy",
    partial(run_trainsoc, [*_WHOLE, "--fidelity", "tile"], "total_cycles"),
)  # fmt: skip
CONTESTS = (
    Contest(TRAINSOC, "cycles", partial(run_trainsoc, ["scalesim"], "compute_cycles")),
    *(
        Contest(tool, what, partial(run_scalesim, bandwidth, traces), long)
        for tool in (SCALESIM_2, SCALESIM_3)
        for what, bandwidth, traces, long in (
            ("cycles", "CALC", "no-traces", False),
            ("cycles, traces written", "CALC", "traces", True),
            ("stalls", "USER", "no-traces", True),
        )
    ),
    Contest(ZIGZAG, "mapping by LOMA, 6 factors", run_zigzag),
    Contest(ACCELFORGE, "fused mappings", None),
)


def environment_of(tool: Tool, folder: Path) -> Environment:
    """Return where the tool is installed, which may take minutes the first time."""
    plain = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    if not tool.requirements:
        return Environment(Path(sys.executable), tool.module, {**plain, "PYTHONPATH": str(ROOT)})
    home = folder / f"{tool.name}-{tool.version}"
    python, ready = home / "bin/python", home / "ready"
    if not ready.exists():
        say(f"installing {' '.join(tool.requirements)}")
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *tool.requirements],
            capture_output=True, text=True, check=False, env=plain,
        )  # fmt: skip
        if done.returncode:
            raise DoesNotRun(reason_in(done.stderr, f"{sys.version_info[0]}.{sys.version_info[1]}"))
        ready.touch()
    return Environment(python, tool.module, plain)


@contextmanager
def kept_or_temporary(folder: Path | None):
    """Yield `folder`, or one that is deleted afterwards."""
    if folder is None:
        with TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()


class Track:
    """Runs contests, each beside the reference on the same layers."""

    def __init__(self, folder: Path, *, all_layers: bool) -> None:
        self._folder = folder
        self._all_layers = all_layers
        self._starts: dict[Tool, float] = {}
        self._answers: dict[tuple[Contest, int], tuple[Answer, float]] = {}

    def row(self, contest: Contest) -> Row:
        """Return the row of one contest."""
        tool = contest.tool
        short = contest.long and not self._all_layers
        layers = [each for each in layers_of(TOPOLOGY) if not short or each.name in SHORTEST]
        row = partial(Row, tool.name, tool.version, contest.what)
        try:
            answer, net = self._measure(contest, layers)
        except DoesNotRun as error:
            return row(remark=str(error))
        least, least_net = self._measure(REFERENCE, layers)
        ratios = answer.seconds / least.seconds, net / least_net
        return row(len(layers), answer.seconds, net, answer.cycles, *ratios)

    def _measure(self, contest: Contest, layers: Sequence[Layer]) -> tuple[Answer, float]:
        """Return what the tool answers, and its seconds without those of its import; once."""
        tool, known = contest.tool, (contest, len(layers))
        if known in self._answers:
            return self._answers[known]
        environment = environment_of(tool, self._folder)
        if contest.run is None:
            raise DoesNotRun("installs here, but nothing drives it")
        say(f"running {tool.name} {tool.version}, {contest.what}, {len(layers)} layers")
        if tool not in self._starts:
            self._starts[tool] = start_up(environment)
        with TemporaryDirectory() as scratch:
            answer = contest.run(environment, layers, Path(scratch))
        self._answers[known] = answer, answer.seconds - self._starts[tool]
        return self._answers[known]


def main() -> None:
    """Print the table, progress to stderr."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the environments here")
    parser.add_argument("--only", default="", help="a part of `tool version what`, such as ZigZag")
    parser.add_argument("--all-layers", action="store_true", help="also for stalls and traces")
    options = parser.parse_args()
    with kept_or_temporary(options.folder) as folder:
        track = Track(folder, all_layers=options.all_layers)
        rows = []
        for contest in (REFERENCE, *CONTESTS):
            name = f"{contest.tool.name} {contest.tool.version} {contest.what}"
            if options.only.lower() in name.lower():
                rows.append(track.row(contest))
                say(table(rows).splitlines()[-1])
    print(table(rows))


if __name__ == "__main__":
    main()
