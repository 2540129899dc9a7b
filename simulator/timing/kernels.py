"""Cost of kernels other than GEMMs on a class of cores, by the name of the op."""

from typing import NamedTuple

from simulator.hardware.cpu import Cpu
from simulator.timing.products import is_narrow
from simulator.timing.stretches import cycles_ps
from simulator.trace.op import Op, OpKind
from simulator.trace.op_kinds import KIND_FACTS


class KernelCost(NamedTuple):
    """A cost per element of `hardware.core.Core`, scaled by `permille`."""

    cost: str
    permille: int = 1000


# Where an op differs from its kind. Statistics of a norm are passes of their own: mean and variance
# forward, two sums and the gradient backward (ATen, batch_norm_kernel.cpp, layer_norm_kernel.cpp).
_OF_OP = {
    "div": KernelCost("division"),
    "reciprocal": KernelCost("division"),
    "sqrt": KernelCost("division"),
    "rsqrt": KernelCost("division", 2000),
    "addcdiv": KernelCost("division"),
    "_fused_adam": KernelCost("division", 2000),
    "_fused_adamw": KernelCost("division", 2000),
    "erf": KernelCost("erf"),
    "tanh": KernelCost("erf"),
    "gelu": KernelCost("erf"),
    "gelu_backward": KernelCost("erf", 1400),
    "_thnn_fused_lstm_cell": KernelCost("erf", 2500),
    "_thnn_fused_gru_cell": KernelCost("erf", 2500),
    "native_batch_norm_backward": KernelCost("norm", 1500),
    "native_layer_norm": KernelCost("norm", 1000),
    "native_layer_norm_backward": KernelCost("norm", 1500),
    "native_group_norm": KernelCost("norm", 1000),
    "native_group_norm_backward": KernelCost("norm", 1500),
    "_softmax_backward_data": KernelCost("reduction", 2000),
    "_log_softmax_backward_data": KernelCost("exponential"),
    "max_pool2d_with_indices_backward": KernelCost("embedding"),
    "pow": KernelCost("elementwise"),
    "fill": KernelCost("elementwise"),
    "zero": KernelCost("elementwise"),
    "zeros_like": KernelCost("elementwise"),
    "ones_like": KernelCost("elementwise"),
}
_BATCH_NORMS = frozenset(
    {
        "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
        "_native_batch_norm_legit_functional", "_batch_norm_with_update", "cudnn_batch_norm",
    }
)  # fmt: skip


def kernel_of(op: Op) -> KernelCost:
    """Return the cost of an op; in-place and foreach variants cost the same per element."""
    name = op.base_name
    plain = name.removeprefix("_foreach_").rstrip("_")
    if plain in _BATCH_NORMS:
        return KernelCost("norm", 2000) if _takes_statistics(op) else KernelCost("elementwise")
    return _OF_OP.get(name) or _OF_OP.get(plain) or _of_kind(op.kind)


def _of_kind(kind: OpKind) -> KernelCost:
    cost = KIND_FACTS[kind].cost
    return KernelCost("elementwise", 0) if cost is None else KernelCost(cost)


def _takes_statistics(op: Op) -> bool:
    """Return whether a batch norm is in training mode: in evaluation it saves no statistics."""
    return sum(1 for tensor in op.outputs if tensor.elements) > 1


def millicycles(cpu: Cpu, kernel: KernelCost, dtype: str = "float32") -> int:
    """Return millicycles per element on one core, with the conversion of unsupported floats."""
    each = getattr(cpu.costs, kernel.cost) * kernel.permille // 1000
    return int(each) + (cpu.costs.narrow_conversion if is_narrow(cpu, dtype) else 0)


def kernel_ps(cpu: Cpu, op: Op, elements: int, threads: int) -> int:
    """Return the time in ps of the arithmetic of an op on `elements`."""
    each = millicycles(cpu, kernel_of(op), dtype_of(op))
    return cycles_ps(cpu, elements * each, threads)


def dtype_of(op: Op) -> str:
    """Return the dtype of the arithmetic: the widest float, else the widest type."""
    tensors = (*op.outputs, *op.inputs)
    floats = [tensor for tensor in tensors if tensor.is_float] or tensors
    return max(floats, key=lambda tensor: tensor.bits).dtype if floats else "float32"


def between_kind(op_name: str) -> OpKind:
    """Return the kind of work between two GEMMs of a fused op: softmax, or recurrent gates."""
    return OpKind.SOFTMAX if "attention" in op_name else OpKind.TRANSCENDENTAL


def between_products(op_name: str) -> KernelCost:
    """Return the cost of the work between two GEMMs of a fused op."""
    return KernelCost("softmax" if between_kind(op_name) is OpKind.SOFTMAX else "erf")
