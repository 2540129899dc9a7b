"""What one operation of a training run did: its tensors, its GEMMs, its place in the step."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import prod

DTYPE_BITS = {
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16, "float8": 8,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "uint8": 8, "int4": 4, "int2": 2,
    "bool": 8, "complex64": 64, "complex128": 128,
}  # fmt: skip


class Phase(StrEnum):
    """The part of a training step that work belongs to."""

    FORWARD = "forward"
    DGRAD = "dgrad"
    WGRAD = "wgrad"
    OPTIMIZER = "optimizer"
    LOSS = "loss"
    DATA = "data"
    ZERO_GRAD = "zero_grad"
    RECOMPUTE = "recompute"
    EVAL = "eval"
    OTHER = "other"


class Role(StrEnum):
    """What a GEMM computes: an output, a gradient of data or weights, or something else."""

    FORWARD = "forward"
    DGRAD = "dgrad"
    WGRAD = "wgrad"
    OTHER = "other"


class OpKind(StrEnum):
    """How an operation spends its time; decides its arithmetic per element on a CPU."""

    GEMM = "gemm"
    VIEW = "view"
    ELEMENTWISE = "elementwise"
    TRANSCENDENTAL = "transcendental"
    REDUCTION = "reduction"
    NORM = "norm"
    SOFTMAX = "softmax"
    POOL = "pool"
    COPY = "copy"
    EMBEDDING = "embedding"
    RANDOM = "random"
    SORT = "sort"
    SYNC = "sync"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A strided window on a storage: `storage` indexes the step's storage table.

    `shape`, `strides` and `offset` are in elements; `dtype` is torch's name without "torch.".
    """

    storage: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def bits(self) -> int:
        """Bits per element."""
        return DTYPE_BITS.get(self.dtype, 32)

    @property
    def is_float(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def region(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Which elements of the storage it covers, whatever the order of its dimensions."""
        pairs = zip(self.strides, self.shape, strict=True)
        return self.offset, tuple(sorted(pair for pair in pairs if pair[1] != 1))

    @property
    def elements(self) -> int:
        """Distinct elements: a dimension of stride 0 (broadcast) counts once."""
        return prod(
            size
            for size, stride in zip(self.shape, self.strides, strict=True)
            if stride or not size
        )

    @property
    def bytes(self) -> int:
        """Distinct bytes, rounded up to whole bytes."""
        return (self.elements * self.bits + 7) // 8


@dataclass(frozen=True, slots=True)
class Conv:
    """Geometry of a convolution; spatial tuples have one entry per dimension (1d to 3d).

    `input` and `output` are the spatial sizes of the convolution's own input and output (for a
    transposed one the output is the larger), without padding.
    """

    images: int
    in_channels: int
    out_channels: int
    input: tuple[int, ...]
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False


@dataclass(frozen=True, slots=True)
class Gemm:
    """`batch` products C[m,n] += A[m,k] B[k,n].

    `a` and `b` index the op's inputs and `c` its outputs; -1 is a temporary that no tensor holds.
    A convolution keeps its geometry; its operands are then the tensors before im2col.
    """

    role: Role
    batch: int
    m: int
    n: int
    k: int
    a: int
    b: int
    c: int
    conv: Conv | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates, batch x M x N x K."""
        return self.batch * self.m * self.n * self.k


def valid_convolution(
    channels: int, filters: int, size: tuple[int, int], kernel: tuple[int, int], stride: int
) -> Gemm:
    """Return the forward product of one image's convolution, whose `size` includes the padding.

    Raises ValueError when the kernel is larger than the image.
    """
    out = tuple((n - k) // stride + 1 for n, k in zip(size, kernel, strict=True))
    if min(out) < 1:
        raise ValueError(f"a {kernel[0]} x {kernel[1]} filter is larger than its input")
    conv = Conv(1, channels, filters, size, out, kernel, (stride, stride), (0, 0), (1, 1))
    return Gemm(Role.FORWARD, 1, prod(out), filters, channels * prod(kernel), 0, 1, 0, conv)


@dataclass(frozen=True)
class Op:
    """One dispatched operation.

    `inputs` are the tensors that it reads, `outputs` those that it writes (an in-place operand
    that is read and written is in both; a view reads and writes nothing, kind VIEW). `layer` is
    the module path, also in backward and optimizer; `forward` the index, in its step, of the
    forward op whose gradient this is, or -1. `random` ops draw from the generator, in order.
    """

    name: str
    kind: OpKind
    phase: Phase
    layer: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    gemms: tuple[Gemm, ...] = ()
    forward: int = -1
    random: bool = False

    @cached_property
    def sizes(self) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
        """Elements and dtype of every input and every output: ops of equal sizes cost the same."""
        inputs = tuple((tensor.elements, tensor.dtype) for tensor in self.inputs)
        return inputs, tuple((tensor.elements, tensor.dtype) for tensor in self.outputs)

    @cached_property
    def read_bytes(self) -> int:
        """Distinct bytes read; 0 for views."""
        return 0 if self.kind is OpKind.VIEW else sum(tensor.bytes for tensor in self.inputs)

    @cached_property
    def write_bytes(self) -> int:
        """Distinct bytes written; 0 for views."""
        return 0 if self.kind is OpKind.VIEW else sum(tensor.bytes for tensor in self.outputs)
