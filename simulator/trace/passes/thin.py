"""Block-sparse weights: of each block of outputs a share of the inputs is kept.

Products, weights, gradients of weights and optimizer state shrink by that share, exactly where it
divides the number of inputs. Activations are read and written whole.
"""

from dataclasses import replace

from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.passes.families import family, weights
from simulator.trace.passes.treatment import Method
from simulator.trace.trace import Step

_ALL = 1000


def thinned(step: Step, method: Method) -> Step:
    """Return `step` with the weights of each layer at its density."""
    shares: dict[int, int] = {}
    for index, layer in weights(step).items():
        density = method.of(layer).density
        if density < _ALL:
            shares |= dict.fromkeys(family(step, {index}, layer.__eq__), density)
    if not shares:
        return step
    storages = tuple(
        replace(storage, bytes=_share(storage.bytes, shares.get(index, _ALL)))
        for index, storage in enumerate(step.storages)
    )
    return replace(step, ops=tuple(_thin(op, shares) for op in step.ops), storages=storages)


def _thin(op: Op, shares: dict[int, int]) -> Op:
    if not any(tensor.storage in shares for tensor in (*op.inputs, *op.outputs)):
        return op

    def thin(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(_thin_tensor(tensor, shares.get(tensor.storage, _ALL)) for tensor in tensors)

    gemms = tuple(_thin_gemm(op, gemm, shares) for gemm in op.gemms)
    return replace(op, inputs=thin(op.inputs), outputs=thin(op.outputs), gemms=gemms)


def _thin_tensor(tensor: Tensor, share: int) -> Tensor:
    if share == _ALL or not tensor.shape:
        return tensor
    axis = _axis_of_inputs(tensor)
    shape = list(tensor.shape)
    shape[axis] = _share(shape[axis], share)
    return replace(tensor, shape=tuple(shape))


def _axis_of_inputs(tensor: Tensor) -> int:
    """Return the axis of a weight's inputs: the second of [outputs, inputs, ...], the first of its
    transposed view.
    """
    transposed = len(tensor.shape) == 2 and tensor.strides[0] < tensor.strides[1]
    return 0 if transposed or len(tensor.shape) == 1 else 1


def _thin_gemm(op: Op, gemm: Gemm, shares: dict[int, int]) -> Gemm:
    tensors = [op.inputs[which] for which in (gemm.a, gemm.b) if which >= 0]
    tensors += [op.outputs[gemm.c]] if gemm.c >= 0 else []
    share = next((shares[t.storage] for t in tensors if t.storage in shares), _ALL)
    if share == _ALL:
        return gemm
    if gemm.conv is not None:
        conv = replace(gemm.conv, in_channels=_share(gemm.conv.in_channels, share))
        # A convolution outside training, as of the data's preparation, has the forward one's sizes.
        m, n, k = conv.product(Role.FORWARD if gemm.role is Role.OTHER else gemm.role)
        return replace(gemm, m=m, n=n, k=k, conv=conv)
    if gemm.role is Role.FORWARD:
        return replace(gemm, k=_share(gemm.k, share))
    made = tensors[-1]
    if gemm.role is Role.WGRAD and gemm.c >= 0 and _axis_of_inputs(made) == 0:
        return replace(gemm, m=_share(gemm.m, share))
    return replace(gemm, n=_share(gemm.n, share))


def _share(size: int, permille: int) -> int:
    return size if permille == _ALL else max(1, round(size * permille / _ALL))
