"""The rows of a trace file, one per op, with the columns of FORMAT.md."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import polars as pl

from simulator.trace.header import member
from simulator.trace.op import Causal, Conv, Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.trace import Trace

MEASURED = "measured_ps"
_APART = ("conv", "precision", "causal")
TENSOR = tuple(field.name for field in fields(Tensor))
GEMM = tuple(field.name for field in fields(Gemm) if field.name not in _APART)
CONV = tuple(field.name for field in fields(Conv))
CONV_SIZES = ("input", "output", "kernel", "stride", "padding", "dilation")


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


def ops_of(frame: pl.DataFrame, steps: int) -> list[list[Op]]:
    """Return the ops of each of `steps` steps, from rows that were checked."""
    ops: list[list[Op]] = [[] for _ in range(steps)]
    for step, *row in frame.select(list(schema())).iter_rows():
        ops[step].append(_op(row))
    return ops


def times_of(frame: pl.DataFrame, steps: int) -> list[list[int]]:
    """Return the measured time in ps of each op of each of `steps` steps."""
    times: list[list[int]] = [[] for _ in range(steps)]
    for step, ps in frame.select("step", MEASURED).iter_rows():
        times[step].append(ps)
    return times


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
    return [asdict(tensor) for tensor in tensors]


def _plain(gemm: Gemm) -> dict[str, Any]:
    """Return a GEMM as it was executed; the precision of a method is not stored."""
    values = asdict(gemm)
    words = {"role": gemm.role.value, "causal": gemm.causal.value}
    return {name: values[name] for name in (*GEMM, "conv")} | words


def _op(row: list[Any]) -> Op:
    name, kind, phase, layer, inputs, outputs, gemms, forward, random = row
    return Op(
        name,
        member(OpKind, kind, OpKind.OTHER),
        member(Phase, phase, Phase.OTHER),
        layer,
        tuple(_tensor(entry) for entry in inputs),
        tuple(_tensor(entry) for entry in outputs),
        tuple(gemm_of(entry) for entry in gemms),
        forward,
        random,
    )


def _tensor(entry: dict[str, Any]) -> Tensor:
    shape, strides = tuple(entry["shape"]), tuple(entry["strides"])
    return Tensor(entry["storage"], entry["dtype"], shape, strides, entry["offset"])


def gemm_of(entry: Mapping[str, Any]) -> Gemm:
    """Return the GEMM of an entry of column `gemms`."""
    values = {name: entry[name] for name in GEMM}
    values["role"] = member(Role, entry["role"], Role.OTHER)
    values["conv"] = _conv(entry["conv"])
    values["causal"] = member(Causal, entry.get("causal") or "", Causal.NONE)
    return Gemm(**values)


def _conv(entry: dict[str, Any] | None) -> Conv | None:
    # Parquet readers give a null struct as None or as a struct of nulls.
    if entry is None or entry["kernel"] is None:
        return None
    values: dict[str, Any] = {
        name: tuple(entry[name]) if name in CONV_SIZES else entry[name] for name in CONV
    }
    return Conv(**values)
