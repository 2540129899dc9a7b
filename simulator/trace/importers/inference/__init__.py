"""What a profile does not say: shape and type of what ops return, from their arguments."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from simulator.trace.gemms import products
from simulator.trace.gemms.product import words
from simulator.trace.importers.calls import LARGEST, MISFITS, tensors_in
from simulator.trace.importers.inference import creation, lookups, reductions, resizing
from simulator.trace.importers.inference.allocation import allocated
from simulator.trace.importers.inference.product_results import product_results
from simulator.trace.importers.inference.result import (
    Args,
    Result,
    Rule,
    broadcast,
    count,
    first_tensor,
)
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Node
from simulator.trace.op import OpKind, bits_of
from simulator.trace.op_kinds import KIND_FACTS

_COMPARISONS = words(
    "eq ne lt le gt ge isnan isinf isin logical_not logical_and logical_or logical_xor signbit"
)
_RULES: dict[str, Rule] = {
    **creation.RULES,
    **resizing.RULES,
    **reductions.RULES,
    **lookups.RULES,
}


@dataclass(frozen=True, slots=True)
class Inferred:
    """What an op returns; `guessed` if its arguments do not tell."""

    results: tuple[Result, ...]
    guessed: bool = False


def infer(base: str, args: Args, node: Node | None = None) -> Inferred:
    """Return shape and element type of what an op returns, as far as its arguments tell.

    An op in place returns its argument, which is no result of its own. Where the arguments do not
    tell, the result is what the op allocated, if its `node` says so, or else is taken to be like
    the first of them.
    """
    if base.endswith("_") and not base.startswith("__"):
        return Inferred(())
    with suppress(*MISFITS, ArithmeticError, StopIteration, RuntimeError):
        return Inferred(_checked(_told(base, args)))
    with suppress(ValueError):
        if node and (found := allocated(node)):
            return Inferred(_checked([found]))
    return Inferred(_guess(args), guessed=True)


def _told(base: str, args: Args) -> Iterable[Result]:
    """Return what the arguments tell; raises one of many errors if they do not."""
    kind = kind_by_name(base)
    if kind is OpKind.GEMM:
        return product_results(base, args, products(base, args))
    rule = _RULES.get(base)
    if rule is not None:
        return rule(args)
    if base.startswith("_foreach_"):
        single = kind is OpKind.REDUCTION
        return [(() if single else t.shape, t.dtype) for t in tensors_in(args["self"])]
    if kind is OpKind.SYNC or base == "equal":
        return ()
    result = KIND_FACTS[kind].result if kind else ""
    if not result:
        raise ValueError(f"nothing is known of the results of {base}")
    return _like_arguments(base, args, result)


def _checked(found: Iterable[Result]) -> tuple[Result, ...]:
    results = tuple(found)
    for shape, dtype in results:
        if min(shape, default=0) < 0 or count(shape) * bits_of(dtype) > 8 * LARGEST:
            raise ValueError(f"a result of shape {shape}")
    return results


def _guess(args: Args) -> tuple[Result, ...]:
    try:
        first = first_tensor(args)
    except StopIteration:
        return ()
    return ((first.shape, first.dtype),)


def _like_arguments(base: str, args: Args, result: str) -> list[Result]:
    """Return the arguments' common shape, as for an elementwise op."""
    tensors = [tensor for value in args.values() for tensor in tensors_in(value)]
    if result == "first":
        tensors = tensors[:1]  # the others are statistics, indices or options
    shape = broadcast(*(tensor.shape for tensor in tensors))
    if base in _COMPARISONS:
        return [(shape, "bool")]
    full = [tensor.dtype for tensor in tensors if len(tensor.shape) == len(shape)]
    wanted = [tensor.dtype for tensor in tensors if tensor.is_float] or full
    return [(shape, wanted[0])]
