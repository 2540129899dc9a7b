"""Facts of the phases of a training step: one table for all rooms, one row per phase.

A new phase is a member of `Phase` and a row here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from simulator.trace.colours import Colour
from simulator.trace.op import Phase


class StepPart(StrEnum):
    """The code that issues an operation; each part has a dispatch overhead of its own."""

    FORWARD = "forward"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    LOOP = ""
    """The training loop itself, with the overhead of any operation."""


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """The facts of one phase.

    `label` and `colour` are for figures. `part` is the code that issues its operations; with
    `begins_part` that part of the step begins with its first one (a recomputation runs forward
    code within backward). `marker` is the prefix of PyTorch's own profiler events.
    """

    label: str
    colour: Colour
    part: StepPart
    begins_part: bool = True
    marker: str = ""
    trains: bool = True  # counts as training
    runs_network: bool = False  # its first op reads the network's input
    precedes_loss: bool = False  # code outside of modules that reads its results is the loss
    becomes_eval: bool = False  # is EVAL in a step without backward and optimizer
    begins_step: bool = False  # after the optimizer, the next step begins with it
    generates: bool = False  # takes in or makes tokens, one after the other
    derives_from_weights: bool = False  # writes gradients, state and temporaries of weights

    @property
    def forward(self) -> bool:
        """Whether its GEMMs compute outputs."""
        return self.part is StepPart.FORWARD

    @property
    def in_network(self) -> bool:
        """Whether its operations are of passes over the network, which can be compiled."""
        return self.backward or self.runs_network or (self.forward and not self.begins_part)

    @property
    def backward(self) -> bool:
        """Whether its operations compute gradients."""
        return self.part is StepPart.BACKWARD

    @property
    def updates(self) -> bool:
        """Whether its operations update parameters, optimizer state, or zero gradients."""
        return self.part is StepPart.OPTIMIZER


FACTS: Mapping[Phase, PhaseFacts] = MappingProxyType(
    {
        Phase.FORWARD: PhaseFacts(
            "forward", "blue", StepPart.FORWARD,
            runs_network=True, precedes_loss=True, becomes_eval=True,
        ),
        Phase.DGRAD: PhaseFacts("dgrad", "orange", StepPart.BACKWARD),
        Phase.WGRAD: PhaseFacts(
            "wgrad", "vermillion", StepPart.BACKWARD, derives_from_weights=True
        ),
        Phase.OPTIMIZER: PhaseFacts(
            "optimizer", "green", StepPart.OPTIMIZER,
            marker="Optimizer.step", derives_from_weights=True,
        ),
        Phase.LOSS: PhaseFacts(
            "loss", "purple", StepPart.FORWARD, precedes_loss=True, becomes_eval=True
        ),
        Phase.DATA: PhaseFacts(
            "data", "sky", StepPart.LOOP, marker="enumerate(DataLoader)", begins_step=True
        ),
        Phase.ZERO_GRAD: PhaseFacts(
            "zero grad", "yellow", StepPart.OPTIMIZER,
            marker="Optimizer.zero_grad", begins_step=True, derives_from_weights=True,
        ),
        Phase.RECOMPUTE: PhaseFacts("recompute", "black", StepPart.FORWARD, begins_part=False),
        Phase.EVAL: PhaseFacts(
            "eval", "grey", StepPart.FORWARD, trains=False, runs_network=True
        ),
        Phase.PREFILL: PhaseFacts(
            "prefill", "brown", StepPart.FORWARD,
            trains=False, runs_network=True, generates=True,
        ),
        Phase.DECODE: PhaseFacts(
            "decode", "pink", StepPart.FORWARD,
            trains=False, runs_network=True, generates=True,
        ),
        Phase.OTHER: PhaseFacts(
            "other", "silver", StepPart.LOOP, becomes_eval=True, derives_from_weights=True
        ),
    }
)  # fmt: skip
"""In the order of `Phase`, which is that of tables and legends."""
