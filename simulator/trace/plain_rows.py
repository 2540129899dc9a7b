"""Ops from the rows of a trace file, plain values that were checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from simulator.trace.header import member
from simulator.trace.op import Causal, Conv, Gemm, Op, OpKind, Phase, Role, Tensor

_APART = ("conv", "precision", "causal", "formats", "sparsity")
TENSOR = tuple(field.name for field in fields(Tensor))
GEMM = tuple(field.name for field in fields(Gemm) if field.name not in _APART)
CONV = tuple(field.name for field in fields(Conv))
_OP = len([each for each in fields(Op) if each.name != "parts"])  # no trace has fused ops
CONV_SIZES = ("input", "output", "kernel", "stride", "padding", "dilation")


class StepRows(NamedTuple):
    """What the rows of one step say: its ops, and in ps how long each took, if it was measured."""

    ops: list[Op]
    times_ps: list[int]


def by_step(rows: Iterable[Sequence[Any]], steps: int) -> list[StepRows]:
    """Return what the rows say of each of `steps` steps, from values in the order of the schema."""
    parts = [StepRows([], []) for _ in range(steps)]
    for step, *row in rows:
        part = parts[step]
        part.ops.append(_op(row[:_OP]))
        part.times_ps.extend(row[_OP:])
    return parts


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
