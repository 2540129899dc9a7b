"""SCALE-Sim topology files: the layers of one inference pass, as GEMMs or convolutions."""

import csv
from pathlib import Path

from simulator.errors import InputError
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor, convolution, valid_convolution
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Trace

_GEMM_COLUMNS = 4  # layer, M, N, K
_CONV_COLUMNS = 8  # layer, ifmap h and w, filter h and w, channels, filters, stride


def import_scalesim(path: Path) -> Trace:
    """Return the layers of a SCALE-Sim topology as one evaluation pass in int8.

    Both forms are detected by their columns: `layer, M, N, K` and the convolution's eight, whose
    ifmap sizes include padding. Raises InputError naming the line that does not fit.
    """
    step = _Layers()
    for line, row in _rows(path):
        cells = [cell.strip() for cell in row if cell.strip()]
        try:
            sizes = [int(cell) for cell in cells[1:]]
        except ValueError:
            raise InputError(f"{path}: line {line}: expected whole numbers: {row}") from None
        if min(sizes, default=0) < 1:
            raise InputError(f"{path}: line {line}: sizes must be 1 or more: {row}")
        if len(cells) == _GEMM_COLUMNS:
            step.gemm(cells[0], *sizes)
        elif len(cells) == _CONV_COLUMNS:
            _convolution(step, cells[0], sizes, f"{path}: line {line}")
        else:
            raise InputError(
                f"{path}: line {line}: expected layer,M,N,K or a convolution's 8 columns, "
                f"found {len(cells)}"
            )
    if not step.ops:
        raise InputError(f"{path}: no layers: is this a SCALE-Sim topology?")
    origin = {"tool": "SCALE-Sim topology", "inferred": "int8, one inference pass, batch 1"}
    done = Step(StepKind.EVAL, tuple(step.ops), tuple(step.storages))
    return Trace(path.stem, (done,), (Segment(0, 0, 1),), origin)


def _convolution(step: "_Layers", layer: str, sizes: list[int], where: str) -> None:
    try:
        step.conv(layer, *sizes)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    rows = list(enumerate(csv.reader(text.splitlines()), start=1))
    filled = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    return [(line, row) for line, row in filled if not _is_header(row)]


def _is_header(row: list[str]) -> bool:
    cells = [cell.strip() for cell in row if cell.strip()]
    return not any(cell.lstrip("-").isdigit() for cell in cells[1:])


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
        strides = [1]
        for size in reversed(shape[1:]):
            strides.insert(0, strides[0] * size)
        tensor = Tensor(len(self.storages), "int8", tuple(shape), tuple(strides))
        self.storages.append(Storage(tensor.bytes, kind, name))
        return tensor
