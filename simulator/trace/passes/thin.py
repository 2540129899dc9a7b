"""Block-sparse weights: each block of outputs keeps the same fraction of its inputs.

GEMMs, weights, weight gradients and optimizer state shrink by that density, exactly where it
divides the number of inputs. Activations stay dense.
"""

from dataclasses import dataclass, replace

from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.passes.families import family, weights
from simulator.trace.passes.rewrite import Pass
from simulator.trace.passes.treatment import Treatment
from simulator.trace.trace import Step

_DENSE = 1000  # permille


@dataclass(frozen=True)
class Thin(Pass[int]):
    """Shrinks the weights of each layer to its density, in permille."""

    key = "density"
    value_type = int

    @classmethod
    def value_in(cls, treatment: Treatment) -> int | None:
        """Return the density of a sparse layer, None for a dense one."""
        return treatment.density if treatment.density < _DENSE else None

    def apply(self, step: Step) -> Step:
        """Return `step` with the weights of each layer at its density."""
        densities: dict[int, int] = {}
        for index, layer in weights(step).items():
            density = self.of(layer)
            if density is not None:
                densities |= dict.fromkeys(family(step, {index}, layer.__eq__), density)
        if not densities:
            return step
        storages = tuple(
            replace(storage, bytes=_scaled(storage.bytes, densities.get(index, _DENSE)))
            for index, storage in enumerate(step.storages)
        )
        ops = tuple(_thin(op, densities) for op in step.ops)
        return replace(step, ops=ops, storages=storages)


def _thin(op: Op, densities: dict[int, int]) -> Op:
    if not any(tensor.storage in densities for tensor in (*op.inputs, *op.outputs)):
        return op

    def thin(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            _thin_tensor(tensor, densities.get(tensor.storage, _DENSE)) for tensor in tensors
        )

    gemms = tuple(_thin_gemm(op, gemm, densities) for gemm in op.gemms)
    return replace(op, inputs=thin(op.inputs), outputs=thin(op.outputs), gemms=gemms)


def _thin_tensor(tensor: Tensor, density: int) -> Tensor:
    if density == _DENSE or not tensor.shape:
        return tensor
    axis = axis_of_inputs(tensor)
    shape = list(tensor.shape)
    shape[axis] = _scaled(shape[axis], density)
    return replace(tensor, shape=tuple(shape))


def axis_of_inputs(tensor: Tensor) -> int:
    """Return the input axis of a weight: 1 of [outputs, inputs, ...], 0 of a transposed view."""
    transposed = len(tensor.shape) == 2 and tensor.strides[0] < tensor.strides[1]
    return 0 if transposed or len(tensor.shape) == 1 else 1


def _thin_gemm(op: Op, gemm: Gemm, densities: dict[int, int]) -> Gemm:
    tensors = [op.inputs[which] for which in (gemm.a, gemm.b) if which >= 0]
    tensors += [op.outputs[gemm.c]] if gemm.c >= 0 else []
    density = next((densities[t.storage] for t in tensors if t.storage in densities), _DENSE)
    if density == _DENSE:
        return gemm
    if gemm.conv is not None:
        conv = replace(gemm.conv, in_channels=_scaled(gemm.conv.in_channels, density))
        # Outside training (augmentation, say) a convolution has the sizes of a forward one.
        m, n, k = conv.product(Role.FORWARD if gemm.role is Role.OTHER else gemm.role)
        return replace(gemm, m=m, n=n, k=k, conv=conv)
    if gemm.role is Role.FORWARD:
        return replace(gemm, k=_scaled(gemm.k, density))
    made = tensors[-1]
    if gemm.role is Role.WGRAD and gemm.c >= 0 and axis_of_inputs(made) == 0:
        return replace(gemm, m=_scaled(gemm.m, density))
    return replace(gemm, n=_scaled(gemm.n, density))


def _scaled(size: int, permille: int) -> int:
    return size if permille == _DENSE else max(1, round(size * permille / _DENSE))
