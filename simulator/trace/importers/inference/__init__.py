"""What a profile lacks: shape and type of an op's results, inferred from its arguments."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from simulator.trace.gemms import products
from simulator.trace.gemms.product import words
from simulator.trace.header import LARGEST_STORAGE
from simulator.trace.importers.inference import creation, lookups, reductions, resizing
from simulator.trace.importers.inference.allocation import allocated
from simulator.trace.importers.inference.product_results import product_results
from simulator.trace.importers.inference.result import (
    Args,
    ResultRule,
    TensorType,
    broadcast,
    count,
    first_tensor,
)
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Node
from simulator.trace.importers.values import MALFORMED, tensors_in
from simulator.trace.op import OpKind, bits_of
from simulator.trace.op_kinds import KIND_FACTS

_COMPARISONS = words(
    "eq ne lt le gt ge isnan isinf isin logical_not logical_and logical_or logical_xor signbit"
)
_RULES: dict[str, ResultRule] = {
    **creation.RULES,
    **resizing.RULES,
    **reductions.RULES,
    **lookups.RULES,
}


@dataclass(frozen=True, slots=True)
class InferredResults:
    """The results of an op; `guessed` if its arguments do not determine them."""

    results: tuple[TensorType, ...]
    guessed: bool = False


def infer(base: str, args: Args, node: Node | None = None) -> InferredResults:
    """Return shape and element type of the results of an op.

    An in-place op has no result of its own. Arguments that do not suffice leave the tensor that the
    op allocated, if its `node` shows one, else a guess: like the first argument.
    """
    if base.endswith("_") and not base.startswith("__"):
        return InferredResults(())
    with suppress(*MALFORMED, ArithmeticError, StopIteration, RuntimeError):
        return InferredResults(_checked(_by_rule(base, args)))
    with suppress(ValueError):
        if node and (allocation := allocated(node)):
            return InferredResults(_checked([allocation]))
    return InferredResults(_guess(args), guessed=True)


def _by_rule(base: str, args: Args) -> Iterable[TensorType]:
    """Return the results that follow from the arguments; raises one of many errors if none do."""
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


def _checked(inferred: Iterable[TensorType]) -> tuple[TensorType, ...]:
    results = tuple(inferred)
    for shape, dtype in results:
        if min(shape, default=0) < 0 or count(shape) * bits_of(dtype) > 8 * LARGEST_STORAGE:
            raise ValueError(f"a result of shape {shape}")
    return results


def _guess(args: Args) -> tuple[TensorType, ...]:
    try:
        first = first_tensor(args)
    except StopIteration:
        return ()
    return ((first.shape, first.dtype),)


def _like_arguments(base: str, args: Args, result: str) -> list[TensorType]:
    """Return the arguments' common shape, as for an elementwise op."""
    tensors = [tensor for value in args.values() for tensor in tensors_in(value)]
    if result == "first":
        tensors = tensors[:1]  # the others are statistics, indices or options
    shape = broadcast(*(tensor.shape for tensor in tensors))
    if base in _COMPARISONS:
        return [(shape, "bool")]
    full = [tensor.dtype for tensor in tensors if len(tensor.shape) == len(shape)]
    dtypes = [tensor.dtype for tensor in tensors if tensor.is_float] or full
    return [(shape, dtypes[0])]
