"""MEANet: exits for easy, hard and complex images (Long et al., ICDCS 2021, arXiv 2109.06440).

From yinghanlong/Complexity-aware-AI: ResNet-32 as main block, frozen after training in the cloud;
an adaptive block and an extension for 50 hard classes of 100; complex images go to the cloud, 3,072
bytes each. The paper's tables were not reachable: identities only. The main block's classifier,
6,400 MACs, decides on exits and comes on top of 69.12 M.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

from simulator.scenario.load import read_link
from simulator.scenario.result import ScenarioResult
from simulator.trace.op import Role
from simulator.trace.parts import TracePart, part
from simulator.trace.passes.file import load_method
from simulator.trace.passes.overlay import resolved, scheduled
from simulator.trace.trace import Trace
from tests.studies.networks import trace_of
from tests.studies.world import world

NETWORK = "meanet"
IMAGE_BYTES = 3072
METHOD = Path(__file__).parent / "frozen-main.yaml"
FRAMES = 40


def macs(spec: str, role: Role, trace: Trace | None = None) -> int:
    """Return the MACs of a part of the network that are forward, dgrad or wgrad."""
    step = part(trace or trace_of(NETWORK), TracePart.parse(spec)).steps[0]
    return sum(gemm.macs for op in step.ops for gemm in op.gemms if gemm.role is role)


def frozen() -> Trace:
    """Return training with the main block frozen."""
    return resolved(scheduled(trace_of(NETWORK), load_method(METHOD)))


def inference(
    hard: Fraction, cloud: Fraction, hardware: dict[str, Any], link: str = "wifi"
) -> ScenarioResult:
    """Return how images run of which a share is hard, and a share complex and sent to the cloud.

    Complex images are among the hard ones: they run on the device, too.
    """
    onward = {"to": "extension", "share": str(hard)}
    complex_of_hard = cloud / hard if hard else Fraction(0)
    upload = {"to": "cloud", "share": str(complex_of_hard), "over": "link",
              "bytes": f"{IMAGE_BYTES} B"}  # fmt: skip
    part_of = {"on": "edge", "trace": NETWORK}
    return world(
        devices={"edge": hardware | {"shared": "by job"}, "cloud": {"rate": "4 TMAC/s"}},
        links={"link": read_link(link)},
        programs={
            "main": part_of | {
                "part": "main phase=forward", "arrive": "always", "jobs": FRAMES,
                "then": [onward],
            },
            "extension": part_of | {"part": "adaptive,extension phase=forward", "then": [upload]},
            "cloud": {"on": "cloud", "macs": 7_800_000_000},  # ResNet-101 on 32 x 32, about
        },
    )  # fmt: skip
