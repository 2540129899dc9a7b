"""SCALE-Sim topology files: the layers of one inference pass, as GEMMs or convolutions."""

import csv
from pathlib import Path

from simulator.errors import InputError
from simulator.trace.op import (
    Gemm,
    Op,
    OpKind,
    Phase,
    Role,
    Tensor,
    contiguous,
    convolution,
    valid_convolution,
)
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Trace

_GEMM_COLUMNS = 4  # layer, M, N, K
_CONV_COLUMNS = 8  # layer, ifmap h and w, filter h and w, channels, filters, stride
_GEMM_HEADER = ("m", "n", "k")
_CONV_HEADER = ("ifmap", "filter")


def detects(text: str) -> bool:
    """Tell whether a file that begins like this is a topology: a header or a row of sizes."""
    if text.lstrip()[:1] in ("{", "["):
        return False
    try:
        rows = [_cells(row) for row in csv.reader(text.splitlines()[:2])]
    except csv.Error:
        return False
    return any(
        _form(row) or (len(row) in (_GEMM_COLUMNS, _CONV_COLUMNS) and _is_sizes(row))
        for row in rows
    )


def import_scalesim(path: Path) -> Trace:
    """Return the layers of a SCALE-Sim topology as one evaluation pass in int8.

    The header tells the form, or, without one, the number of columns: `layer, M, N, K` and the
    convolution's eight, whose ifmap sizes include padding. Raises InputError naming the line that
    does not fit.
    """
    step = _Layers()
    columns = 0
    order: tuple[str, ...] = _GEMM_HEADER
    for line, row in _rows(path):
        cells = _cells(row)
        if _is_header(cells):
            columns, order = _form(cells), _gemm_order(cells)
            continue
        where = f"{path}: line {line}"
        sizes = _sizes(cells, where)
        if columns and len(sizes) != columns - 1:
            raise InputError(f"{where}: expected {columns} columns as in the header: {row}")
        if len(sizes) == _GEMM_COLUMNS - 1:
            step.gemm(cells[0], **dict(zip(order, sizes, strict=True)))
        elif len(sizes) == _CONV_COLUMNS - 1:
            _convolution(step, cells[0], sizes, where)
        else:
            raise InputError(
                f"{where}: expected layer,M,N,K or a convolution's 8 columns, found {len(cells)}"
            )
    if not step.ops:
        raise InputError(f"{path}: no layers: is this a SCALE-Sim topology?")
    origin = {"tool": "SCALE-Sim topology", "inferred": "int8, one inference pass, batch 1"}
    done = Step(StepKind.EVAL, tuple(step.ops), tuple(step.storages))
    return Trace(path.stem, (done,), (Segment(0, 0, 1),), origin)


def _cells(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row if cell.strip()]


def _form(header: list[str]) -> int:
    """Return how many columns the form has whose header this is, 0 if it is none."""
    names = [name.lower() for name in header[1:]]
    if sorted(names[:3]) == sorted(_GEMM_HEADER):
        return _GEMM_COLUMNS
    is_conv = all(any(name.startswith(start) for name in names) for start in _CONV_HEADER)
    return _CONV_COLUMNS if is_conv else 0


def _gemm_order(header: list[str]) -> tuple[str, ...]:
    names = tuple(name.lower() for name in header[1:4])
    return names if sorted(names) == sorted(_GEMM_HEADER) else _GEMM_HEADER


def _sizes(cells: list[str], where: str) -> list[int]:
    *given, last = cells[1:] or [""]
    left, ratio, right = last.partition(":")
    if ratio and left != right:
        raise InputError(f"{where}: {last} sparsity cannot be imported: give the dense layer")
    try:
        sizes = [int(cell) for cell in (given if ratio else [*given, last])]
    except ValueError:
        raise InputError(f"{where}: expected whole numbers: {', '.join(cells)}") from None
    if min(sizes, default=0) < 1:
        raise InputError(f"{where}: sizes must be 1 or more: {', '.join(cells)}")
    return sizes


def _convolution(step: "_Layers", layer: str, sizes: list[int], where: str) -> None:
    try:
        step.conv(layer, *sizes)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(text.splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    return [(line, row) for line, row in enumerate(rows, start=1) if _cells(row)]


def _is_header(cells: list[str]) -> bool:
    return not any(cell.lstrip("-").isdigit() for cell in cells[1:])


def _is_sizes(cells: list[str]) -> bool:
    return all(cell.isdigit() for cell in cells[1:])


class _Layers:
    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.storages: list[Storage] = []

    def gemm(self, layer: str, m: int, n: int, k: int) -> None:
        """Append C[m,n] = A[m,k] B[k,n]."""
        tensors = self._tensor(m, k), self._weight(layer, k, n), self._tensor(m, n)
        self._append("gemm", layer, tensors, Gemm(Role.FORWARD, 1, m, n, k, 0, 1, 0))

    def conv(
        self,
        layer: str,
        height: int,
        width: int,
        kernel_h: int,
        kernel_w: int,
        channels: int,
        filters: int,
        stride: int,
    ) -> None:
        """Append a convolution of a padded input."""
        kernel = (kernel_h, kernel_w)
        gemm = convolution(valid_convolution(channels, filters, (height, width), kernel, stride))
        assert gemm.conv is not None, "it is a convolution"
        tensors = (
            self._tensor(1, channels, height, width),
            self._weight(layer, filters, channels, kernel_h, kernel_w),
            self._tensor(1, filters, *gemm.conv.output),
        )
        self._append("conv", layer, tensors, gemm)

    def _append(
        self, name: str, layer: str, tensors: tuple[Tensor, Tensor, Tensor], gemm: Gemm
    ) -> None:
        a, b, c = tensors
        self.ops.append(Op(name, OpKind.GEMM, Phase.EVAL, layer, (a, b), (c,), (gemm,)))

    def _weight(self, layer: str, *shape: int) -> Tensor:
        return self._tensor(*shape, kind=StorageKind.PARAMETER, name=f"{layer}.weight")

    def _tensor(
        self, *shape: int, kind: StorageKind = StorageKind.ACTIVATION, name: str = ""
    ) -> Tensor:
        tensor = Tensor(len(self.storages), "int8", shape, contiguous(shape))
        self.storages.append(Storage(tensor.bytes, kind, name))
        return tensor
