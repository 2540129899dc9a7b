"""How far to trust each machine: the README's tables, row by row, with errors on rows held out.

`python -m tests.accuracy` prints the tables; `tests/system/test_accuracy.py` holds the README to
them. What is fitted on a row is refitted on one part of it and predicts the other, both ways round.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tests import raspberry_pi, validation
from tests.validation import Pair, Settings, bias, mape

Part = Callable[[int, Pair], bool]
Pairs = tuple[Pair, ...]


@dataclass(frozen=True)
class Row:
    """A row of a table: what was compared, what was fitted on it, what that predicts elsewhere.

    `refitted` returns the same rows as every candidate for what was fitted predicts them; `parts`
    are the ways to part the rows, by name; `apart` returns those that had no part in the only fit
    that there is. A `slow` row takes many seconds, a `torch` one needs it.
    """

    machine: str
    what: str
    pairs: Callable[[], Pairs]
    fitted: str = "nothing"
    refitted: Callable[[], Iterable[Pairs]] | None = None
    parts: tuple[tuple[str, Part], ...] = ()
    others: str = "-"
    slow: bool = False
    torch: bool = False
    apart: Callable[[Pairs], Pairs] | None = None

    def cells(self) -> list[str]:
        """Return the cells that cost no refit."""
        pairs = self.pairs()
        worst = max(abs(pair.error) for pair in pairs)
        signed = f"{100 * bias(pairs):+.0f} %".replace("+0 %", "0 %").replace("-0 %", "0 %")
        errors = [f"{100 * mape(pairs):.1f} %", signed, f"{100 * worst:.0f} %"]
        if not worst:
            errors = ["0"] * 3
        return [self.machine, self.what, str(len(pairs)), *errors, self.fitted]

    @property
    def is_fitted(self) -> bool:
        """Whether there is an error on rows held out."""
        return self.refitted is not None or self.apart is not None

    def held_out(self) -> str:
        """Return the mean errors of each part when the other was fitted, by each way to part."""
        if self.apart is not None:
            rest = self.apart(self.pairs())
            return f"the {len(rest)} others {100 * mape(rest):.1f} %"
        if self.refitted is None:
            return "all" if self.fitted != "nothing" else "-"
        candidates = list(self.refitted())
        return "; ".join(
            f"{name} {100 * a:.1f}, {100 * b:.1f} %"
            for name, part in self.parts
            for a, b in [left_out(candidates, part)]
        )

    def line(self) -> str:
        """Return the row in Markdown."""
        return _line([*self.cells(), self.held_out(), self.others])


def left_out(candidates: Sequence[Pairs], part: Part) -> tuple[float, float]:
    """Return the mean errors on the rows outside of a part, and inside of it, under the candidate
    whose mean error is least on the others.
    """
    errors = np.array([[abs(pair.error) for pair in pairs] for pairs in candidates])
    inside = np.array([part(i, pair) for i, pair in enumerate(candidates[0])])
    ends = []
    for fitted in (inside, ~inside):
        best = errors[:, fitted].mean(axis=1).argmin()
        ends.append(float(errors[best, ~fitted].mean()))
    return ends[0], ends[1]


def along(base: Pairs, other: Pairs, factors: Iterable[float]) -> Iterable[Pairs]:
    """Yield rows under a constant that is added once: at so many times the way to `other`."""
    for factor in factors:
        yield tuple(
            a._replace(predicted=a.predicted + factor * (b.predicted - a.predicted))
            for a, b in zip(base, other, strict=True)
        )


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
    """Yield rows for round trips, least commands and the host's time per tile around the file's."""
    step = "accelerator.mapping_step"
    for latency, command in product((75, 90, 105, 120, 135), (4, 8, 12)):
        at = (("accelerator.dma.latency", f"{latency} ns"),
              ("accelerator.command", f"{command} cycles"))  # fmt: skip
        base, other = (predict((*at, (step, cycles))) for cycles in ("0 cycles", "270 cycles"))
        yield from along(base, other, [each / 6 for each in range(13)])


def _baselines(settings: Settings = ()) -> Pairs:
    layouts = ("BCHW", "BHWC")
    return tuple(p for each in layouts for p in validation.ef_train("flow", each, settings))


def _restarts() -> Iterable[Pairs]:
    for restart, padded in product(("0 cycles", "400 cycles"), ("true", "false")):
        yield _baselines((("accelerator.dma.restart", restart), ("accelerator.padded", padded)))


def _xavier() -> Pairs:
    from tests import offload_step

    return (offload_step.parts_ms()[0],)


def _halves(index: int, _pair: Pair) -> bool:
    return index % 2 == 0


def _is_product(_index: int, pair: Pair) -> bool:
    return pair.name.startswith("gemm")


def _is_plain(_index: int, pair: Pair) -> bool:
    return "-k1s1" in pair.name


def _is_low(_index: int, pair: Pair) -> bool:
    return int(pair.name.split("x")[0]) <= 1024


def _is_forward(_index: int, pair: Pair) -> bool:
    return pair.name.endswith("FP")


HALVES = ("halves", _halves)
ROUND_TRIP = "round trip, least command, host's time per tile"
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
        "as above, on the other SoC", others="its authors 4 %"),
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
)  # fmt: skip
SIMULATORS = (
    Row("DRAMsim3", "bandwidth of access patterns, one to eight masters",
        lambda: tuple(pair for pairs in validation.dram().values() for pair in pairs),
        others="burst-level model 2.5 %", slow=True),
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


def xavier_parts() -> list[str]:
    """Return a line for the step and each part of it: measured and predicted ms. Needs torch."""
    from tests import offload_step

    return [
        _line(
            [
                pair.name,
                f"{pair.measured:.1f}",
                f"{pair.predicted:.1f}",
                f"{100 * pair.error:+.0f} %",
            ]
        )
        for pair in offload_step.parts_ms()
    ]


def restarted() -> str:
    """Return the errors of EF-Train's baselines with the restart that is published. Needs torch."""
    pairs = _baselines((("accelerator.dma.restart", "400 cycles"),))
    worst = max(abs(pair.error) for pair in pairs)
    return f"{100 * mape(pairs):.0f} % on average and {100 * worst:.0f} % at worst"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for title, table in TABLES.items():
        print(f"\n### {title}\n\n{_line(HEADINGS)}\n{_line('---' for _ in HEADINGS)}")
        for each in table:
            print(each.line(), flush=True)
    print("\n| part | measured (ms) | predicted (ms) | error |\n| --- | --- | --- | --- |")
    print("\n".join(xavier_parts()), restarted(), sep="\n\n")
