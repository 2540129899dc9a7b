"""What results of training methods say side by side: accuracy, energy until it, bits of layers."""

from itertools import accumulate
from typing import Any

from simulator.trace.trace import Trace

Document = dict[str, Any]


def accuracies(result: Document) -> list[float]:
    """Return the test accuracy after each epoch, from 0 to 1, as the training noted it."""
    told = result["provenance"].get("trace_origin", {}).get("accuracy", "")
    return [float(word) for word in told.split()]


def reached_j(result: Document, accuracy: float) -> float | None:
    """Return the energy in J until an epoch ends with this accuracy, None if none does."""
    spent = accumulate(row["energy_j"] for row in result["epochs"])
    pairs = zip(spent, accuracies(result), strict=False)
    return next((joules for joules, found in pairs if found >= accuracy), None)


def bit_table(result: Document) -> dict[str, list[float]]:
    """Return the bits of each layer's weights in each epoch; empty without a method."""
    return {row["layer"]: row["weights"] for row in result["precision"].get("bits", [])}


def bits_by_epoch(trace: Trace) -> list[Document]:
    """Return, for each layer that a method names, its bits in each epoch: means over the steps.

    A tensor that is as traced counts in fp32's 32 bits.
    """
    layers = dict.fromkeys(name for method in trace.methods for name, _ in method.layers)
    rows = []
    for layer in layers:
        row: Document = {"layer": layer}
        for kind in ("weights", "activations", "gradients"):
            row[kind] = [_mean_bits(trace, layer, kind, epoch) for epoch in range(trace.epochs)]
        rows.append(row)
    return rows


def _mean_bits(trace: Trace, layer: str, kind: str, epoch: int) -> float:
    weighed = steps = 0
    for segment in trace.segments:
        if segment.epoch == epoch:
            bits = getattr(trace.methods[segment.method].of(layer), kind)
            weighed += segment.count * (32 if bits is None else bits)
            steps += segment.count
    return weighed / steps if steps else 0.0
