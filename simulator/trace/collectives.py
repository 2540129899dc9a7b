"""Collective operations of torch.distributed: names, operands and results."""

from enum import StrEnum


class Collective(StrEnum):
    """How devices communicate, in the terms of MLCommons Chakra."""

    ALL_REDUCE = "all_reduce"
    REDUCE = "reduce"
    ALL_GATHER = "all_gather"
    GATHER = "gather"
    SCATTER = "scatter"
    BROADCAST = "broadcast"
    ALL_TO_ALL = "all_to_all"
    REDUCE_SCATTER = "reduce_scatter"
    BARRIER = "barrier"
    SEND = "send"
    RECEIVE = "receive"


NAMESPACES = ("c10d", "_c10d_functional", "_c10d_functional_autograd")
_BEGINNINGS = {
    "allreduce": Collective.ALL_REDUCE,
    "all_reduce": Collective.ALL_REDUCE,
    "reduce_scatter": Collective.REDUCE_SCATTER,
    "_reduce_scatter": Collective.REDUCE_SCATTER,
    "reduce_": Collective.REDUCE,
    "allgather": Collective.ALL_GATHER,
    "all_gather": Collective.ALL_GATHER,
    "_allgather": Collective.ALL_GATHER,
    "gather": Collective.GATHER,
    "scatter": Collective.SCATTER,
    "broadcast": Collective.BROADCAST,
    "alltoall": Collective.ALL_TO_ALL,
    "all_to_all": Collective.ALL_TO_ALL,
    "barrier": Collective.BARRIER,
    "monitored_barrier": Collective.BARRIER,
    "send": Collective.SEND,
    "isend": Collective.SEND,
    "recv": Collective.RECEIVE,
    "irecv": Collective.RECEIVE,
}
_UNLIKE_ATEN = (
    "allreduce", "all_reduce", "allgather", "all_gather", "_allgather", "alltoall", "all_to_all",
    "reduce_scatter", "_reduce_scatter",
)  # fmt: skip
_UNLIKE_ATEN_WHOLE = {
    "broadcast", "broadcast_", "reduce_", "gather_", "barrier", "monitored_barrier_", "send",
    "isend", "recv_", "irecv", "recv_any_source_",
}  # fmt: skip


def collective(name: str) -> Collective | None:
    """Return the kind of a collective such as "c10d::allreduce_", None for any other op.

    A name without namespace counts only if no ATen op has it.
    """
    space, separator, base = name.rpartition("::")
    if separator and space not in NAMESPACES:
        return None
    if not (separator or base.startswith(_UNLIKE_ATEN) or base in _UNLIKE_ATEN_WHOLE):
        return None
    return next((kind for start, kind in _BEGINNINGS.items() if base.startswith(start)), None)


def is_result(argument: str) -> bool:
    """Return whether an argument of a collective only receives the result."""
    return argument.startswith("output")


def receives(argument: str) -> bool:
    """Return whether a collective writes to an argument; c10d's schemas do not mark these."""
    return is_result(argument) or argument == "tensors"
