"""The rules of placement: which unit takes a product or an op, at which precision, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import ClassVar, Protocol

from simulator.errors import Infeasible
from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.precision import FORMATS, PRECISION_BITS, format_of
from simulator.hardware.runtime import Driver, Rule, Runtime
from simulator.hardware.unit import HOST
from simulator.trace.op import Gemm, Op
from simulator.trace.trace import phase_of
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a product or an op runs.

    `convert` says that operands of other precisions are converted and results restored.
    """

    unit: str
    precision: str
    convert: bool = False
    passes: int = 1


class Taker(Protocol):
    """A unit that may take work from the host."""

    by_rule: ClassVar[bool]
    """Whether it takes work only that a rule or a search of placements gives it."""

    @property
    def driver(self) -> Driver:
        """What handing work to it costs."""

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return how it runs `gemm` of `op`, or without one all of `op`; None if it does not."""


def place(
    runtime: Runtime,
    takers: Mapping[str, Taker],
    op: Op,
    gemm: Gemm | None,
    unit: str | None = None,
) -> Placement:
    """Return where `gemm` of `op`, or without one all of `op`, runs.

    On `unit` if it is given, else by the first rule that fits, else on the first unit that takes it
    and whose driver is worth its while. The host takes what no other unit does. Raises Infeasible
    under `on_unsupported_precision: error` when the array lacks the precision.
    """
    rule = next((rule for rule in runtime.rules if _fits(rule, op, gemm)), None)
    if gemm is not None and rule is not None and rule.precision:
        gemm = replace(gemm, precision=rule.precision, formats=("", ""))
    for name in _candidates(takers, rule, gemm, unit):
        placement = takers[name].takes(op, gemm)
        if placement is not None:
            return placement
    return Placement(HOST, traced_precision(op, gemm) if gemm else "")


def _candidates(
    takers: Mapping[str, Taker],
    rule: Rule | None,
    gemm: Gemm | None,
    unit: str | None,
) -> Iterable[str]:
    chosen = unit or (rule.unit if rule else None)
    if chosen is not None:
        return (chosen,) if chosen in takers else ()
    macs = gemm.macs if gemm else None
    return [
        name
        for name, taker in takers.items()
        if not taker.by_rule and (macs is None or macs >= taker.driver.offload_min_macs)
    ]


def _fits(rule: Rule, op: Op, gemm: Gemm | None) -> bool:
    macs, phase = (gemm.macs, phase_of(op, gemm.role)) if gemm else (0, op.phase)
    names = ((op.head.name, rule.op), (phase, rule.phase), (op.layer, rule.layer))
    large = rule.min_macs <= macs
    small = rule.max_macs is None or macs <= rule.max_macs
    return large and small and all(fnmatchcase(name, pattern) for name, pattern in names)


def on_array(unit: str, array: ArrayInterface, op: Op, gemm: Gemm) -> Placement | None:
    """Return how an array called `unit` runs `gemm` of `op`.

    None for a product of nothing, and for one whose precision the array's rule leaves to the host.
    Raises Infeasible where it lacks the precision under the rule "error".
    """
    if not gemm.macs:
        return None
    of_operands = precision_of_operands(op, gemm)
    traced = gemm.precision or of_operands
    executed = array.executes(traced)
    if executed is not None:
        return Placement(unit, executed, convert=executed != of_operands)
    rule = array.on_unsupported_precision
    if rule == "cpu":
        return None
    if rule == "error":
        raise _refused(traced, array.precision, op)
    passes = _passes(traced, array.precision) if rule == "multipass" else 1
    return Placement(unit, array.precision, convert=True, passes=passes)


def traced_precision(op: Op, gemm: Gemm) -> str:
    """Return the precision in which the training run, or its method, computed `gemm`."""
    return gemm.precision or precision_of_operands(op, gemm)


def precision_of_operands(op: Op, gemm: Gemm) -> str:
    """Return the precision that the operands of `gemm` share: floats go before integers, and
    wide numbers before narrow ones.
    """
    operands = [op.inputs[which].dtype for which in (gemm.a, gemm.b) if which >= 0]
    rest = [tensor.dtype for tensor in (*op.inputs, *op.outputs)][:1]
    formats = [format_of(dtype) for dtype in operands or rest or ["float32"]]
    return max(formats, key=lambda p: (not p.startswith("int"), PRECISION_BITS.get(p, 64)))


def is_readable(dtype: str, precision: str) -> bool:
    """Tell whether an array that computes in `precision` takes such a tensor as it is.

    Its own format, or narrower integers, whose sign the array extends; of fp8 both kinds, whose
    products a multiplier of either takes (NVIDIA's and OCP's units, from memory).
    """
    own = format_of(dtype)
    if own.startswith("fp8") and precision.startswith("fp8"):
        return True
    integers = own.startswith("int") and precision.startswith("int")
    narrower = integers and PRECISION_BITS.get(own, 64) <= PRECISION_BITS[precision]
    return own == precision or narrower


def _passes(traced: str, native: str) -> int:
    """Return the native products that one traced product splits into, slice by slice."""
    significand = FORMATS[traced].significand if traced in FORMATS else 32
    return ceil_div(significand, FORMATS[native].significand) ** 2


def _refused(traced: str, native: str, op: Op) -> Infeasible:
    return Infeasible(
        "accelerator.precision",
        PRECISION_BITS.get(traced, 32),
        PRECISION_BITS[native],
        f"{op.name} in {op.layer or 'the step'} computes in {traced} but the array in {native}; "
        "set accelerator.on_unsupported_precision to quantise, cpu or multipass",
    )
