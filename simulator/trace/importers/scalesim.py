"""SCALE-Sim topology files: the layers of one inference pass, as GEMMs or convolutions."""

from dataclasses import dataclass, field
from pathlib import Path

from simulator.errors import InputError
from simulator.trace.header import LARGEST
from simulator.trace.importers.topology import TopologyLayer, detects, read_topology
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

__all__ = ["detects", "import_scalesim"]

_DEPTHWISE = "DP"  # a layer name with this: SCALE-Sim runs it channel by channel


def import_scalesim(path: Path) -> Trace:
    """Return the layers of a SCALE-Sim topology as one evaluation pass in int8.

    Columns go by the names in the header or, without a header, by their number: `layer, M, N, K`,
    or the eight of a convolution, whose ifmap sizes include padding. As in SCALE-Sim, a stride that
    does not divide the ifmap rounds the output up, and a layer with DP in its name is depthwise. A
    batch shares the weights. Raises InputError with the line that does not fit.
    """
    layers = _LayerBuilder()
    for row in read_topology(path):
        layers.append(row)
    if not layers.ops:
        raise InputError(f"{path}: no layers: is this a SCALE-Sim topology?")
    inferred = f"int8, one inference pass, {layers.batch_text}"
    origin = {"tool": "SCALE-Sim topology", "inferred": inferred}
    step = Step(StepKind.EVAL, tuple(layers.ops), tuple(layers.storages))
    return Trace(path.stem, (step,), (Segment(0, 0, 1),), origin)


@dataclass
class _LayerBuilder:
    """Builds the ops and storages of the layers."""

    ops: list[Op] = field(default_factory=list)
    storages: list[Storage] = field(default_factory=list)
    batches: set[int] = field(default_factory=set)

    @property
    def batch_text(self) -> str:
        return f"batch {' and '.join(map(str, sorted(self.batches)))}"

    def append(self, row: TopologyLayer) -> None:
        """Append the layer of a row; raises InputError if its sizes do not fit each other."""
        self.batches.add(row.sizes.get("batch", 1))
        name = row.name or f"layer{len(self.ops)}"
        if "m" in row.sizes:
            self._gemm(name, row)
        else:
            self._conv(name, row)

    def _gemm(self, layer: str, row: TopologyLayer) -> None:
        """Append C[m,n] = A[m,k] B[k,n]."""
        n, k = row.sizes["n"], row.sizes["k"]
        m = row.sizes["m"] * row.sizes.get("batch", 1)
        gemm = Gemm(Role.FORWARD, 1, m, n, k, 0, 1, 0)
        self._append("gemm", layer, ((m, k), (k, n), (m, n)), gemm, row.where)

    def _conv(self, layer: str, row: TopologyLayer) -> None:
        """Append a convolution; the ifmap includes the padding."""
        size, images = row.sizes, row.sizes.get("batch", 1)
        channels, filters, groups = size["channels"], size["filters"], size.get("groups", 1)
        if _DEPTHWISE in layer:
            filters, groups = filters * channels, channels
        kernel = size["filter_h"], size["filter_w"]
        stride = size["stride_h"], size.get("stride_w", size["stride_h"])
        ifmap = size["ifmap_h"], size["ifmap_w"]
        try:
            conv = valid_convolution(
                channels, filters, ifmap, kernel, stride,
                images=images, groups=groups, rounded_up=True,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"{row.where}: {error}") from None
        shapes = (
            (images, channels, *ifmap),
            (filters, channels // groups, *kernel),
            (images, filters, *conv.output),
        )
        self._append("conv", layer, shapes, convolution(conv), row.where)

    def _append(
        self, name: str, layer: str, shapes: tuple[tuple[int, ...], ...], gemm: Gemm, where: str
    ) -> None:
        a, b, c = shapes
        weight = self._tensor(b, StorageKind.PARAMETER, f"{layer}.weight")
        tensors = self._tensor(a), weight, self._tensor(c)
        if max(gemm.macs, *(tensor.bytes for tensor in tensors)) > LARGEST:
            raise InputError(f"{where}: the layer's MACs or bytes do not fit in 64 bits")
        self.ops.append(Op(name, OpKind.GEMM, Phase.EVAL, layer, tensors[:2], tensors[2:], (gemm,)))

    def _tensor(
        self, shape: tuple[int, ...], kind: StorageKind = StorageKind.ACTIVATION, name: str = ""
    ) -> Tensor:
        tensor = Tensor(len(self.storages), "int8", shape, contiguous(shape))
        self.storages.append(Storage(tensor.bytes, kind, name))
        return tensor
