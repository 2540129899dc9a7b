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
    """

    is_op: bool = False
    named_by_op: bool = False
    enters: bool = False


_HELP = StageFacts()
STAGE_FACTS: Mapping[Stage, StageFacts] = MappingProxyType(
    {
        Stage.OP: StageFacts(is_op=True, named_by_op=True),
        Stage.BEGIN: _HELP,
        Stage.VIEW: StageFacts(is_op=True),
        Stage.GEMM: StageFacts(is_op=True, named_by_op=True),
        Stage.LAUNCH: _HELP,
        Stage.SYNCHRONISE: _HELP,
        Stage.SWITCH: StageFacts(enters=True),
        Stage.BUILD: _HELP,
        Stage.QUANTISE: StageFacts(enters=True),
        Stage.DEQUANTISE: _HELP,
        Stage.TRANSPOSE: StageFacts(enters=True),
        Stage.IM2COL: _HELP,
        Stage.COL2IM: _HELP,
        Stage.FLUSH: StageFacts(enters=True),
        Stage.REARRANGE: _HELP,
        Stage.REPLICATE: _HELP,
        Stage.LOAD: StageFacts(enters=True),
        Stage.REFIT: _HELP,
        Stage.STORE: _HELP,
        Stage.RESHAPE: _HELP,
        Stage.REDUCE: _HELP,
    }
)


OF_OP = frozenset(stage.value for stage, facts in STAGE_FACTS.items() if facts.is_op)
NAMED_BY_OP = frozenset(stage.value for stage, facts in STAGE_FACTS.items() if facts.named_by_op)
"""Both as names in results, which may have stages of newer versions."""
