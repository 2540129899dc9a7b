"""Mandheling (Xu et al., MobiCom 2022) predicted beside its published rows, engine by engine.

`python -m tests.mandheling` prints every row. Times are of a step on 64 images, energies of the
whole phone: what the simulator adds up of its parts.

Beside what is fitted, three guesses were made with these rows in sight, so that the mean gain in
time of 5.0 on the Xiaomi 11 Pro is no blind prediction: a call within a graph (50 us; it is 4.3 at
the 0.6 ms of a graph of its own), the Hexagon 780's 512 MACs per cycle (3.2 at the 256 of the 698),
and VGG-19's images of 128 x 128, by the FLOPs of table 6, after 112 x 112 had been tried.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from statistics import fmean

from simulator.hardware import Hardware, load_hardware
from simulator.replay import Replay
from simulator.timing.dsp import BatchedProduct, product_time
from simulator.trace.op import Phase
from simulator.trace.passes.file import load_method
from simulator.trace.passes.overlay import scheduled
from simulator.trace.trace import Trace
from tests.mandheling_networks import NETWORKS
from tests.reference import rows
from tests.validation import Pair
from workloads.models import capture_step

PHONES = {
    "Xiaomi11Pro": "mandheling-xiaomi11pro",
    "Xiaomi10": "mandheling-xiaomi10",
    "RedmiNote9Pro": "mandheling-redmi-note9pro",
}
"""Descriptions by the names of the published rows."""

MANDHELING = "Mandheling(DSP+CPU INT8)"
ENGINES = {"MNN-FP32": "fp32", "MNN-INT8": "int8", MANDHELING: "dsp"}
"""What trains, by the columns of the published rows."""

FITTED = (
    ("Xiaomi11Pro", "s", "VGG16 MNN-FP32"),
    ("Xiaomi11Pro", "J", "VGG16 MNN-FP32"),
    ("Xiaomi11Pro", "s", "VGG16 MNN-INT8"),
)
"""Rows of figures 5 and 6 that constants of the descriptions are fitted on."""

_D = "units.dsp"
NO_TECHNIQUE: Mapping[str, object] = {
    "runtime.issue": "synchronous",
    f"{_D}.rescaling.mode": "dynamic",
    f"{_D}.graphs": "each_step",
    f"{_D}.split": False,
    f"{_D}.layouts.rotate_on": "unit",
}
CO_SCHEDULING = {
    "runtime.issue": "in_order",
    "runtime.placement": "fastest",
    f"{_D}.layouts.rotate_on": "host",
}
TECHNIQUES: Mapping[str, Mapping[str, object]] = {
    "adaptive rescaling": {f"{_D}.rescaling.mode": "adaptive"},
    "subgraph reuse": {f"{_D}.graphs": "kept"},
    "batch splitting": {f"{_D}.split": True},
    "co-scheduling": CO_SCHEDULING,
}
"""The settings that each technique of the paper changes, in the order of figure 10."""

EPOCHS, IMAGES = 150, 50_000
"""Of VGG-11's training on CIFAR-10 to convergence (table 8)."""


def phone(name: str, engine: str, changes: Mapping[str, object] = CO_SCHEDULING) -> Hardware:
    """Return the phone as an engine uses it: MNN four of its large cores, or as many as it has."""
    if engine == "dsp":
        return load_hardware(PHONES[name], changes)
    cores = 2 if name == "RedmiNote9Pro" else 4
    host = load_hardware(PHONES[name], {"cpu.cores": cores})
    return host.model_copy(update={"further": None})


@cache
def trained(network: str, engine: str) -> Trace:
    """Return a step of a network as an engine trains it: in fp32, or in integers as NITI does."""
    trace = capture_step(NETWORKS[network])
    return trace if engine == "fp32" else in_integers(trace)


def in_integers(trace: Trace) -> Trace:
    """Return a run as NITI trains it."""
    return scheduled(trace, load_method("niti"))


def forward_of(trace: Trace) -> Trace:
    """Return the forward pass alone of a run's step."""
    step = trace.steps[0]
    forward = tuple(op for op in step.ops if op.phase is Phase.FORWARD)
    return replace(trace, steps=(replace(step, ops=forward),))


def steady(hardware: Hardware, trace: Trace) -> dict[str, float]:
    """Return seconds ("s") and joules ("J") of a step after itself: what one of a thousand adds."""
    fewer, more = (
        Replay(hardware, replace(trace, segments=(replace(trace.segments[0], count=count),))).run()
        for count in (1000, 1001)
    )
    keys = {"s": "latency_s", "J": "energy_j"}
    return {unit: float(more.total[key] - fewer.total[key]) for unit, key in keys.items()}


@cache
def step_of(name: str, network: str, engine: str) -> dict[str, float]:
    """Return what a step of `network` takes on the phone."""
    return steady(phone(name, engine), trained(network, engine))


@cache
def per_batch(name: str, unit: str) -> tuple[Pair, ...]:
    """Return the rows of figure 5 ("s") or 6 ("J") of a phone, named by network and engine."""
    return tuple(
        Pair(
            f"{row['model']} {column}",
            float(row[f"{column}_{unit}"]),
            step_of(name, row["model"], engine)[unit],
        )
        for row in rows("systems/mandheling_fig5_fig6.csv")
        for column, engine in ENGINES.items()
        if row["device"] == name
    )


def predicted(name: str, unit: str) -> tuple[Pair, ...]:
    """Return those rows of a phone that nothing is fitted on."""
    return tuple(p for p in per_batch(name, unit) if (name, unit, p.name) not in FITTED)


def gains(name: str, unit: str) -> tuple[Pair, ...]:
    """Return how many times less Mandheling takes than MNN in fp32, by network."""
    found = {pair.name: pair for pair in per_batch(name, unit)}

    def gain(network: str, side: str) -> float:
        base, ours = (found[f"{network} {column}"] for column in ("MNN-FP32", MANDHELING))
        return float(getattr(base, side) / getattr(ours, side))

    return tuple(Pair(name, gain(name, "measured"), gain(name, "predicted")) for name in NETWORKS)


def mean_gain(name: str, unit: str) -> Pair:
    """Return the mean gain over the six networks."""
    each = gains(name, unit)
    return Pair(name, fmean(p.measured for p in each), fmean(p.predicted for p in each))


@cache
def ablation(network: str) -> tuple[Pair, ...]:
    """Return the steps of figure 10 on the Xiaomi 10: no technique, then one more each time."""
    (row,) = [r for r in rows("systems/mandheling_ablation_s.csv") if r["network"] == network]
    changes, pairs = dict(NO_TECHNIQUE), []
    for technique, more in ({"none": {}} | TECHNIQUES).items():
        changes |= more
        found = steady(phone("Xiaomi10", "dsp", changes), trained(network, "dsp"))
        pairs.append(Pair(technique, float(row[technique]), found["s"]))
    return tuple(pairs)


def convolutions() -> tuple[Pair, ...]:
    """Return table 4 in milliseconds: one convolution by side and batch, named `side batch`.

    A graph of one kernel is called each time, which costs what the least row has beside its
    product; in a training step a change of sides includes it.
    """
    dsp = load_hardware(
        PHONES["Xiaomi10"], {f"{_D}.rescaling.mode": "static", f"{_D}.split": False}
    )
    table = rows("systems/mandheling_conv_ms.csv")
    found = [_conv_ms(dsp, int(row["side"]), int(row["batch"])) for row in table]
    call = float(table[0]["ms"]) - found[0]
    return tuple(
        Pair(f"{row['side']} {row['batch']}", float(row["ms"]), call + ms)
        for row, ms in zip(table, found, strict=True)
    )


def _conv_ms(hardware: Hardware, side: int, images: int, channels: int = 64) -> float:
    part, pixels = hardware.units["dsp"], side * side
    product = BatchedProduct(
        images, pixels, images * pixels, channels, 9 * channels, channels * pixels,
        9 * channels * channels, channels * pixels, summed=False, bits=8,
    )  # fmt: skip
    return product_time(part, product, part.macs.int8).ps / 1e9


def hours(engine: str) -> float:
    """Return the hours in which VGG-11 converges on CIFAR-10, on the Xiaomi 11 Pro."""
    steps = EPOCHS * -(-IMAGES // 64)
    return steps * step_of("Xiaomi11Pro", "VGG11", engine)["s"] / 3600


def training_over_inference(name: str, network: str) -> float:
    """Return the time of a step in fp32 over that of its forward pass."""
    whole, host = trained(network, "fp32"), phone(name, "fp32")
    return steady(host, whole)["s"] / steady(host, forward_of(whole))["s"]


def main() -> None:
    """Print every published row, what is predicted for it, and by how much that errs."""
    for name in PHONES:
        for unit in ("s", "J"):
            for pair in per_batch(name, unit):
                fitted = " fitted" if (name, unit, pair.name) in FITTED else ""
                _print(f"{name} {pair.name} [{unit}]", pair, fitted)
            for pair in gains(name, unit):
                _print(f"{name} {pair.name} gain [{unit}]", pair)
            _print(f"{name} mean gain [{unit}]", mean_gain(name, unit))
    for network in ("VGG11", "VGG16", "ResNet34"):
        for pair in ablation(network):
            _print(f"ablation {network} {pair.name} [s]", pair)
    for pair in convolutions():
        _print(f"table 4, {pair.name} [ms]", pair)
    for engine, measured in (("fp32", 29.13), ("int8", 24.77), ("dsp", 7.50)):
        _print(f"VGG11 to convergence, {engine} [h]", Pair("", measured, hours(engine)))
    for network in ("VGG16", "ResNet18"):
        ratio = training_over_inference("Xiaomi11Pro", network)
        _print(f"training over inference, {network}", Pair("", 7.14, ratio))
    from tests import mandheling_bounds  # it reads this module's rows

    for pair in mandheling_bounds.as_listed():
        _print(pair.name, pair)


def _print(name: str, pair: Pair, note: str = "") -> None:
    print(f"{name:58} {pair.measured:9.2f} {pair.predicted:9.2f} {100 * pair.error:+6.0f} %{note}")


if __name__ == "__main__":
    main()
