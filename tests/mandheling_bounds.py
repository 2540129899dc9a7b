"""What Mandheling's published rows allow at all: whether a miss is ours, theirs, or of a mechanism.

Rows of figure 10 are compared with each other and with table 4, whatever a product costs: an
*additive* cost is any that sums non-negative costs of a network's products, equal for equal ones.
`python -m tests.mandheling` prints them.
"""

from collections import Counter
from functools import cache

from simulator.trace.op import Gemm, Role
from tests import mandheling
from tests.mandheling_networks import LISTED_VGG16
from tests.reference import rows
from tests.validation import Pair
from workloads.models import capture_step

PHONE = "Xiaomi11Pro"
SMALLEST = 4  # images of a part, within the cache (table 4)


@cache
def products(network: str) -> Counter[Gemm]:
    """Return the products of a step in integers, and how often each occurs."""
    step = mandheling.trained(network, "dsp").steps[0]
    return Counter(gemm for op in step.ops for gemm in op.gemms)


def saved_s(network: str, technique: str) -> float:
    """Return the published seconds that a technique saves (figure 10)."""
    (row,) = [r for r in rows("systems/mandheling_ablation_s.csv") if r["network"] == network]
    names = ["none", *mandheling.TECHNIQUES]
    return float(row[names[names.index(technique) - 1]]) - float(row[technique])


def most_times(network: str, other: str) -> tuple[float, int]:
    """Return how many times as often as `other` a network has a product that both have, at most,
    and how many of its products are such.
    """
    own, others = products(network), products(other)
    common = own.keys() & others.keys()
    return max(own[each] / others[each] for each in common), sum(own[each] for each in common)


def split_saves_s(network: str) -> float:
    """Return what table 4 says that splitting saves in the convolutions from 64 to 64 channels on
    32 x 32: forward, and the gradients of inputs, the same products.
    """
    ms = {(r["side"], r["batch"]): float(r["ms"]) for r in rows("systems/mandheling_conv_ms.csv")}
    each = ms["32", "64"] - 64 // SMALLEST * ms["32", str(SMALLEST)]
    listed = (
        count
        for gemm, count in products(network).items()
        if gemm.role in (Role.FORWARD, Role.DGRAD)
        and gemm.conv is not None
        and (gemm.conv.in_channels, gemm.conv.out_channels, gemm.conv.output) == (64, 64, (32, 32))
    )
    return each * sum(listed) / 1000


def as_listed() -> tuple[Pair, ...]:
    """Return VGG-16's rows, predicted for the network with the FLOPs of table 6: Mandheling's step,
    and how many times MNN's forward pass its published step takes.
    """
    trace = capture_step(LISTED_VGG16)
    ours = mandheling.steady(mandheling.phone(PHONE, "dsp"), mandheling.in_integers(trace))
    host, base = mandheling.phone(PHONE, "fp32"), 2.13
    forward = mandheling.steady(host, mandheling.forward_of(trace))["s"]
    return (
        Pair("VGG16 as listed [s]", 0.30, ours["s"]),
        Pair("VGG16 as listed [J]", 1.1, ours["J"]),
        Pair("VGG16 as listed, training over inference", 7.14, base / forward),
    )
