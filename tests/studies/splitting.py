"""ResNet-18 split between a device and a server (Shao and Zhang, arXiv 2006.02166).

From the repository: splits behind conv1 and the four stages, encoders of 32 channels whose values
take n bits (8 by default), pruning. The paper's figures were not reachable: no time is claimed.
Decoders are lookups and left out.
"""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

from simulator.trace.parts import TracePart, crossing, part
from simulator.units import PS_PER_S
from tests.studies.networks import trace_of
from tests.studies.world import row, world

NETWORK = "split-resnet18"
PARTS = {1: "..bn1", 2: "..layer1", 3: "..layer2", 4: "..layer3", 5: "..pool"}
WHOLE, IMAGE = 6, 0  # all on the device; the image is sent
SPLITS = (IMAGE, *PARTS, WHOLE)
IMAGE_BYTES = 3 * 32 * 32
HIDDEN = {1: 32 * 32 * 32, 2: 32 * 32 * 32, 3: 32 * 16 * 16, 4: 32, 5: 32}
"""Values that an encoder leaves."""
BITS = (8, 4, 2)
DENSITIES = {Fraction(1): None, Fraction(1, 2): "half-dense"}
"""Of the weights on the device, and the method that makes them so."""
RATES_MBPS = (0.1, 0.3, 1, 3, 10, 20)
DEVICE, SERVER = 2 * 10**9, 10**12  # MAC/s of the constant-rate machines


class Point(NamedTuple):
    """Where the network is split, what a value takes on the link, and how dense the device's is."""

    split: int
    bits: int = 8
    density: Fraction = Fraction(1)


def sent_bytes(point: Point) -> int:
    """Return the bytes that pass to the server for an image."""
    if point.split in (IMAGE, WHOLE):
        return IMAGE_BYTES if point.split == IMAGE else 0
    return HIDDEN[point.split] * point.bits // 8


@cache
def raw_bytes(split: int) -> int:
    """Return the bytes of the features at a split, in fp32: what leaves it for the next stage."""
    whole = part(trace_of(NETWORK), TracePart.parse("..fc phase=forward"))
    return crossing(whole, TracePart.parse(PARTS[split])).leaves


def spec(split: int) -> str:
    """Return the part of the trace that the device runs."""
    if split == WHOLE:
        return "..fc phase=forward"
    return f"{PARTS[split]},encoder{split} phase=forward"


@cache
def macs(spec: str) -> int:
    """Return the MACs of a part of the network."""
    step = part(trace_of(NETWORK), TracePart.parse(spec)).steps[0]
    return sum(gemm.macs for op in step.ops for gemm in op.gemms)


def device_macs(point: Point) -> Fraction:
    """Return the MACs on the device, of weights as dense as they are."""
    return Fraction(0) if point.split == IMAGE else point.density * macs(spec(point.split))


def server_macs(split: int) -> int:
    """Return the MACs that are left for the server."""
    before = 0 if split == IMAGE else macs(f"{PARTS.get(split, '..fc')} phase=forward")
    return macs("..fc phase=forward") - before


def closed_form_s(point: Point, mbps: float) -> Fraction:
    """Return MAC/rate + bytes/link + MAC/rate of the server."""
    link = Fraction(sent_bytes(point) * 8) / (Fraction(str(mbps)) * 10**6)
    return device_macs(point) / DEVICE + link + Fraction(server_macs(point.split), SERVER)


def latency_s(point: Point, mbps: float, device_s: float | None = None) -> float:
    """Return how long an image takes on a constant-rate device, or on one that takes `device_s`."""
    work = (
        {"macs": int(device_macs(point))}
        if device_s is None
        else {"time": f"{round(device_s * PS_PER_S)} ps"}
    )
    onward = {"to": "server", "over": "link", "bytes": f"{sent_bytes(point)} B"}
    programs = {
        "device": {"on": "device", **work, "arrive": "always", "jobs": 1},
        "server": {"on": "server", "macs": server_macs(point.split)},
    }
    if point.split == WHOLE:
        del programs["server"]
    else:
        programs["device"]["then"] = [onward]
    result = world(
        devices={
            "device": {"rate": f"{DEVICE} MAC/s"},
            "server": {"rate": f"{SERVER} MAC/s"},
        },
        links={"link": {"rate": f"{round(mbps * 10**6)} b/s"}},
        programs=programs,
    )
    return float(result.total["duration_s"])


@cache
def device_s(hardware: str, split: int, density: Fraction = Fraction(1)) -> float:
    """Return how long the device's part takes on a simulated machine, after itself."""
    if split == IMAGE:
        return 0.0
    program = {
        "on": "device", "trace": NETWORK, "part": spec(split), "method": DENSITIES[density],
        "arrive": "always", "jobs": 2,
    }  # fmt: skip
    result = world(devices={"device": {"hardware": hardware}}, programs={"device": program})
    return float(row(result.programs, program="device")["latency_mean_s"])


def best(
    mbps: float, bits: int = 8, density: Fraction = Fraction(1), hardware: str | None = None
) -> tuple[int, float]:
    """Return the split of least latency at a link rate, and that latency."""
    latencies = {
        split: latency_s(
            Point(split, bits, density),
            mbps,
            None if hardware is None else device_s(hardware, split, density),
        )
        for split in SPLITS
    }
    return min(latencies.items(), key=lambda each: each[1])


def crossover_mbps(split: int, hardware: str | None = None) -> float:
    """Return the link rate above which sending the image is faster than this split."""
    point = Point(split)
    took = device_s(hardware, split) if hardware else float(device_macs(point) / DEVICE)
    spared_s = (server_macs(IMAGE) - server_macs(split)) / SERVER
    return (IMAGE_BYTES - sent_bytes(point)) * 8 / (took - spared_s) / 10**6
