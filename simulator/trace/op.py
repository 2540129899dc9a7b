"""One operation of a training run: its tensors, its GEMMs, its phase and layer."""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import prod

from simulator.memo import remember
from simulator.trace.causal import pairs
from simulator.trace.sparsity import DENSE, SparseOperands
from simulator.units import ceil_div

DTYPE_BITS = {
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16, "float8": 8,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "uint8": 8, "int4": 4, "int2": 2,
    "bool": 8, "complex64": 64, "complex128": 128,
}  # fmt: skip
_WIDEST = 128  # complex128
_WIDTH = re.compile(r"(?:bfloat|float|complex|q?u?int|bits)([1-9]\d{0,2})(?:_\w{1,20}|x\d)?")


@remember("bits of element types", most=256)
def known_bits(dtype: str) -> int | None:
    """Return the bits of an element of `dtype`, such as "int6" or "float8_e4m3fn"; None if unknown.

    A type of torch that packs elements, such as "float4_e2m1fn_x2", has them in each of its own.
    """
    named = _WIDTH.fullmatch(dtype)
    width = DTYPE_BITS.get(dtype) or (int(named[1]) if named else None)
    if width is None or width > _WIDEST:
        return None
    return 2 * width if dtype.endswith("_x2") else width


def bits_of(dtype: str) -> int:
    """Return the bits of an element of `dtype`, 32 for an unknown type."""
    return known_bits(dtype) or 32


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
    PREFILL = "prefill"
    DECODE = "decode"
    OTHER = "other"


class Role(StrEnum):
    """What a GEMM computes: an output, a gradient of data or weights, or something else."""

    FORWARD = "forward"
    DGRAD = "dgrad"
    WGRAD = "wgrad"
    OTHER = "other"


class OpKind(StrEnum):
    """What an operation spends its time on; decides its cost per element on a CPU."""

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
        """Bits per element; integers of a training method are named by theirs, "int6"."""
        return bits_of(self.dtype)

    @property
    def is_float(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def region(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """The elements of the storage that it covers, independent of the order of dimensions."""
        pairs = zip(self.strides, self.shape, strict=True)
        return self.offset, tuple(sorted(pair for pair in pairs if pair[1] != 1))

    @property
    def extent(self) -> tuple[int, int, int]:
        """Storage, offset and elements: what a tensor and views of all of it share."""
        return self.storage, self.offset, self.elements

    @property
    def elements(self) -> int:
        """Distinct elements: a dimension of stride 0 (broadcast) counts once."""
        return _elements(self.shape, self.strides)

    @property
    def bytes(self) -> int:
        """Distinct bytes, rounded up to whole bytes."""
        return (self.elements * self.bits + 7) // 8


@remember("elements of windows", most=4096)
def _elements(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return prod(size for size, stride in zip(shape, strides, strict=True) if stride or not size)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor stored without gaps, last dimension fastest."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


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

    @property
    def is_pointwise(self) -> bool:
        """Whether its im2col is the identity, so that it is a plain GEMM."""
        return set(self.kernel) == set(self.stride) == {1} and not any(self.padding)

    @property
    def is_sampling(self) -> bool:
        """Whether it is pointwise but for its stride: a plain GEMM of every so many-th pixel."""
        return set(self.kernel) == {1} != set(self.stride) and not any(self.padding)

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is a group of its own."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def mirror(self) -> "Conv":
        """The convolution whose dgrad this transposed one is: input and output change roles."""
        return replace(
            self,
            in_channels=self.out_channels,
            out_channels=self.in_channels,
            input=self.output,
            output=self.input,
        )

    def product(self, role: Role) -> tuple[int, int, int]:
        """Return m, n and k of the im2col GEMM of one group in this role."""
        taps, g = prod(self.kernel), self.groups
        inputs, outputs = self.in_channels // g, self.out_channels // g
        if self.transposed:
            pixels = self.images * prod(self.input)
            forward = pixels, outputs * taps, inputs
            dgrad = pixels, inputs, outputs * taps
            wgrad = inputs, outputs * taps, pixels
        else:
            pixels = self.images * prod(self.output)
            forward = pixels, outputs, inputs * taps
            dgrad = pixels, inputs * taps, outputs
            wgrad = outputs, inputs * taps, pixels
        return {Role.FORWARD: forward, Role.DGRAD: dgrad, Role.WGRAD: wgrad}[role]


class Causal(StrEnum):
    """The lower-triangular matrix of a GEMM of causal attention, if it has one.

    The scores that it computes (C), the attention weights that it reads (A), or those transposed.
    """

    NONE = ""
    RESULT = "c"
    LEFT = "a"
    LEFT_TRANSPOSED = "at"


@dataclass(frozen=True, slots=True)
class Gemm:
    """`batch` matrix products C[m,n] += A[m,k] B[k,n].

    `a` and `b` index the op's inputs and `c` its outputs; -1 is a temporary without a tensor. A
    convolution has its geometry in `conv`, and the tensors before im2col as operands. `precision`
    ("int6") is set where a training method asks for another one than that of the operands, and
    `formats` where it has operands a and b in narrower ones. A `causal` GEMM computes nothing above
    the diagonal.
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
    precision: str = ""
    # Not in the text form, and so in the digest only where they are set: others keep theirs.
    causal: Causal = field(default=Causal.NONE, repr=False)
    formats: tuple[str, str] = field(default=("", ""), repr=False)
    sparsity: SparseOperands = field(default=DENSE, repr=False)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates: of a sparse product, the fraction without zeros."""
        if self.sparsity == DENSE:
            return self.dense_macs
        return round(self.dense_macs * self.sparsity.density)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates, batch x M x N x K; of a causal one, those of its pairs."""
        if not self.causal:
            return self.batch * self.m * self.n * self.k
        return self.batch * self.width * pairs(self.queries, self.keys)

    @property
    def result_elements(self) -> int:
        """Elements of all results that are kept; of causal scores, those of its pairs."""
        if self.causal is not Causal.RESULT:
            elements, made = self.batch * self.m * self.n, self.sparsity.c
            return round(elements * made.density) if made else elements
        return self.batch * pairs(self.queries, self.keys)

    @property
    def queries(self) -> int:
        """Rows of a causal product's triangle."""
        return self.k if self.causal is Causal.LEFT_TRANSPOSED else self.m

    @property
    def keys(self) -> int:
        """Columns of a causal product's triangle."""
        return {Causal.LEFT: self.k, Causal.LEFT_TRANSPOSED: self.m}.get(self.causal, self.n)

    @property
    def width(self) -> int:
        """Multiply-accumulates of each pair of a query and a key."""
        return self.k if self.causal is Causal.RESULT else self.n


def convolution(conv: Conv, role: Role = Role.FORWARD) -> Gemm:
    """Return the GEMM of a convolution in this role.

    Its operands are input 0 and weight 1 forward, gradient 0 and the other tensor 1 backward.
    """
    return Gemm(role, conv.groups, *conv.product(role), 0, 1, 0, conv)


def valid_convolution(
    channels: int,
    filters: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: int | tuple[int, int],
    *,
    images: int = 1,
    groups: int = 1,
    rounded_up: bool = False,
) -> Conv:
    """Return the convolution of images whose `size` includes the padding.

    `stride` is that of both dimensions, or (vertical, horizontal). Output sizes are rounded down
    where the stride leaves a remainder, or `rounded_up`. Raises ValueError when the kernel is
    larger than the image, or groups do not divide channels.
    """
    left = [n - k for n, k in zip(size, kernel, strict=True)]
    if min(left) < 0:
        raise ValueError(f"the filter of {kernel[0]} x {kernel[1]} is larger than its input")
    if channels % groups or filters % groups:
        raise ValueError(f"{groups} groups do not divide {channels} channels and {filters} filters")
    strides = (stride, stride) if isinstance(stride, int) else stride
    out = tuple(
        (ceil_div(n, by) if rounded_up else n // by) + 1
        for n, by in zip(left, strides, strict=True)
    )
    none, ones = (0, 0), (1, 1)
    return Conv(images, channels, filters, size, out, kernel, strides, none, ones, groups)


@dataclass(frozen=True, slots=True)
class Op:
    """One dispatched operation.

    `inputs` are the tensors that it reads, `outputs` those that it writes; an in-place operand is
    in both, and a view (kind VIEW) moves no bytes. `layer` is the module path, also in backward
    and optimizer. `forward` is the index, in its step, of the forward op whose gradient this is,
    or -1. `random` ops draw from the generator, in order. A fused op is one of several `parts`, in
    order: it reads what they read from elsewhere, and writes what is read elsewhere.
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
    # Not in the text form, and so in the digest only where it is set, like `Gemm.causal`.
    parts: "tuple[Op, ...]" = field(default=(), repr=False)

    @property
    def head(self) -> "Op":
        """The first part of a fused op, which the others follow; any other op itself."""
        return self.parts[0] if self.parts else self

    @property
    def riders(self) -> "tuple[Op, ...]":
        """The parts of a fused op that follow its head."""
        return self.parts[1:]

    @property
    def base_name(self) -> str:
        """Its name without namespace and overload, "add_" for "aten.add_.Tensor"."""
        return self.name.removeprefix("aten.").split(".", maxsplit=1)[0]

    @property
    def sizes(self) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
        """Elements and dtype of every input and every output: ops of equal sizes cost the same."""
        inputs = tuple((tensor.elements, tensor.dtype) for tensor in self.inputs)
        return inputs, tuple((tensor.elements, tensor.dtype) for tensor in self.outputs)

    @property
    def alike(self) -> tuple[object, ...]:
        """What it costs alone depends on: equal ones cost the same, whatever their layers."""
        layouts = tuple((tensor.shape, tensor.strides, tensor.dtype) for tensor in self.inputs)
        return self.name, self.kind, self.phase, self.gemms, self.sizes, layouts

    @property
    def read_bytes(self) -> int:
        """Distinct bytes read; 0 for views."""
        return 0 if self.kind is OpKind.VIEW else sum(tensor.bytes for tensor in self.inputs)

    @property
    def write_bytes(self) -> int:
        """Distinct bytes written; 0 for views."""
        return 0 if self.kind is OpKind.VIEW else sum(tensor.bytes for tensor in self.outputs)
