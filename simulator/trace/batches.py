"""The batch of a product's op, and ops that are parts of it: images of a convolution, rows of a
linear layer, matrices of a batched product.

A forward product and a gradient of inputs fall into parts of their results. A gradient of weights
sums over the batch: each part makes a whole one, and these are to be added.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from simulator.trace.op import Gemm, Op, Role, Tensor


class Batch(NamedTuple):
    """How much there is to share, and along which dimension inputs and outputs have it.

    What is in neither mapping every part reads, or makes, whole.
    """

    size: int
    inputs: Mapping[int, int]
    outputs: Mapping[int, int]


class _Cut(NamedTuple):
    """The size of a product that is cut, its field, and the dimensions of a, b and c, -1: whole."""

    size: int
    field: str
    a: int
    b: int
    c: int


def shares(size: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Return whole parts of `size` by `weights`, each less than 1 beside its exact share."""
    whole = sum(weights)
    ends = [size * end // whole for end in accumulate(weights, initial=0)]
    return tuple(end - start for start, end in pairwise(ends))


def batch_of(op: Op) -> Batch | None:
    """Return the batch that all products of `op` have in common; None if there is none to cut."""
    inputs: dict[int, int] = {}
    outputs: dict[int, int] = {}
    cuts = [_cut_of(gemm) for gemm in op.gemms]
    sizes = {cut.size for cut in cuts}
    if len(sizes) != 1:
        return None
    for gemm, cut in zip(op.gemms, cuts, strict=True):
        for which, dimension in ((gemm.a, cut.a), (gemm.b, cut.b)):
            if which < 0 or inputs.setdefault(which, dimension) != dimension:
                return None
        if gemm.c < 0 or gemm.causal or outputs.setdefault(gemm.c, cut.c) != cut.c:
            return None
    batch = Batch(sizes.pop(), _along(inputs), _along(outputs))
    pairs = ((op.inputs, batch.inputs), (op.outputs, batch.outputs))
    fits = all(_has(tensors[i], d, batch.size) for tensors, cut in pairs for i, d in cut.items())
    return batch if fits else None


def cut(op: Op, batch: Batch, sizes: Sequence[int]) -> tuple[Op, ...]:
    """Return ops that compute the products of `op`, each on so much of its `batch`.

    What else `op` makes, such as a gradient of a bias, no part does.
    """
    bounds = pairwise(accumulate(sizes, initial=0))
    return tuple(_part(op, batch, start, end - start) for start, end in bounds)


def _cut_of(gemm: Gemm) -> _Cut:
    wgrad = gemm.role is Role.WGRAD
    if gemm.conv is not None:
        return _Cut(gemm.conv.images, "conv", 0, *((0, -1) if wgrad else (-1, 0)))
    if gemm.batch > 1:
        return _Cut(gemm.batch, "batch", 0, 0, 0)
    return _Cut(gemm.k, "k", 1, 0, -1) if wgrad else _Cut(gemm.m, "m", 0, -1, 0)


def _along(dimensions: Mapping[int, int]) -> dict[int, int]:
    return {which: dimension for which, dimension in dimensions.items() if dimension >= 0}


def _has(tensor: Tensor, dimension: int, size: int) -> bool:
    return len(tensor.shape) > dimension and tensor.shape[dimension] == size


def _part(op: Op, batch: Batch, start: int, size: int) -> Op:
    made = [which for which in range(len(op.outputs)) if any(g.c == which for g in op.gemms)]
    return replace(
        op,
        inputs=tuple(_narrowed(op.inputs, batch.inputs, start, size)),
        outputs=tuple([*_narrowed(op.outputs, batch.outputs, start, size)][i] for i in made),
        gemms=tuple(replace(_smaller(gemm, size), c=made.index(gemm.c)) for gemm in op.gemms),
    )


def _smaller(gemm: Gemm, size: int) -> Gemm:
    if gemm.conv is None:
        changed: dict[str, Any] = {_cut_of(gemm).field: size}
        return replace(gemm, **changed)
    conv = replace(gemm.conv, images=size)
    m, n, k = conv.product(gemm.role)
    return replace(gemm, m=m, n=n, k=k, conv=conv)


def _narrowed(
    tensors: Sequence[Tensor], dimensions: Mapping[int, int], start: int, size: int
) -> Iterator[Tensor]:
    """Yield `tensors`, those that have the batch from `start` on along their dimension of it."""
    for which, tensor in enumerate(tensors):
        dimension = dimensions.get(which)
        if dimension is None:
            yield tensor
            continue
        shape = (*tensor.shape[:dimension], size, *tensor.shape[dimension + 1 :])
        offset = tensor.offset + start * tensor.strides[dimension]
        yield replace(tensor, shape=shape, offset=offset)
