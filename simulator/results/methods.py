"""Training methods side by side: accuracy, energy to accuracy, bits per layer."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from simulator.results.documents import BitsRow, ResultDocument
from simulator.results.metrics import ENERGY
from simulator.trace.trace import Trace

_AS_TRACED = 32  # bits of fp32


def accuracies(result: ResultDocument) -> list[float]:
    """Return the test accuracy after each epoch, from 0 to 1, as the training noted it.

    A note is free text: what is no list of such numbers tells no accuracy.
    """
    words = result["provenance"].get("trace_origin", {}).get("accuracy", "").split()
    try:
        shares = [float(word) for word in words]
    except ValueError:
        return []
    return shares if all(0 <= share <= 1 for share in shares) else []


def reached_j(result: ResultDocument, accuracy: float) -> float | None:
    """Return the energy in J until an epoch ends with this accuracy, None if none does."""
    spent = accumulate(map(ENERGY.of, result["epochs"]))
    pairs = zip(spent, accuracies(result), strict=False)
    return next((joules for joules, after in pairs if after >= accuracy), None)


def bit_table(result: ResultDocument) -> dict[str, list[float]]:
    """Return the bits of each layer's weights in each epoch; empty without a method."""
    return {row["layer"]: row["weights"] for row in result["precision"].get("bits", [])}


def bits_by_epoch(trace: Trace) -> list[BitsRow]:
    """Return, for each layer that a method names, its bits in each epoch: means over the steps.

    A tensor that is as traced counts in fp32's 32 bits.
    """
    layers = dict.fromkeys(name for method in trace.methods for name, _ in method.layers)
    return [_bits_of(trace, layer) for layer in layers]


def _bits_of(trace: Trace, layer: str) -> BitsRow:
    treatments = [method.of(layer) for method in trace.methods]

    def means(bits: Iterable[int | None]) -> list[float]:
        return _means(trace, [_AS_TRACED if each is None else each for each in bits])

    return {
        "layer": layer,
        "weights": means(each.weights for each in treatments),
        "activations": means(each.activations for each in treatments),
        "gradients": means(each.gradients for each in treatments),
    }


def _means(trace: Trace, bits: Sequence[int]) -> list[float]:
    """Return the mean over the steps of each epoch of the bits that their methods have."""
    weighed, steps = [0] * trace.epochs, [0] * trace.epochs
    for segment in trace.segments:
        weighed[segment.epoch] += segment.count * bits[segment.method]
        steps[segment.epoch] += segment.count
    return [total / count if count else 0.0 for total, count in zip(weighed, steps, strict=True)]
