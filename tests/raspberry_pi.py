"""Training steps of public networks as a Raspberry Pi 4 was measured to take, and as predicted."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from simulator.hardware import load_hardware
from simulator.hardware.settings import quantity_of
from simulator.replay import Replay, as_trace
from simulator.trace.op import Phase
from simulator.trace.trace import Trace
from tests.reference import rows
from tests.validation import Pair

TRACES = Path(__file__).parent / "reference" / "cpu" / "traces"
NOTHING: Mapping[str, str | int] = {}
FITTED = ("resnet50", "mobilenetv2_100", "vit_small", "convnext_tiny")
"""One network of each kind, on which the constants of the class of cores were fitted."""

READING_S = 0.24
"""Seconds to read and decode 16 images of 224 x 224, part of what was measured: 15 ms each, a
guess (8 to 25 ms).
"""

KINDS = {
    "plain": ("resnet18", "resnet50"),
    "depthwise": (
        "mobilenetv2_100", "mobilenetv3_small_075", "mobilenetv3_small_100", "efficientnet_b0",
        "efficientnet_b1", "mnasnet_050", "mnasnet_100", "ghostnetv2_100",
    ),
    "transformer": ("vit_tiny", "vit_small", "deit_tiny", "deit_base", "swin_tiny", "faster_vit_0"),
    "large kernel": ("convnext_tiny", "inception_next_tiny", "edgenext_x_small", "edgenext_base"),
    "hybrid": (
        "efficientvit_b0", "efficientvit_b2", "mobilevitv2_050", "mobilevitv2_200", "fastvit_t8",
        "efficientformer_l1",
    ),
}  # fmt: skip


EVERY = tuple(name for names in KINDS.values() for name in names)


class Seconds(NamedTuple):
    """Of a step: forward pass and loss, and all else."""

    forward: float
    rest: float

    @property
    def step(self) -> float:
        """The whole step."""
        return self.forward + self.rest


def text_of(path: str, value: int) -> str | int:
    """Return the value of a setting, in its inner unit, as an override takes it."""
    quantity = quantity_of(path)
    return quantity.text(value) if quantity else value


@cache
def measured(network: str) -> Seconds:
    """Return the measured times: fine-tuning of the last layer stands for the forward pass."""
    (row,) = [row for row in rows("cpu/rpi4_training.csv") if row["model"] == network]
    forward = float(row["finetune_s_per_batch"])
    return Seconds(forward, float(row["train_s_per_batch"]) - forward)


@cache
def trace_of(network: str) -> Trace:
    """Return one training step of batch 16, SGD without momentum."""
    return as_trace(TRACES / f"{network}.trace")


def predicted(network: str, overrides: Mapping[str, str | int] = NOTHING) -> Seconds:
    """Return what `raspberry-pi-4` takes for a step in the steady state."""
    trace = trace_of(network)
    result = Replay(load_hardware("raspberry-pi-4", overrides), trace).run()
    steps = sum(segment.count for segment in trace.segments)
    forward = sum(
        row["latency_s"] for row in result.phases if row["phase"] in (Phase.FORWARD, Phase.LOSS)
    )
    whole = float(result.total["latency_s"])
    return Seconds(forward / steps + READING_S, (whole - forward) / steps)


@cache
def steps() -> tuple[Pair, ...]:
    """Return seconds of a training step of every network."""
    return tuple(Pair(name, measured(name).step, _usual(name).step) for name in EVERY)


@cache
def forward_passes() -> tuple[Pair, ...]:
    """Return seconds of fine-tuning the last layer, and of a forward pass, of every network."""
    return tuple(Pair(name, measured(name).forward, _usual(name).forward) for name in EVERY)


def held_out(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """Return those of networks that were not fitted."""
    return tuple(pair for pair in pairs if pair.name not in FITTED)


@cache
def _usual(network: str) -> Seconds:
    return predicted(network)
