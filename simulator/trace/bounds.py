"""Checks that a trace fits the 64-bit integers of its file."""

from math import prod

from simulator.errors import InputError, shown
from simulator.trace.header import LARGEST, LARGEST_STORAGE
from simulator.trace.op import Op
from simulator.trace.trace import Trace


def check_bounds(trace: Trace) -> None:
    """Raise InputError, with op and number, if a number of the trace is too large to store."""
    for index, step in enumerate(trace.steps):
        for number, op in enumerate(step.ops):
            _check_op(op, f"op {number} of step {index} ({shown(op.name, 60)[1:-1]})")
        for number, storage in enumerate(step.storages):
            if storage.bytes > LARGEST_STORAGE:
                raise InputError(
                    f"storage {number} of step {index} has {shown(storage.bytes)} bytes, more than "
                    "any machine addresses: make the layer smaller"
                )
    if any(ps > LARGEST for each in trace.timings for ps in (each.step_ps, *each.ops_ps)):
        raise InputError("a measured time is longer than 64 bits of picoseconds: correct it")


def _check_op(op: Op, where: str) -> None:
    for gemm in op.gemms:
        if gemm.macs > LARGEST:
            sizes = " x ".join(shown(size, 30) for size in (gemm.batch, gemm.m, gemm.n, gemm.k))
            raise InputError(
                f"{where}: {sizes} multiply-accumulates, more than 64 bits count: make it smaller"
            )
    for tensor in (*op.inputs, *op.outputs):
        if prod(tensor.shape) > LARGEST:
            raise InputError(
                f"{where}: a tensor of {shown(tensor.shape, 60)} has more elements than 64 bits "
                "count: make it smaller"
            )
        numbers = (*tensor.shape, *tensor.strides, tensor.offset)
        if max(map(abs, numbers)) > LARGEST:
            raise InputError(
                f"{where}: a tensor of {shown(tensor.shape, 60)} with strides of "
                f"{shown(tensor.strides, 60)} reaches beyond 64 bits: correct it"
            )
