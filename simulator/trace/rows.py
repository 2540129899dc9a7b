"""The rows of a trace file, one per op, with the columns of FORMAT.md."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import polars as pl

from simulator.trace.op import Gemm, Op, Tensor
from simulator.trace.plain_rows import CONV, CONV_SIZES, GEMM, TENSOR
from simulator.trace.trace import Trace

MEASURED = "measured_ps"


def schema(*, measured: bool = False, causal: bool = False) -> dict[str, pl.DataType]:
    """Return the types of the columns; optional ones only where they are used."""
    whole, text, sizes = pl.Int64(), pl.String(), pl.List(pl.Int64)
    tensor = pl.Struct(
        {"storage": whole, "dtype": text, "shape": sizes, "strides": sizes, "offset": whole}
    )
    conv: dict[str, Any] = {name: sizes if name in CONV_SIZES else whole for name in CONV}
    conv["transposed"] = pl.Boolean()
    gemm: dict[str, Any] = {"role": text} | dict.fromkeys(
        ("batch", "m", "n", "k", "a", "b", "c"), whole
    )
    gemm |= {"conv": pl.Struct(conv)} | ({"causal": text} if causal else {})
    columns: dict[str, pl.DataType] = {
        "step": whole,
        "name": text,
        "kind": text,
        "phase": text,
        "layer": text,
        "inputs": pl.List(tensor),
        "outputs": pl.List(tensor),
        "gemms": pl.List(pl.Struct(gemm)),
        "forward": whole,
        "random": pl.Boolean(),
    }
    return columns | ({MEASURED: whole} if measured else {})


def frame_of(trace: Trace) -> pl.DataFrame:
    """Return the rows of `trace`; all its numbers must fit 64 bits."""
    rows = [_row(index, op) for index, step in enumerate(trace.steps) for op in step.ops]
    causal = any(gemm.causal for step in trace.steps for op in step.ops for gemm in op.gemms)
    frame = pl.DataFrame(rows, schema=schema(causal=causal), orient="row")
    if not trace.timings:
        return frame
    measured = [ps for timing in trace.timings for ps in timing.ops_ps]
    return frame.with_columns(pl.Series(MEASURED, measured, pl.Int64))


def _row(step: int, op: Op) -> tuple[Any, ...]:
    return (
        step,
        op.name,
        op.kind.value,
        op.phase.value,
        op.layer,
        _plain_tensors(op.inputs),
        _plain_tensors(op.outputs),
        [_plain(gemm) for gemm in op.gemms],
        op.forward,
        op.random,
    )


def _plain_tensors(tensors: Iterable[Tensor]) -> list[dict[str, Any]]:
    return [{name: getattr(tensor, name) for name in TENSOR} for tensor in tensors]


def _plain(gemm: Gemm) -> dict[str, Any]:
    """Return a GEMM as it was executed; the precision of a method is not stored."""
    plain = {name: getattr(gemm, name) for name in GEMM}
    conv = asdict(gemm.conv) if gemm.conv else None
    return plain | {"conv": conv, "role": gemm.role.value, "causal": gemm.causal.value}
