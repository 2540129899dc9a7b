"""How far to trust each machine: the tables of docs/trust.md, with errors on rows held out.

`python -m tests.accuracy` measures all errors and prints the tables; with `--write` it pins them
in `tests/reference/accuracy.json` and puts them into docs/trust.md and the report page. What is
fitted on a row is refitted on one part of it and predicts the other, both ways round.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import product

from tests import ethos_u55, pins, raspberry_pi, validation
from tests.held_out import Pairs, Row, along
from tests.pins import Figures, Pins, figures_of
from tests.validation import Pair, Settings


def _launches(predict: Callable[[Settings], Pairs]) -> Iterable[Pairs]:
    """Yield rows for every overlap, at 0 to 3 us of launch latency in steps of 0.1 us."""
    for overlap in ("none", "preload", "drain", "full"):
        chosen = ("accelerator.overlap", overlap)
        base, other = (
            predict((chosen, ("accelerator.launch_latency", latency)))
            for latency in ("0 us", "1 us")
        )
        yield from along(base, other, [step / 10 for step in range(31)])


def _gemmini(predict: Callable[[Settings], Pairs]) -> Iterable[Pairs]:
    """Yield rows for latencies of the cache and the host's time per tile around the file's."""
    step = "accelerator.mapping_step"
    for latency in (40, 55, 70, 85, 100):
        at = (("interconnect.cache.latency", f"{latency} ns"),)
        base, other = (predict((*at, (step, cycles))) for cycles in ("0 cycles", "270 cycles"))
        yield from along(base, other, [each / 6 for each in range(13)])


def _moca() -> Iterable[Pairs]:
    """Yield rows for latencies of the cache, page changes and least commands around the file's."""
    for latency, change, command in product((15, 25, 40), (2, 5, 8), (8, 9, 10)):
        yield validation.gemmini_elsewhere(
            (("interconnect.cache.latency", f"{latency} ns"),
             ("accelerator.dma.tlb.change", f"{change} ns"),
             ("accelerator.command", f"{command} cycles"))
        )  # fmt: skip


def _baselines(settings: Settings = ()) -> Pairs:
    layouts = ("BCHW", "BHWC")
    return tuple(p for each in layouts for p in validation.ef_train("flow", each, settings))


def _restarts() -> Iterable[Pairs]:
    for restart, padded in product(("0 cycles", "400 cycles"), ("true", "false")):
        yield _baselines((("accelerator.dma.restart", restart), ("accelerator.padded", padded)))


def _xavier() -> Pairs:
    from tests import offload_step

    return (offload_step.parts_ms()[0],)


def _phone(name: str) -> Pairs:
    from tests import mandheling

    return mandheling.per_batch(name, "s")


def _hexagon() -> Pairs:
    from tests import mandheling

    return mandheling.convolutions()


def _but_vgg_16(pairs: Pairs) -> Pairs:
    return tuple(pair for pair in pairs if not pair.name.startswith("VGG16"))


def _halves(index: int, _pair: Pair) -> bool:
    return index % 2 == 0


def _is_product(_index: int, pair: Pair) -> bool:
    return pair.name.startswith("gemm")


def _is_plain(_index: int, pair: Pair) -> bool:
    return "-k1s1" in pair.name


def _is_pointwise(_index: int, pair: Pair) -> bool:
    return pair.name.endswith("-k1")


def _is_low(_index: int, pair: Pair) -> bool:
    return int(pair.name.split("x")[0]) <= 1024


def _is_forward(_index: int, pair: Pair) -> bool:
    return pair.name.endswith("FP")


HALVES = ("halves", _halves)
ROUND_TRIP = "cache's latency, host's time per tile"
FOUR = "20 constants, on four networks"
HARDWARE = (
    Row("Raspberry Pi 4", "training steps, batch 16", raspberry_pi.steps, FOUR,
        apart=raspberry_pi.held_out, slow=True),
    Row("Raspberry Pi 4", "fine-tuning the last layer", raspberry_pi.forward_passes, FOUR,
        apart=raspberry_pi.held_out, slow=True),
    Row("Gemmini RTL", "layers under its own tiling", validation.gemmini_default, ROUND_TRIP,
        lambda: _gemmini(validation.gemmini_default), (HALVES, ("1x1 / other", _is_plain)),
        "ONNXim 47-52 %, roofline 42 %", slow=True),
    Row("Gemmini RTL", "layers under given mappings", validation.gemmini_mapped, ROUND_TRIP,
        lambda: _gemmini(validation.gemmini_mapped), (HALVES, ("1x1 / other", _is_plain)),
        "Timeloop 28 %", slow=True),
    Row("Gemmini RTL, another SoC", "ResNet-50's layers (MoCA)", validation.gemmini_elsewhere,
        "cache's latency, page change, least command", _moca,
        (HALVES, ("1x1 / other", _is_pointwise)), "its authors 4 %"),
    Row("Gemmini RTL, another SoC", "ResNet-50's residual sums (MoCA)", validation.residual_adds,
        "as above, on that SoC's layers",
        others="any that maps a size to one time: at least 10.7 %"),
    Row("TPU v3 core", "GEMMs and convolutions", validation.tpu_v3, "launch latency, overlap",
        lambda: _launches(validation.tpu_v3), (HALVES, ("GEMM / convolution", _is_product)),
        "PyTorchSim 11.5 % (claimed), SCALE-Sim v3 47 %, Timeloop 77 %"),
    Row("TPU v3, another campaign", "a GEMM (COCOSSim)", validation.tpu_v3_elsewhere,
        "as above, on the other campaign"),
    Row("TPU v6e", "single GEMMs", validation.tpu_v6e, "launch latency, overlap; prefetch",
        lambda: _launches(validation.tpu_v6e), (HALVES, ("M up to 1024 / above", _is_low)),
        "peak roofline 31 %, fitted 11 %", slow=True),
    Row("EF-Train on ZCU102", "AlexNet training, layer by layer", validation.ef_train,
        others="its authors' equations 1.5 %", torch=True),
    Row("its baselines, maps not reshaped", "accelerator's cycles, channels first and last",
        _baselines, "restart, padding; four sizes of buffers", _restarts,
        (HALVES, ("FP / BP, WU", _is_forward)), slow=True, torch=True),
    Row("Jetson Xavier", "ResNet-20, convolutions offloaded with copies, batch 4", _xavier,
        "stages, on single layers at batch 32", torch=True),
    Row("Xiaomi 11 Pro", "training steps of six networks, CPU fp32 and int8, DSP (Mandheling)",
        lambda: _phone("Xiaomi11Pro"), "CPU's products and power, on VGG-16", apart=_but_vgg_16,
        slow=True, torch=True),
    Row("Xiaomi 10", "the same", lambda: _phone("Xiaomi10"), "as above, on the other phone",
        slow=True, torch=True),
    Row("Redmi Note 9 Pro", "the same", lambda: _phone("RedmiNote9Pro"),
        "as above, on the other phone", slow=True, torch=True),
    Row("Hexagon 698", "a convolution by size and batch (Mandheling)", _hexagon,
        "rate of misses, least call: a row each", torch=True),
)  # fmt: skip
SIMULATORS = (
    Row("DRAMsim3", "bandwidth of access patterns, one to eight masters",
        lambda: tuple(pair for pairs in validation.dram().values() for pair in pairs),
        others="burst-level model 2.5 %", slow=True),
    Row("Arm's model of Ethos-U55", "MobileNetV2, Wav2Letter, the same pruned", ethos_u55.cycles),
)  # fmt: skip
IDENTITIES = (
    Row("SCALE-Sim", "compute cycles of its array",
        lambda: (*validation.scalesim("gemm"), *validation.scalesim("conv"))),
    Row("DaCapo's simulator", "ResNet-18 training step, MX4 / MX6 / MX9, 1 to 16 rows",
        validation.dacapo),
    Row("EF-Train's equations", "AlexNet training, layer by layer", validation.ef_train_equations,
        torch=True),
)  # fmt: skip
HEADINGS = (
    "machine", "what", "rows", "mean error", "bias", "worst", "fitted on these rows",
    "error on rows held out", "other models",
)  # fmt: skip
TABLES = {
    "Against hardware": HARDWARE,
    "Against other simulators": SIMULATORS,
    "Identities": IDENTITIES,
}


PARTS = ("part", "measured (ms)", "predicted (ms)", "error")


def xavier_parts() -> dict[str, list[float]]:
    """Return measured and predicted ms of the step on the Xavier and its parts. Needs torch."""
    from tests import offload_step

    return {pair.name: [pair.measured, pair.predicted] for pair in offload_step.parts_ms()}


def with_restart() -> Figures:
    """Return the errors of EF-Train's baselines with the restart that is published. Needs torch."""
    return figures_of(_baselines((("accelerator.dma.restart", "400 cycles"),)))


def measure() -> Pins:
    """Return all errors as they are now. Takes minutes, and needs torch."""
    rows = [row for table in TABLES.values() for row in table]
    return {
        "rows": {
            row.name: {"figures": row.figures()._asdict(), "held_out": row.held_out()}
            for row in rows
        },
        "parts": xavier_parts(),
        "restart": with_restart()._asdict(),
    }


def tables(errors: Pins) -> dict[str, list[str]]:
    """Return the lines of each table in Markdown, by the title before it, with these `errors`."""
    by_title = {
        f"## {title}": pins.table(HEADINGS, [row.cells(errors["rows"][row.name]) for row in table])
        for title, table in TABLES.items()
    }
    parts = [Pair(name, *ms) for name, ms in errors["parts"].items()]
    return by_title | {"Part by part": pins.table(PARTS, map(_part_cells, parts))}


def restart_text(errors: Pins) -> str:
    """Return what docs/trust.md says of the restart that is published."""
    figures = Figures(**errors["restart"])
    return f"{figures.mean:.0f} % on average and {figures.worst:.0f} % at worst"


def _part_cells(part: Pair) -> list[str]:
    error = f"{100 * part.error:+.0f} %"
    return [part.name, f"{part.measured:.1f}", f"{part.predicted:.1f}", error]


def main(arguments: Sequence[str]) -> None:
    """Measure all errors; write or print them."""
    errors = measure()
    if "--write" in arguments:
        pins.write(errors)
        pins.write_page_rows(pins.read())
        text = pins.TRUST.read_text()
        pins.TRUST.write_text(pins.with_tables(text, tables(pins.read())))
        return
    for title, lines in tables(errors).items():
        print(title, "", *lines, "", sep="\n")
    print(restart_text(errors))


if __name__ == "__main__":
    main(sys.argv[1:])
