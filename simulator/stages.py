"""Facts of the stages of work: one table for all rooms, one row per stage.

A new stage is a member of `Stage` and a row here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from simulator.activity import Stage


@dataclass(frozen=True, slots=True)
class StageFacts:
    """The facts of one stage; without any it is work done on behalf of an operation.

    `is_op`: it is the operation itself. `named_by_op`: figures need no name but the operation's.
    `enters`: it brings operands to the accelerator, which costs nothing if they are there already.
    `serves`: what time spent on it is spent on, where it is not the operation.
    """

    is_op: bool = False
    named_by_op: bool = False
    enters: bool = False
    serves: str = ""


DISPATCH, LAUNCHES, CONVERSIONS = "dispatch", "launches", "conversions"
_LAYOUTS = "layouts and copies"

STAGE_FACTS: Mapping[Stage, StageFacts] = MappingProxyType(
    {
        Stage.OP: StageFacts(is_op=True, named_by_op=True),
        Stage.BEGIN: StageFacts(serves=DISPATCH),
        Stage.VIEW: StageFacts(is_op=True),
        Stage.GEMM: StageFacts(is_op=True, named_by_op=True),
        Stage.LAUNCH: StageFacts(serves=LAUNCHES),
        Stage.SYNCHRONISE: StageFacts(serves=LAUNCHES),
        Stage.SWITCH: StageFacts(enters=True, serves=LAUNCHES),
        Stage.BUILD: StageFacts(serves=LAUNCHES),
        Stage.QUANTISE: StageFacts(enters=True, serves=CONVERSIONS),
        Stage.DEQUANTISE: StageFacts(serves=CONVERSIONS),
        Stage.TRANSPOSE: StageFacts(enters=True, serves=_LAYOUTS),
        Stage.IM2COL: StageFacts(serves=_LAYOUTS),
        Stage.COL2IM: StageFacts(serves=_LAYOUTS),
        Stage.FLUSH: StageFacts(enters=True, serves=_LAYOUTS),
        Stage.REARRANGE: StageFacts(serves=_LAYOUTS),
        Stage.REPLICATE: StageFacts(serves=_LAYOUTS),
        Stage.LOAD: StageFacts(enters=True, serves=_LAYOUTS),
        Stage.REFIT: StageFacts(serves=_LAYOUTS),
        Stage.STORE: StageFacts(serves=_LAYOUTS),
        Stage.RESHAPE: StageFacts(serves=_LAYOUTS),
        Stage.REDUCE: StageFacts(serves=_LAYOUTS),
    }
)


OF_OP = frozenset(stage.value for stage, facts in STAGE_FACTS.items() if facts.is_op)
NAMED_BY_OP = frozenset(stage.value for stage, facts in STAGE_FACTS.items() if facts.named_by_op)
"""Both as names in results, which may have stages of newer versions."""
