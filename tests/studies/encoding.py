"""An encoder in place of ResNet-50's first layers (Matsubara et al., arXiv 2108.11898).

From sc2-benchmark: the encoder's layers, its size, and bytes per image against accuracy (of its
figure 2.25 KB at 72.1 %, 11.6 KB at 75.8 %, read off within 3 %). LoRa at 37.5 kb/s is the
published setting. Device times are those of machines that nobody calibrated for it.
"""

from functools import cache
from typing import Any

from simulator.trace.parts import TracePart, crossing, part
from simulator.units import PS_PER_S
from tests.studies.networks import trace_of
from tests.studies.world import row, world

NETWORK = "entropic-encoder"
CODE, JPEG = 2250, 11_000  # bytes of an image
LORA_BPS = 37_500
SERVER = "20 ms"  # a guess; both ways pay it
SPEC = "encoder phase=forward"


def macs() -> tuple[int, int]:
    """Return the MACs of the encoder's convolutions, and of its normalisations."""
    step = part(trace_of(NETWORK), TracePart.parse(SPEC)).steps[0]
    by_layer = [(op.layer, sum(gemm.macs for gemm in op.gemms)) for op in step.ops]
    norms = sum(count for layer, count in by_layer if "gdn" in layer)
    return sum(count for _, count in by_layer) - norms, norms


def size_bytes() -> int:
    """Return the bytes of the encoder's parameters."""
    return crossing(trace_of(NETWORK), TracePart.parse("encoder")).weights


@cache
def encoder_ps(hardware: str) -> int:
    """Return how long an image takes to encode on a machine, after another one."""
    program = {"on": "device", "trace": NETWORK, "part": SPEC, "arrive": "always", "jobs": 2}
    result = world(devices={"device": {"hardware": hardware}}, programs={"encoder": program})
    last = result.played.jobs[-1]
    return last.end_ps - last.start_ps


def latencies_s(bits_per_s: int, encoder: int, sizes: tuple[int, int] = (CODE, JPEG),
                link: dict[str, Any] | None = None) -> tuple[float, float]:  # fmt: skip
    """Return the latency of an image that is encoded in `encoder` ps, and of one sent as JPEG."""
    taken = []
    for time_ps, size in zip((encoder, 0), sizes, strict=True):
        onward = [{"to": "rest", "over": "link", "bytes": f"{size} B"}]
        device = {"on": "device", "time": f"{time_ps} ps", "arrive": "always", "jobs": 1}
        result = world(
            devices={"device": {"rate": "1 MAC/s"}, "server": {"rate": "1 MAC/s"}},
            links={"link": link or {"rate": f"{bits_per_s} b/s"}},
            programs={
                "encode": device | {"then": onward},
                "rest": {"on": "server", "time": SERVER},
            },
        )
        taken.append(float(result.total["duration_s"]))
    return taken[0], taken[1]


def link_s(size: int, bits_per_s: int = LORA_BPS, link: dict[str, Any] | None = None) -> float:
    """Return how long a message takes on the link alone."""
    onward = [{"to": "sink", "over": "link", "bytes": f"{size} B"}]
    source = {"on": "a", "time": "0 s", "arrive": "always", "jobs": 1, "then": onward}
    result = world(
        devices={"a": {"rate": "1 MAC/s"}, "b": {"rate": "1 MAC/s"}},
        links={"link": link or {"rate": f"{bits_per_s} b/s"}},
        programs={"source": source, "sink": {"on": "b", "time": "0 s"}},
    )
    return float(row(result.links, link="link")["latency_mean_s"])


def crossover_bps(encoder: int, sizes: tuple[int, int] = (CODE, JPEG)) -> float:
    """Return the rate above which a JPEG arrives before a code, bits per second."""
    return (sizes[1] - sizes[0]) * 8 * PS_PER_S / encoder
