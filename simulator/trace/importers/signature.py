"""What the arguments of an op are called and which of them it writes to."""

from dataclasses import dataclass
from functools import lru_cache

_SELF_OTHER = "self, other, third, fourth"
_CONVOLUTION = "input, weight, bias, stride, padding, dilation, transposed, output_padding, groups"
_ATTENTION = "query, key, value"
_FUSED_ADAM = (
    "self!, grads!, exp_avgs!, exp_avg_sqs!, max_exp_avg_sqs!, state_steps, lr, beta1, beta2, "
    "weight_decay, eps, amsgrad, maximize, grad_scale, found_inf"
)
_RNN = (
    "input, weight0, weight1, weight2, weight3, hx_, cx_, reverse, batch_sizes, mode, "
    "hidden_size, num_layers, has_biases, bidirectional, batch_first, train"
)
_RNN_BACKWARD = (
    "input, weight1, weight2, weight3, weight4, hx_, cx_tmp, output, hy_, cy_, grad_output, "
    "grad_hy, grad_cy, reverse, mode, hidden_size, num_layers, has_biases, train, bidirectional, "
    "batch_sizes, batch_first, workspace"
)
_POOL = "self, kernel_size, stride, padding, dilation, ceil_mode"

KNOWN = {
    "_adaptive_avg_pool2d": "self, output_size",
    "_adaptive_avg_pool2d_backward": "grad_output, self",
    "_adaptive_avg_pool3d_backward": "grad_output, self",
    "_convolution": _CONVOLUTION,
    "_fused_adagrad_": "self!, grads!, state_sums!, state_steps!, lr, lr_decay, weight_decay, "
    "eps, maximize, grad_scale, found_inf",
    "_fused_adam_": _FUSED_ADAM,
    "_fused_adamw_": _FUSED_ADAM,
    "_fused_sgd_": "self!, grads!, momentum_buffer_list!, weight_decay, momentum, lr, dampening, "
    "nesterov, maximize, is_first_step, grad_scale, found_inf",
    "_scaled_dot_product_cudnn_attention": _ATTENTION
    + ", attn_bias, compute_log_sumexp, dropout_p",
    "_scaled_dot_product_cudnn_attention_backward": "grad_out, " + _ATTENTION,
    "_scaled_dot_product_efficient_attention": _ATTENTION
    + ", attn_bias, compute_log_sumexp, dropout_p",
    "_scaled_dot_product_efficient_attention_backward": "grad_out_, " + _ATTENTION,
    "_scaled_dot_product_flash_attention": _ATTENTION + ", dropout_p, is_causal",
    "_scaled_dot_product_flash_attention_backward": "grad_out, " + _ATTENTION,
    "_scaled_dot_product_flash_attention_for_cpu": _ATTENTION + ", dropout_p, is_causal",
    "_scaled_dot_product_flash_attention_for_cpu_backward": "grad_out, " + _ATTENTION,
    "_scaled_mm": "self, mat2, scale_a, scale_b, bias",
    "_to_copy": "self, dtype",
    "adaptive_max_pool2d_backward": "grad_output, self, indices",
    "addbmm": "self, batch1, batch2",
    "addmm": "self, mat1, mat2, beta, alpha",
    "addmv": "self, mat, vec",
    "avg_pool2d": "self, kernel_size, stride, padding, ceil_mode",
    "avg_pool2d_backward": "grad_output, self",
    "avg_pool3d_backward": "grad_output, self",
    "baddbmm": "self, batch1, batch2",
    "bmm": "self, mat2",
    "cat": "tensors, dim",
    "convolution": _CONVOLUTION,
    "convolution_backward": "grad_output, input, weight, bias_sizes, stride, padding, dilation, "
    "transposed, output_padding, groups, output_mask",
    "convolution_overrideable": _CONVOLUTION,
    "cudnn_batch_norm": "input, weight, bias, running_mean, running_var, training",
    "dot": "self, tensor",
    "embedding": "weight, indices",
    "embedding_dense_backward": "grad_output, indices, num_weights",
    "gather": "self, dim, index",
    "index": "self, indices",
    "index_select": "self, dim, index",
    "linear": "input, weight, bias",
    "max_pool2d_with_indices": _POOL,
    "max_pool2d_with_indices_backward": "grad_output, " + _POOL + ", indices",
    "max_pool3d_with_indices_backward": "grad_output, " + _POOL + ", indices",
    "mkldnn_rnn_layer": _RNN,
    "mkldnn_rnn_layer_backward": _RNN_BACKWARD,
    "mm": "self, mat2",
    "mv": "self, vec",
    "native_batch_norm": "input, weight, bias, running_mean, running_var, training",
    "native_batch_norm_backward": "grad_out, input, weight, running_mean, running_var, save_mean, "
    "save_invstd, train, eps, output_mask",
    "native_dropout": "input, p, train",
    "native_group_norm": "input, weight, bias, N, C, HxW, group",
    "native_group_norm_backward": "grad_out, input, mean, rstd, weight, N, C, HxW, group, "
    "output_mask",
    "native_layer_norm": "input, normalized_shape, weight, bias, eps",
    "native_layer_norm_backward": "grad_out, input, normalized_shape, mean, rstd, weight, bias, "
    "output_mask",
    "nll_loss2d_backward": "grad_output, self, target, weight, reduction, ignore_index, "
    "total_weight",
    "nll_loss_backward": "grad_output, self, target, weight, reduction, ignore_index, total_weight",
    "stack": "tensors, dim",
    "take": "self, index",
    "topk": "self, k, dim",
    "vdot": "self, other",
}
"""Arguments by position where a trace has no schema; "!" marks those that are written."""

_DEFAULTS = {"output_padding": (0,), "batch_first": False}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of an op: whether it is written, and whether it is there only for the result."""

    name: str
    written: bool
    out: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of an op in order, and which variant of the op it is."""

    arguments: tuple[Argument, ...]
    overload: str

    def named(self, values: tuple[object, ...]) -> dict[str, object]:
        """Return the values by name."""
        given = zip((argument.name for argument in self.arguments), values, strict=False)
        return _DEFAULTS | dict(given)


@lru_cache(maxsize=8192)
def signature(base: str, schema: str) -> Signature:
    """Return the signature of the op `base` from its PyTorch schema, or, if "", from its name."""
    if schema:
        name, _, rest = schema.partition("(")
        overload = name.partition(".")[2] or "default"
        return Signature(_parsed(rest.rpartition("->")[0] or rest), overload)
    text = KNOWN.get(base, _SELF_OTHER)
    arguments = _parsed(text + ")")
    if base not in KNOWN and base.endswith("_"):
        first, *others = arguments
        arguments = (Argument(first.name, True, False), *others)
    return Signature(arguments, "")


def _parsed(text: str) -> tuple[Argument, ...]:
    """Parse "Tensor(a!) self, Tensor other, *, Scalar alpha=1)"."""
    arguments = []
    keyword = False
    for piece in _pieces(text):
        if piece == "*":
            keyword = True
            continue
        name = piece.partition("=")[0].split()[-1].rstrip("!")
        written = "!" in piece.partition("=")[0]
        arguments.append(Argument(name, written, written and keyword))
    return tuple(arguments)


def _pieces(text: str) -> list[str]:
    pieces, depth, piece = [], 0, ""
    for character in text:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            break
        if character == "," and not depth:
            pieces.append(piece.strip())
            piece = ""
        else:
            piece += character
    return [*pieces, piece.strip()] if piece.strip() else pieces
