"""Predicted beside measured, row by row, for every machine that has published measurements.

Every prediction comes through the public probe, as a user would get it. The notebook
`04_validation.ipynb` draws these rows, `tests/system/test_validation.py` bounds their errors.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import NamedTuple

from simulator.hardware import Hardware, load_hardware
from simulator.probes import probe_array, probe_memory
from simulator.replay import Replay
from simulator.trace.op import Op, OpKind, Phase, Tensor
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Trace
from tests.reference import rows

Shape = Mapping[str, int | str]
Settings = tuple[tuple[str, int | str], ...]  # overrides; hashable, so that rows can be cached

CONV = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filters", "stride")
EF_TRAIN_HZ = 100 * 10**6
MX = {"2": "mx4", "4": "mx6", "7": "mx9"}  # formats by the bits of their mantissa


class Pair(NamedTuple):
    """One row: what it is, what was measured and what the simulator says, in the same unit."""

    name: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Relative error; positive when the simulator is too slow."""
        return self.predicted / self.measured - 1


class Peer(NamedTuple):
    """The mean error that another model of the same rows has, or claims."""

    machine: str
    model: str
    mape: float
    rows: str
    source: str


def mape(pairs: Iterable[Pair]) -> float:
    """Return the mean absolute relative error; 0.1 is 10 %."""
    return fmean(abs(pair.error) for pair in pairs)


def least_mape(pairs: Iterable[Pair], group_of: Callable[[Pair], str]) -> float:
    """Return the least mean error of any model that gives all rows of a group one time.

    The error of a group is convex and piecewise linear in that time, with a corner at each measured
    one: the best time is one of those. A bound of the rows themselves, whatever the model.
    """
    groups: dict[str, list[float]] = {}
    for pair in pairs:
        groups.setdefault(group_of(pair), []).append(pair.measured)
    least = [min(sum(abs(t / each - 1) for each in at) for t in at) for at in groups.values()]
    return sum(least) / sum(map(len, groups.values()))


def bias(pairs: Iterable[Pair]) -> float:
    """Return the mean relative error with its sign."""
    return fmean(pair.error for pair in pairs)


def probe(hardware: Hardware, shapes: Sequence[Shape]) -> list[dict[str, str]]:
    """Return the probe's rows for `shapes`, which may mix products and convolutions."""
    columns = list(dict.fromkeys(name for shape in shapes for name in shape))
    with TemporaryDirectory() as folder:
        asked, told = Path(folder, "shapes.csv"), Path(folder, "out.csv")
        with asked.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(shapes)
        probe_array(hardware, asked, told)
        with told.open(newline="") as file:
            return list(csv.DictReader(file))


def gemm(m: int | str, n: int | str, k: int | str) -> dict[str, int | str]:
    """Return the shape of a product."""
    return {"m": m, "n": n, "k": k}


@cache
def scalesim(kind: str = "gemm", output_size: str = "ceil") -> tuple[Pair, ...]:
    """Return SCALE-Sim's compute cycles of its `gemm` or `conv` rows and ours, on its arrays."""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows("array/scalesim.csv"):
        if row["layer_kind"] == kind:
            groups.setdefault((row["array_rows"], row["array_cols"], row["dataflow"]), []).append(
                row
            )
    pairs = []
    for (height, width, dataflow), group in groups.items():
        hardware = load_hardware(
            "scalesim",
            {
                "accelerator.rows": int(height),
                "accelerator.cols": int(width),
                "accelerator.dataflow": dataflow,
                "accelerator.output_size": output_size,
            },
        )
        shapes = [
            gemm(row["M"], row["N"], row["K"])
            if kind == "gemm"
            else {name: row[name] for name in CONV}
            for row in group
        ]
        for row, found in zip(group, probe(hardware, shapes), strict=True):
            name = f"{row['layer']} {dataflow} {height}x{width} v{row['version']}"
            pairs.append(Pair(name, int(row["compute_cycles"]), int(found["compute_cycles"])))
    return tuple(pairs)


@cache
def tpu_v3(settings: Settings = ()) -> tuple[Pair, ...]:
    """Return cycles at 940 MHz of the single products and convolutions on one TPU v3 core."""
    single = [row for row in tpu_v3_rows() if row["Workload"].startswith(("gemm", "conv"))]
    found = probe(load_hardware("tpu-v3", dict(settings)), [_tpu_v3_shape(r) for r in single])
    return tuple(
        Pair(row["Workload"], int(row["TPUv3"]), int(cell["total_cycles"]))
        for row, cell in zip(single, found, strict=True)
    )


def tpu_v3_rows() -> list[dict[str, str]]:
    """Return the measured cycles of a TPU v3 beside those of four other simulators."""
    return rows("array/tpuv3_measured.csv")


@cache
def tpu_v3_elsewhere() -> tuple[Pair, ...]:
    """Return cycles of the product that another campaign measured on a TPU v3, and ours.

    It contradicts `tpu_v3`: 39 % of the MACs of 1024^3, in 148 % of the cycles that those take
    there. No model meets both.
    """
    (row,) = rows("array/tpuv3_other_campaign.csv")
    (found,) = probe(load_hardware("tpu-v3"), [gemm(row["m"], row["n"], row["k"])])
    return (Pair("gemm_1024x640x640", int(row["cycles"]), int(found["total_cycles"])),)


def _tpu_v3_shape(row: dict[str, str]) -> dict[str, int | str]:
    kind, _, sizes = row["Workload"].partition("_")
    numbers = [int(size) for size in sizes.split("x")]
    if kind == "gemm":
        return gemm(*numbers)
    images, height, width, channels, filters, kernel, stride, padding = numbers
    return {
        "batch": images,
        "ifmap_h": height + 2 * padding,
        "ifmap_w": width + 2 * padding,
        "filt_h": kernel,
        "filt_w": kernel,
        "channels": channels,
        "num_filters": filters,
        "stride": stride,
    }


@cache
def tpu_v6e(settings: Settings = ()) -> tuple[Pair, ...]:
    """Return nanoseconds of single bf16 products on one TPU v6e chip."""
    measured = rows("array/tpuv6e_gemm_measured.csv")
    hardware = load_hardware("tpu-v6e", dict(settings))
    assert hardware.accelerator is not None, "the description has one"
    period_ns = 1e9 / hardware.accelerator.clock
    found = probe(hardware, [gemm(row["M"], row["N"], row["K"]) for row in measured])
    return tuple(
        Pair(f"{row['M']}x{row['K']}x{row['N']}", float(row["latency_ns"]),
             int(cell["total_cycles"]) * period_ns)
        for row, cell in zip(measured, found, strict=True)
    )  # fmt: skip


@cache
def dacapo() -> tuple[Pair, ...]:
    """Return cycles of one training step of ResNet-18, batch 16, on DaCapo's array.

    One row per format and number of rows given to training: the sum over 63 products. Rows are
    named `<format> <rows>`, such as `mx6 16`.
    """
    shapes = [
        gemm(r["m"], r["n"], r["k"]) for r in rows("systems/dacapo_resnet18_gemm_dims_b16.csv")
    ]
    pairs = []
    for row in rows("systems/dacapo_resnet18_train.csv"):
        precision, count = MX[row["mx_mantissa_bits"]], int(row["rows"])
        hardware = load_hardware(
            "dacapo-mx", {"accelerator.precision": precision, "accelerator.rows": count}
        )
        cycles = sum(int(found["total_cycles"]) for found in probe(hardware, shapes))
        pairs.append(Pair(f"{precision} {count}", int(row["cycles"]), cycles))
    return tuple(pairs)


@cache
def gemmini_default(settings: Settings = ()) -> tuple[Pair, ...]:
    """Return cycles of Gemmini RTL under its own default tiling, median of three runs or more."""
    return _gemmini("array/gemmini_rtl_default_mapper.csv", "median", settings, mapped=False)


@cache
def edge_with_gemmini_s_library() -> tuple[Pair, ...]:
    """Return cycles of Gemmini RTL, and those of `edge-16x16` under the same library's tiling,
    with the host's search for it.
    """
    library: Settings = (
        ("accelerator.mapping", "gemmini"), ("accelerator.im2col", "channelwise"),
        ("accelerator.mapping_step", "270 cycles"),
    )  # fmt: skip
    file = "array/gemmini_rtl_default_mapper.csv"
    return _gemmini(file, "median", library, mapped=False, machine="edge-16x16")


@cache
def gemmini_mapped(settings: Settings = ()) -> tuple[Pair, ...]:
    """Return cycles of Gemmini RTL under the mapping and with the memories that each row fixes."""
    column = "cycles_rtl_dosa_mapping"
    return _gemmini("array/gemmini_rtl_dosa_layers.csv", column, settings, mapped=True)


@cache
def gemmini_layers(settings: Settings = ()) -> tuple[Pair, ...]:
    """Return cycles of Gemmini RTL under its default tiling, of the layers of `gemmini_mapped`."""
    column = "cycles_rtl_default_mapper"
    return _gemmini("array/gemmini_rtl_dosa_layers.csv", column, settings, mapped=False)


@cache
def gemmini_elsewhere(settings: Settings = ()) -> tuple[Pair, ...]:
    """Return cycles of ResNet-50's layers on the same array in another SoC (MoCA's), and ours.

    The classifier, the last row, has its one image padded to 16. The first row was measured with
    its max pool, which computes rows and columns twice where tiles meet; ours has none.
    """
    measured = rows("array/gemmini_moca_resnet50.csv")
    shapes = [{name: row[name] for name in CONV} for row in measured]
    shapes[-1] = gemm(16, measured[-1]["num_filters"], measured[-1]["channels"])
    found = probe(load_hardware("gemmini-moca", dict(settings)), shapes)
    names = (
        f"{i} {r['channels']}-{r['num_filters']}-k{r['filt_h']}" for i, r in enumerate(measured)
    )
    return tuple(
        Pair(name, float(row["rtl_median_cycles"]), int(cell["total_cycles"]))
        for name, row, cell in zip(names, measured, found, strict=True)
    )


def residual_adds() -> tuple[Pair, ...]:
    """Return cycles of ResNet-50's residual sums of int8 maps on MoCA's SoC, and ours."""
    hardware = load_hardware("gemmini-moca")
    return tuple(
        Pair(
            f"{i} {row['map']}x{row['map']}x{row['channels']}",
            float(row["rtl_median_cycles"]),
            1e9 * Replay(hardware, _sum(row)).run().total["accelerator_busy_s"],
        )
        for i, row in enumerate(rows("array/gemmini_moca_resadd.csv"))
    )


def summed_map(pair: Pair) -> str:
    """Return the size of the maps that a row of `residual_adds` sums."""
    return pair.name.split()[1]


def _sum(row: Mapping[str, str]) -> Trace:
    """Return a trace that adds two maps once."""
    pixels, channels = int(row["map"]) ** 2, int(row["channels"])
    x, y, out = (Tensor(i, "int8", (pixels, channels), (channels, 1)) for i in range(3))
    add = Op("aten.add.Tensor", OpKind.ELEMENTWISE, Phase.EVAL, "", (x, y), (out,))
    storages = (Storage(x.bytes, StorageKind.ACTIVATION),) * 3
    step = Step(StepKind.EVAL, (add,), storages)
    return Trace("residual sum", (step,), (Segment(0, 0, 1),))


def _gemmini(
    file: str, column: str, settings: Settings, *, mapped: bool, machine: str = "gemmini-16x16"
) -> tuple[Pair, ...]:
    measured = rows(file)
    shapes = [gemmini_shape(row) | (_gemmini_mapping(row) if mapped else {}) for row in measured]
    found = probe(load_hardware(machine, dict(settings)), shapes)
    return tuple(
        Pair(gemmini_name(row), float(row[column]), int(cell["total_cycles"]))
        for row, cell in zip(measured, found, strict=True)
    )


def gemmini_name(row: Mapping[str, str]) -> str:
    """Return a layer in one word: C x P x Q, output channels, kernel, stride."""
    return f"{row['C']}x{row['P']}x{row['Q']}-{row['Kout']}-k{row['R']}s{row['stride']}"


def gemmini_shape(row: Mapping[str, str]) -> dict[str, int | str]:
    """Return the product of a row with Q = 1, else its convolution, the input with its padding."""
    size = {name: int(row[name]) for name in ("C", "Kout", "batch", "P", "Q", "R", "S", "stride")}
    if size["R"] == size["S"] == size["Q"] == 1:
        return gemm(row["M_gemm"], row["Kout"], row["C"])
    return {
        "batch": size["batch"],
        "ifmap_h": (size["P"] - 1) * size["stride"] + size["R"],
        "ifmap_w": (size["Q"] - 1) * size["stride"] + size["S"],
        "filt_h": size["R"],
        "filt_w": size["S"],
        "channels": size["C"],
        "num_filters": size["Kout"],
        "stride": size["stride"],
    }


def _gemmini_mapping(row: Mapping[str, str]) -> dict[str, int | str]:
    return {
        "mapping": row["dosa_mapping"],
        "scratchpad_bytes": row["dosa_spad_bytes"],
        # 16 columns of 32-bit entries
        "accumulator_bytes": int(row["dosa_acc_entries_per_col"]) * 16 * 4,
    }


PHASES = {"FP": "forward", "BP": "dgrad", "WU": "wgrad"}


EF_TRAIN = {  # machine, and column of its accelerator's cycles, by the layout of its maps
    "reshaped": ("ef-train-zcu102", "reshaped_weight_reuse_onboard"),
    "BCHW": ("ef-train-zcu102-bchw", "accel_cycles_BCHW"),
    "BHWC": ("ef-train-zcu102-bhwc", "accel_cycles_BHWC"),
}


@cache
def ef_train(
    fidelity: str = "flow", layout: str = "reshaped", settings: Settings = ()
) -> tuple[Pair, ...]:
    """Return on-board cycles of AlexNet's convolutions in training, from a captured step."""
    return _ef_train(fidelity, layout, "gemm", EF_TRAIN[layout][1], settings)


@cache
def ef_train_equations() -> tuple[Pair, ...]:
    """Return the cycles that EF-Train's own equations give for the same phases, and ours."""
    return _ef_train("flow", "reshaped", "gemm", "paper_model_cycles")


@cache
def ef_train_rearranging(fidelity: str, layout: str) -> tuple[Pair, ...]:
    """Return the cycles in which the CPU rearranges data, where it does; of the FPGA's clock."""
    pairs = _ef_train(fidelity, layout, "rearrange", f"realloc_cycles_{layout}")
    return tuple(pair for pair in pairs if pair.measured)


def _ef_train(
    fidelity: str, layout: str, stage: str, column: str, settings: Settings = ()
) -> tuple[Pair, ...]:
    ops = _ef_train_ops(EF_TRAIN[layout][0], fidelity, settings)
    return tuple(
        Pair(
            f"{row['layer']} {row['phase']}",
            int(row[column]),
            ops.get((row["layer"].lower(), PHASES[row["phase"]], stage), 0),
        )
        for row in rows("systems/eftrain_alexnet_cycles.csv")
        if row["phase"]
    )


@cache
def _ef_train_ops(
    machine: str, fidelity: str, settings: Settings
) -> dict[tuple[str, str, str], int]:
    from workloads.models import capture_model

    hardware = load_hardware(machine, dict(settings))
    result = Replay(hardware, capture_model("alexnet_eftrain", 4), (), fidelity).run()
    return {
        (op["layer"], op["phase"], op["stage"]): round((op["end_s"] - op["start_s"]) * EF_TRAIN_HZ)
        for op in result.as_dict(ops=True)["ops"]
        if op["stage"] in ("gemm", "rearrange")
    }


def dram(every: int = 1) -> dict[str, tuple[Pair, ...]]:
    """Return useful bandwidth (GB/s) of every so many-th row of DRAMsim3's runs, by class."""
    by_class: dict[str, list[Pair]] = {}
    chosen = rows("dram/dramsim3_patterns.csv")[::every]
    for config in dict.fromkeys(row["config"] for row in chosen):
        mine = [row for row in chosen if row["config"] == config]
        hardware = load_hardware("edge-16x16", {"dram.preset": config})
        for row, found in zip(mine, _probed_memory(hardware, mine), strict=True):
            pair = Pair(f"{config} {row['pattern']}", float(row["useful_GBps"]), found)
            by_class.setdefault(dram_class(row), []).append(pair)
    return {name: tuple(pairs) for name, pairs in by_class.items()}


def dram_class(row: Mapping[str, str]) -> str:
    """Return the class of a pattern of the DRAM reference, as errors are summed."""
    name = row["pattern"]
    if name[0].isdigit():
        return "several"
    if name.startswith("accel"):
        return "accelerator"
    if name.startswith("tile"):
        return "tile" if json.loads(row["params"])["width_B"] >= 64 else "narrow tile"
    if name == "stride_read":
        return "stride"
    if "rw50" in name or name in ("copy_alternate", "seq_mix"):
        return "mixed"
    single = name.startswith(("seq", "dma")) or "rate" in name or "win" in name
    return "stream" if single else "random"


def _probed_memory(hardware: Hardware, patterns: Sequence[Mapping[str, str]]) -> list[float]:
    with TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "patterns.csv", Path(folder) / "out.csv"
        with asked.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["pattern", "params"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(patterns)
        probe_memory(hardware, asked, answered, workers=1)
        with answered.open(encoding="utf-8") as file:
            return [float(row["bandwidth_gbps"]) for row in csv.DictReader(file)]


def peers() -> tuple[Peer, ...]:
    """Return the errors of other models on the same rows, computed where their cycles are known."""
    return (*_PUBLISHED, *_tpu_v3_peers(), _timeloop_on_gemmini(), _authors_of_moca())


def _authors_of_moca() -> Peer:
    pairs = [
        Pair("", float(row["rtl_median_cycles"]), float(row["authors_prediction"]))
        for row in rows("array/gemmini_moca_resnet50.csv")
    ]
    return Peer("gemmini elsewhere", "MoCA's own", mape(pairs), "54 layers", "ucb-bar/gemmini")


def _tpu_v3_peers() -> list[Peer]:
    single = [row for row in tpu_v3_rows() if row["Workload"].startswith(("gemm", "conv"))]
    return [
        Peer(
            "tpu-v3",
            model,
            mape(Pair(r["Workload"], float(r["TPUv3"]), float(r[model])) for r in single),
            "4 GEMMs, 4 convolutions",
            "PyTorchSim artifact, baseline_cycle.csv",
        )
        for model in ("SCALE-Sim v3", "Timeloop", "Maestro", "mNPUSim")
    ]


def _timeloop_on_gemmini() -> Peer:
    pairs = [
        Pair(
            gemmini_name(row), float(row["cycles_rtl_dosa_mapping"]), float(row["timeloop_cycles"])
        )
        for row in rows("array/gemmini_rtl_dosa_layers.csv")
    ]
    return Peer("gemmini mapped", "Timeloop", mape(pairs), "133 mappings", "ucb-bar/dosa")


_REFERENCE = "tests/reference/array/README.md"
_PUBLISHED = (
    Peer("tpu-v3", "PyTorchSim (claimed)", 0.115, "its own rows", _REFERENCE),
    Peer("tpu-v6e", "roofline at peak", 0.31, "227 GEMMs", _REFERENCE),
    Peer("tpu-v6e", "roofline, 4 constants fitted", 0.108, "227 GEMMs", _REFERENCE),
    Peer("gemmini default", "ONNXim", 0.47, "42 layers; 47 to 52 %", _REFERENCE),
    Peer("gemmini default", "roofline", 0.42, "42 layers", _REFERENCE),
    Peer("gemmini default", "serial, 5.75 B/cycle", 0.26, "42 layers", _REFERENCE),
)
