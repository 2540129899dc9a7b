"""The ops of a step that is described by hand, as they are appended one after the other."""

from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from simulator.trace.drafts import Draft
from simulator.trace.op import Gemm, OpKind, Phase, Tensor, bits_of, contiguous
from simulator.trace.trace import StorageKind

TensorShape = tuple[int, ...]


class Learnt(NamedTuple):
    """A parameter, its gradient, and the layer that has it."""

    layer: str
    parameter: Tensor
    gradient: Tensor


@dataclass
class StepTape:
    """The ops of a step so far, its storages, and what is learnt."""

    drafts: list[Draft] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    owned: dict[int, tuple[StorageKind, str]] = field(default_factory=dict)
    learnt: list[Learnt] = field(default_factory=list)

    def tensor(
        self,
        shape: TensorShape,
        kind: StorageKind | None = None,
        name: str = "",
        dtype: str = "float32",
    ) -> Tensor:
        """Return a new tensor on a storage of its own."""
        tensor = Tensor(len(self.sizes), dtype, shape, contiguous(shape))
        self.sizes.append(prod(shape) * bits_of(dtype) // 8)
        if kind:
            self.owned[tensor.storage] = kind, name
        return tensor

    def op(
        self,
        name: str,
        kind: OpKind,
        phase: Phase,
        layer: str,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        gemms: tuple[Gemm, ...] = (),
        forward: Draft | None = None,
    ) -> Draft:
        """Append an op of ATen and return it."""
        touched = frozenset(tensor.storage for tensor in (*inputs, *outputs))
        full = f"aten.{name}"
        draft = Draft(full, kind, phase, layer, inputs, outputs, gemms, forward, False, touched)
        self.drafts.append(draft)
        return draft

    def view(
        self,
        name: str,
        phase: Phase,
        layer: str,
        source: Tensor,
        result: Tensor | None = None,
        forward: Draft | None = None,
    ) -> Draft:
        """Append a view of `source`, of all of it as it is without a `result`."""
        outputs = (result or source,)
        return self.op(name, OpKind.VIEW, phase, layer, (source,), outputs, (), forward)

    def keep(self, layer: str, parameter: Tensor, gradient: Tensor) -> None:
        """Keep the gradient of a parameter, as autograd does."""
        self.owned[gradient.storage] = StorageKind.GRADIENT, ""
        self.view("detach.default", Phase.WGRAD, layer, gradient)
        self.learnt.append(Learnt(layer, parameter, gradient))


def transposed(matrix: Tensor) -> Tensor:
    """Return a matrix as its transpose sees it."""
    return Tensor(
        matrix.storage, matrix.dtype, matrix.shape[::-1], matrix.strides[::-1], matrix.offset
    )


def reshaped(tensor: Tensor, shape: TensorShape) -> Tensor:
    """Return a tensor without gaps in another shape."""
    return Tensor(tensor.storage, tensor.dtype, shape, contiguous(shape), tensor.offset)
