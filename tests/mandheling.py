"""Mandheling (Xu et al., MobiCom 2022) predicted beside its published rows, engine by engine.

`python -m tests.mandheling` prints every row. Times are of a step on 64 images, energies of the
whole phone: what the simulator adds up of its parts.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from simulator.hardware import Hardware, load_hardware
from simulator.replay import Replay
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

ENGINES = {"MNN-FP32": "fp32", "MNN-INT8": "int8", "Mandheling(DSP+CPU INT8)": "dsp"}
"""What trains, by the columns of the published rows."""

FITTED = {
    ("Xiaomi11Pro", "VGG16", "MNN-FP32", "s"),
    ("Xiaomi11Pro", "VGG16", "MNN-FP32", "J"),
    ("Xiaomi11Pro", "VGG16", "MNN-INT8", "s"),
}
"""Published rows that constants of the descriptions are fitted on: phone, network, engine, unit."""

_D = "units.dsp"
NONE = {
    "runtime.issue": "synchronous",
    f"{_D}.rescaling.mode": "dynamic",
    f"{_D}.graphs": "each_step",
    f"{_D}.split": False,
    f"{_D}.layouts.rotate_on": "unit",
}
TECHNIQUES: dict[str, Mapping[str, object]] = {
    "adaptive rescaling": {f"{_D}.rescaling.mode": "adaptive"},
    "subgraph reuse": {f"{_D}.graphs": "kept"},
    "batch splitting": {f"{_D}.split": True},
    "co-scheduling": {
        "runtime.issue": "in_order",
        "runtime.placement": "fastest",
        f"{_D}.layouts.rotate_on": "host",
    },
}
"""The settings that each technique of the paper changes, in the order of figure 10."""


def phone(name: str, engine: str, settings: Mapping[str, object] | None = None) -> Hardware:
    """Return the phone as an engine uses it: MNN four of its large cores, or as many as it has."""
    if engine == "dsp":
        placed = {"runtime.placement": "fastest"} if settings is None else settings
        return load_hardware(PHONES[name], placed)
    cores = 2 if name == "RedmiNote9Pro" else 4
    host = load_hardware(PHONES[name], {"cpu.cores": cores, **(settings or {})})
    return host.model_copy(update={"further": None})


@cache
def trained(network: str, engine: str) -> Trace:
    """Return a step of a network as an engine trains it: in fp32, or in integers as NITI does."""
    trace = capture_step(NETWORKS[network])
    return trace if engine == "fp32" else scheduled(trace, load_method("niti"))


def steady(hardware: Hardware, trace: Trace) -> dict[str, float]:
    """Return seconds ("s") and joules ("J") of a step after itself: the second one adds them."""
    once, twice = (
        Replay(hardware, replace(trace, segments=(replace(trace.segments[0], count=count),))).run()
        for count in (1000, 1001)
    )
    keys = {"s": "latency_s", "J": "energy_j"}
    return {unit: float(twice.total[key] - once.total[key]) for unit, key in keys.items()}


@cache
def step_of(name: str, network: str, engine: str) -> dict[str, float]:
    """Return what a step of `network` takes on the phone."""
    return steady(phone(name, engine), trained(network, engine))


def published(unit: str) -> dict[tuple[str, str, str], float]:
    """Return seconds ("s", figure 5) or joules ("J", figure 6) by phone, network and engine."""
    return {
        (row["device"], row["model"], engine): float(row[f"{engine}_{unit}"])
        for row in rows("systems/mandheling_fig5_fig6.csv")
        for engine in ENGINES
    }


def per_batch(name: str, unit: str) -> tuple[Pair, ...]:
    """Return the rows of figure 5 ("s") or 6 ("J") of a phone, named by network and engine."""
    return tuple(
        Pair(f"{network} {engine}", value, step_of(device, network, ENGINES[engine])[unit])
        for (device, network, engine), value in published(unit).items()
        if device == name
    )


def gains(name: str, unit: str) -> tuple[Pair, ...]:
    """Return how many times less time or energy Mandheling takes than MNN-FP32, by network."""
    found = {pair.name: pair for pair in per_batch(name, unit)}
    return tuple(
        Pair(
            network,
            *(
                getattr(found[f"{network} MNN-FP32"], side)
                / getattr(found[f"{network} Mandheling(DSP+CPU INT8)"], side)
                for side in ("measured", "predicted")
            ),
        )
        for network in NETWORKS
    )


@cache
def ablation(network: str) -> tuple[Pair, ...]:
    """Return the steps of figure 10 on the Xiaomi 10: no technique, then one more each time."""
    measured, trace = ABLATION[network], trained(network, "dsp")
    settings = dict(NONE)
    stages = [("none", settings)]
    for technique, changes in TECHNIQUES.items():
        settings = settings | changes
        stages.append((technique, settings))
    return tuple(
        Pair(stage, seconds, steady(phone("Xiaomi10", "dsp", changed), trace)["s"])
        for (stage, changed), seconds in zip(stages, measured, strict=True)
    )


ABLATION = {
    "VGG11": (3.43, 2.74, 0.56, 0.54, 0.45),
    "VGG16": (4.61, 4.11, 0.63, 0.57, 0.50),
    "ResNet34": (27.68, 13.02, 4.59, 3.85, 3.22),
}


def training_over_inference(name: str, network: str) -> float:
    """Return the time of a step in fp32 over that of its forward pass."""
    whole = trained(network, "fp32")
    step = whole.steps[0]
    forward = replace(step, ops=tuple(op for op in step.ops if op.phase is Phase.FORWARD))
    alone = replace(whole, steps=(forward,))
    host = phone(name, "fp32")
    return steady(host, whole)["s"] / steady(host, alone)["s"]
