"""What event names say: which are ops, markers or modules, and which kind of op."""

from simulator.memo import remember
from simulator.trace.gemms import is_product
from simulator.trace.gemms.product import words
from simulator.trace.kinds import listed_kind
from simulator.trace.op import OpKind, Phase
from simulator.trace.phases import FACTS

_POINTWISE = words(
    """
    abs add angle bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor ceil clamp_max clamp_min conj_physical copysign deg2rad div eq floor fmax fmin fmod
    frac frexp gcd ge gt hardshrink hardsigmoid hardtanh heaviside isinf isnan isneginf
    isposinf lcm ldexp le leaky_relu logaddexp2 logical_and logical_not logical_or logical_xor logit
    logit_backward lt maximum minimum mul nan_to_num ne neg nextafter rad2deg reciprocal relu
    remainder round rsub sgn sign signbit softshrink sub threshold trunc
    """
)
"""Ops that PyTorch tags as pointwise; the table of kinds relies on the tag."""

_RANDOM = words(
    """
    bernoulli bernoulli_ binomial cauchy cauchy_ exponential exponential_ geometric geometric_
    log_normal log_normal_ multinomial native_dropout normal normal_ poisson rand rand_like randint
    randint_like randn randn_like random random_ randperm rrelu_with_noise rrelu_with_noise_ uniform
    uniform_ _fused_dropout _sample_dirichlet _standard_gamma
    """
)
"""Ops that draw random numbers."""

_VIEWS = words(
    """
    as_strided as_strided_ chunk diagonal expand movedim narrow permute select slice split
    split_with_sizes squeeze squeeze_ t t_ transpose transpose_ unbind unfold unsqueeze unsqueeze_
    view view_as_real view_as_complex
    """
)
"""Ops that return another view of a storage."""

_COMPOSITES = words(
    """
    _scaled_dot_product_attention_math argsort avg_pool1d contiguous conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d is_nonzero item l1_loss linalg_norm linear
    matmul max_pool1d max_pool2d mish_backward msort nanmean one_hot prelu
    scaled_dot_product_attention selu selu_ slow_conv3d thnn_conv2d
    """
)
"""Ops in the table of kinds that PyTorch decomposes: the ops that they call do the work."""

_IDLE = words(
    """
    alpha_dropout contiguous data dropout feature_dropout is_complex is_floating_point item
    requires_grad_ reshape resolve_conj resolve_neg result_type size stride to type_as expand_as
    view_as flatten unflatten broadcast_tensors pin_memory is_pinned is_leaf output_nr _version
    retain_grad retains_grad dim numel is_contiguous is_same_size _has_compatible_shallow_copy_type
    _c10d_functional::wait_tensor
    """
)
"""Ops that do nothing unless they call another op."""

_LOSSES = ("binary_cross_entropy", "cross_entropy", "kl_div")
_NO_OPS = frozenset({"autograd", "torch", "profiler", "prim", "cuda"})
_GENERATED = ("triton_",)  # Inductor's kernels, which have no namespace
_EVALUATE = "autograd::engine::evaluate_function"
_COMPILED = ("Torch-Compiled Region", "## Call CompiledFxGraph")
_MARKERS = {facts.marker: phase for phase, facts in FACTS.items() if facts.marker}


@remember("base names of ops", most=4096)
def base_name(name: str) -> str:
    """Return "addmm" for "aten::addmm", "" for an event that is no op.

    Ops of other libraries keep their namespace, as their names may be those of ATen ops.
    """
    if name.startswith(_GENERATED):
        return name
    space, separator, base = name.partition("::")
    if not separator or "::" in base or not space.isidentifier() or space in _NO_OPS:
        return ""
    base = base.partition(".")[0]
    if space == "aten":
        return base
    return f"{space}::{base}" if space != "inductor" or is_product(f"{space}::{base}") else ""


@remember("kinds of ops by name", most=4096)
def kind_by_name(base: str) -> OpKind | None:
    """Return the kind of an op, None if its name does not determine it."""
    plain = base.rstrip("_")
    if base in _VIEWS:
        return OpKind.VIEW
    if base in _RANDOM:
        return OpKind.RANDOM
    kind = listed_kind(base)
    if kind is None and (plain in _POINTWISE or base.startswith("_foreach_")):
        return OpKind.ELEMENTWISE
    return kind


def draws(base: str) -> bool:
    """Return whether an op of that name draws random numbers."""
    return base in _RANDOM


def is_composite(base: str) -> bool:
    """Return whether the ops that this op calls do its work, although its kind is known."""
    return base in _COMPOSITES


def is_idle(base: str) -> bool:
    """Return whether an op does nothing unless it calls another one."""
    return base in _IDLE


def is_loss(base: str) -> bool:
    """Return whether an op computes a loss."""
    return base.endswith("_loss") or base.startswith(("nll_loss", *_LOSSES))


def is_backward(name: str) -> bool:
    """Return whether an event is the autograd engine evaluating one node."""
    return name.startswith(_EVALUATE)


def is_accumulation(name: str) -> bool:
    """Return whether an event is autograd accumulating the gradient of a parameter."""
    return name.endswith("AccumulateGrad")


def is_compiled(name: str) -> bool:
    """Return whether an event runs code made by torch.compile."""
    return name.startswith(_COMPILED)


def is_step(name: str) -> bool:
    """Return whether an event is the profiler's step marker."""
    return name.startswith("ProfilerStep#")


def module_name(name: str) -> str:
    """Return "Conv2d_0" for "nn.Module: Conv2d_0", "" for any other event."""
    return name.removeprefix("nn.Module: ") if name.startswith("nn.Module: ") else ""


@remember("phases of markers", most=4096)
def marked_phase(name: str) -> Phase | None:
    """Return the phase of one of PyTorch's own markers, None for any other event."""
    return next((phase for mark, phase in _MARKERS.items() if name.startswith(mark + "#")), None)
