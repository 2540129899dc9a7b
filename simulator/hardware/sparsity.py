"""Which zeros an accelerator skips: nothing that says where they are."""

from typing import Annotated

from pydantic import AfterValidator, Field

from simulator.hardware.part import Part
from simulator.sparsity import GroupPattern, groups_of


def _group_text(value: str) -> str:
    return groups_of(value).text


class SkippedZeros(Part):
    """The patterns of zeros that an array, its sequencer and its DMA engine make use of.

    With `groups` the array takes N of M values of an operand along the reduction, and selects the
    others' partners: the reduction has N / M of its length. With `blocks` the sequencer skips
    commands whose tile of an operand or of the result is empty. Operands stay compressed in the
    scratchpad, and finding out what is where takes no time: both are guesses.
    """

    groups: tuple[Annotated[str, AfterValidator(_group_text)], ...] = Field(
        default=(), strict=False, description="patterns N:M such as 2:4, none: []"
    )
    blocks: bool = Field(default=False, description="whole tiles of rows x cols that are zero")

    def takes(self, pattern: GroupPattern) -> bool:
        """Return whether the array has this pattern N:M."""
        return pattern.text in self.groups
