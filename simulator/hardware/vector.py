"""The vector unit of an accelerator: what follows its products, and ops over elements."""

from typing import Literal, NamedTuple, get_args

from pydantic import Field, NonNegativeInt, PositiveInt

from simulator.hardware.part import FASTEST_HZ, Part
from simulator.hardware.precision import FORMATS
from simulator.units import Attojoules, Bytes, Hertz, Microwatts

VectorOp = Literal[
    "elementwise", "transcendental", "reduction", "norm", "softmax", "pool", "copy"
]  # fmt: skip
"""Kinds of op that a vector unit can take, by their names in `trace.op.OpKind`."""

VectorFormat = Literal[
    "int4", "int8", "int16", "int32", "fp16", "bf16", "fp32"
]  # fmt: skip

_EVERY: tuple[VectorOp, ...] = get_args(VectorOp)
_FORMATS: tuple[VectorFormat, ...] = ("int8", "int16", "int32", "fp16", "bf16", "fp32")


class VectorCosts(Part):
    """Vector operations per element of the largest tensor, by the kind of kernel.

    Counted from the arithmetic; loads and stores go beside it. Guesses, where a unit has no
    instruction of its own: a quotient by Newton's iteration, two steps of two operations, from a
    table; an exponential by range reduction and a polynomial of degree 5; erf and tanh from one
    exponential and one quotient.
    """

    elementwise: PositiveInt = Field(default=1, description="add, multiply, compare and select")
    division: PositiveInt = Field(default=6, description="quotient, square root")
    exponential: PositiveInt = Field(default=10, description="exp, sigmoid, SiLU, logarithm")
    erf: PositiveInt = Field(default=18, description="erf and tanh: GELU, gates")
    reduction: PositiveInt = Field(default=1)
    norm: PositiveInt = Field(default=2, description="each statistic: subtract, multiply-add")
    softmax: PositiveInt = Field(default=14, description="maximum, exponential, sum, scale")
    pool: PositiveInt = Field(default=1, description="each element of the input")
    copies: PositiveInt = Field(default=1, description="copies and conversions")
    embedding: PositiveInt = Field(default=2, description="the gradient of a maximum: scatter")


class VectorInterface(NamedTuple):
    """What lowering must know of a vector unit: nothing that says how long it takes."""

    formats: tuple[str, ...]
    ops: tuple[str, ...]
    min_elements: int
    memory: int  # bytes: what fits is read once

    def computes(self, number_format: str) -> bool:
        """Return whether it computes in this format; of integers the narrower ones too."""
        if number_format in self.formats:
            return True
        own = FORMATS.get(number_format)
        if own is None or not own.is_integer:
            return False
        wider = (FORMATS[each] for each in self.formats)
        return any(each.is_integer and each.bits >= own.bits for each in wider)


class Vector(Part):
    """Lanes beside the arrays, which share their DMA engine and queue of commands.

    It scales, biases and converts what the arrays make, on its way out, computes the epilogue of a
    fused product there, and takes ops of its own. Ops run one after the other: the arrays wait
    while the unit computes an op of its own.
    """

    lanes: PositiveInt = Field(description="elements per cycle, of any format")
    pipes: PositiveInt = Field(default=1, description="operations that a lane issues per cycle")
    clock: Hertz | None = Field(
        gt=0, le=FASTEST_HZ, default=None, description="else that of the arrays"
    )
    formats: tuple[VectorFormat, ...] = Field(
        default=_FORMATS, strict=False, description="in which it computes"
    )
    ops: tuple[VectorOp, ...] = Field(
        default=_EVERY, strict=False, description="kinds of op that it takes whole; none: []"
    )
    min_elements: NonNegativeInt = Field(
        default=4096, description="smaller ops stay on the CPU; a guess: where the launch pays"
    )
    memory: Bytes = Field(
        ge=0, default=32 * 1024, description="of its own: a row or channel that fits is read once"
    )
    buffers: PositiveInt = Field(
        le=2, default=2, description="of its tiles: with one, loads wait until stores are done"
    )
    costs: VectorCosts = Field(default_factory=VectorCosts)
    operands: PositiveInt | None = Field(
        default=None,
        description="registers of 4 B that an operation reads and writes, else not charged",
    )
    energy: Attojoules | None = Field(
        ge=0,
        default=None,
        description="of one operation of a lane, else that of fp32 arithmetic and its operands",
    )
    static_power: Microwatts | None = Field(
        ge=0, default=None, description="else the leakage of as many fp32 elements"
    )

    @property
    def interface(self) -> VectorInterface:
        """What lowering must know of it."""
        return VectorInterface(self.formats, self.ops, self.min_elements, self.memory)
