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
    reader = _OpReader()
    for step, *row in rows:
        part = parts[step]
        part.ops.append(reader.op(row[:_OP]))
        part.times_ps.extend(row[_OP:])
    return parts


class _OpReader:
    """Reads ops. What is equal in them is one object: a long trace repeats few names and shapes,
    which would take more memory than its ops.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._sizes: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._gemms: dict[Gemm, Gemm] = {}

    def op(self, row: list[Any]) -> Op:
        name, kind, phase, layer, inputs, outputs, gemms, forward, random = row
        texts = self._texts
        return Op(
            texts.setdefault(name, name),
            member(OpKind, kind, OpKind.OTHER),
            member(Phase, phase, Phase.OTHER),
            texts.setdefault(layer, layer),
            tuple([self._tensor(entry) for entry in inputs]),
            tuple([self._tensor(entry) for entry in outputs]),
            tuple([self._gemm(entry) for entry in gemms]),
            forward,
            random,
        )

    def _tensor(self, entry: dict[str, Any]) -> Tensor:
        shape, strides, dtype = tuple(entry["shape"]), tuple(entry["strides"]), entry["dtype"]
        sizes = self._sizes
        return Tensor(
            entry["storage"],
            self._texts.setdefault(dtype, dtype),
            sizes.setdefault(shape, shape),
            sizes.setdefault(strides, strides),
            entry["offset"],
        )

    def _gemm(self, entry: dict[str, Any]) -> Gemm:
        gemm = gemm_of(entry)
        return self._gemms.setdefault(gemm, gemm)


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
