"""The rules of placement: which unit takes a GEMM, at which precision, and why."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from simulator.activity import Unit
from simulator.errors import Infeasible
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.runtime import Rule, Runtime
from simulator.trace.op import Gemm, Op
from simulator.trace.trace import phase_of
from simulator.units import ceil_div

# torch's names of the number formats that an array can be built for.
_PRECISION_OF_DTYPE = {
    "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "uint8": "int8",
}  # fmt: skip

# Bits that a product must keep, sign included: IEEE 754 significands and bfloat16's, and one.
_SIGNIFICAND_BITS = {"fp32": 25, "fp16": 12, "bf16": 9, "float64": 54}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a GEMM runs.

    `convert` says that operands of other precisions are converted and results restored.
    """

    unit: Unit
    precision: str
    convert: bool = False
    passes: int = 1


class Units(Protocol):
    """What the rules must know of hardware."""

    @property
    def runtime(self) -> Runtime:
        """The offload runtime, with its rules."""

    @property
    def accelerator(self) -> Accelerator | None:
        """The accelerator, if there is one."""


def place(hardware: Units, op: Op, gemm: Gemm, told: Unit | None = None) -> Placement:
    """Return where `gemm` of `op` runs on `hardware`: where it is `told`, or by the rules.

    An array takes no product of nothing, nor one whose precision its rule leaves to the CPU.
    Raises Infeasible under `on_unsupported_precision: error` when the array lacks the precision.
    """
    held = precision_of_operands(op, gemm)
    traced = gemm.precision or held
    array = hardware.accelerator
    unit = told or _by_rules(hardware.runtime, op, gemm)
    if array is None or not gemm.macs or unit is Unit.CPU:
        return Placement(Unit.CPU, traced)
    executed = array.executes(traced)
    if executed is not None:
        return Placement(Unit.ACCELERATOR, executed, convert=executed != held)
    rule = array.on_unsupported_precision
    if rule == "cpu":
        return Placement(Unit.CPU, traced)
    if rule == "error":
        raise _refused(traced, array.precision, op)
    passes = _passes(traced, array.precision) if rule == "multipass" else 1
    return Placement(Unit.ACCELERATOR, array.precision, convert=True, passes=passes)


def _by_rules(runtime: Runtime, op: Op, gemm: Gemm) -> Unit:
    """Return the unit of the first rule that fits; of none, by size alone."""
    for rule in runtime.rules:
        if _fits(rule, op, gemm):
            return Unit(rule.unit)
    return Unit.CPU if gemm.macs < runtime.offload_min_macs else Unit.ACCELERATOR


def _fits(rule: Rule, op: Op, gemm: Gemm) -> bool:
    named = ((op.name, rule.op), (phase_of(op, gemm.role), rule.phase), (op.layer, rule.layer))
    large = rule.min_macs <= gemm.macs
    small = rule.max_macs is None or gemm.macs <= rule.max_macs
    return large and small and all(fnmatchcase(name, pattern) for name, pattern in named)


def traced_precision(op: Op, gemm: Gemm) -> str:
    """Return the precision in which the training run, or its method, computed `gemm`."""
    return gemm.precision or precision_of_operands(op, gemm)


def precision_of_operands(op: Op, gemm: Gemm) -> str:
    """Return the precision that the operands of `gemm` share: floats go before integers, and
    wide numbers before narrow ones.
    """
    held = [op.inputs[which].dtype for which in (gemm.a, gemm.b) if which >= 0]
    rest = [tensor.dtype for tensor in (*op.inputs, *op.outputs)][:1]
    found = [precision_of(dtype) for dtype in held or rest or ["float32"]]
    return max(found, key=lambda p: (not p.startswith("int"), PRECISION_BITS.get(p, 64)))


def is_readable(dtype: str, precision: str) -> bool:
    """Tell whether an array that computes in `precision` takes such a tensor as it is.

    Its own format, or narrower integers, whose sign the array extends.
    """
    held = precision_of(dtype)
    integers = held.startswith("int") and precision.startswith("int")
    narrower = integers and PRECISION_BITS.get(held, 64) <= PRECISION_BITS[precision]
    return held == precision or narrower


def precision_of(dtype: str) -> str:
    """Return the precision of an array's number format that torch calls `dtype`."""
    return _PRECISION_OF_DTYPE.get(dtype, dtype)


def _passes(traced: str, native: str) -> int:
    """Return the native products that one traced product splits into, slice by slice."""
    wanted = _SIGNIFICAND_BITS.get(traced) or PRECISION_BITS.get(traced, 32)
    had = _SIGNIFICAND_BITS.get(native) or PRECISION_BITS[native]
    return ceil_div(wanted, had) ** 2


def _refused(traced: str, native: str, op: Op) -> Infeasible:
    return Infeasible(
        "accelerator.precision",
        PRECISION_BITS.get(traced, 32),
        PRECISION_BITS[native],
        f"{op.name} in {op.layer or 'the step'} computes in {traced} but the array in {native}; "
        "set accelerator.on_unsupported_precision to quantise, cpu or multipass",
    )
