"""What an aten op does, by its name alone: its kind, which arguments it reads or writes."""

from typing import Any

from simulator.trace.op import OpKind


def _table() -> dict[str, OpKind]:
    names = {
        OpKind.GEMM: """
            mm addmm bmm baddbmm addbmm mv addmv dot vdot linear matmul _scaled_mm
            convolution _convolution convolution_overrideable convolution_backward
            mkldnn_rnn_layer mkldnn_rnn_layer_backward
            _transformer_encoder_layer_fwd _native_multi_head_attention
            _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_backward
            _scaled_dot_product_flash_attention_for_cpu
            _scaled_dot_product_flash_attention_for_cpu_backward
            _scaled_dot_product_efficient_attention
            _scaled_dot_product_efficient_attention_backward
            _scaled_dot_product_cudnn_attention _scaled_dot_product_cudnn_attention_backward
            _scaled_dot_product_fused_attention_overrideable
            _scaled_dot_product_fused_attention_overrideable_backward""",
        OpKind.VIEW: """
            empty empty_like empty_strided new_empty new_empty_strided empty_permuted
            detach detach_ alias set_ resize_ lift lift_fresh _unsafe_view _reshape_alias
            is_same_size""",
        OpKind.TRANSCENDENTAL: """
            exp exp2 expm1 log log2 log10 log1p tanh sigmoid log_sigmoid_forward
            log_sigmoid_backward gelu gelu_backward silu silu_backward mish mish_backward
            elu elu_backward celu selu softplus softplus_backward pow sqrt rsqrt erf erfc erfinv
            sin cos tan asin acos atan atan2 sinh cosh asinh acosh atanh sinc lgamma digamma
            logaddexp xlogy hypot cbrt polar
            binary_cross_entropy binary_cross_entropy_with_logits
            _fused_adam _fused_adamw _fused_adagrad glu glu_backward""",
        OpKind.ELEMENTWISE: """
            _fused_sgd threshold_backward tanh_backward sigmoid_backward hardtanh_backward
            leaky_relu_backward hardswish_backward hardsigmoid_backward mse_loss mse_loss_backward
            smooth_l1_loss smooth_l1_loss_backward huber_loss huber_loss_backward l1_loss
            binary_cross_entropy_backward where lerp addcmul addcdiv clamp masked_fill prelu
            _prelu_kernel _prelu_kernel_backward native_dropout_backward tril triu
            nll_loss_backward nll_loss2d_backward _amp_foreach_non_finite_check_and_unscale
            _amp_update_scale
            fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
            _fake_quantize_per_tensor_affine_cachemask_tensor_qparams""",
        OpKind.REDUCTION: """
            sum mean max min amax amin aminmax argmax argmin prod any all var std var_mean std_mean
            norm linalg_vector_norm logsumexp cumsum cumprod count_nonzero bincount trace
            nll_loss_forward nll_loss2d_forward nanmean nansum equal
            linalg_norm histc dist renorm""",
        OpKind.NORM: """
            native_batch_norm native_batch_norm_backward _native_batch_norm_legit
            _native_batch_norm_legit_no_training _batch_norm_with_update batch_norm_backward
            cudnn_batch_norm cudnn_batch_norm_backward native_layer_norm
            native_layer_norm_backward native_group_norm native_group_norm_backward
            _fused_rms_norm _fused_rms_norm_backward _weight_norm_interface
            _weight_norm_interface_backward local_response_norm""",
        OpKind.SOFTMAX: """
            _softmax _log_softmax _softmax_backward_data _log_softmax_backward_data
            _masked_softmax _safe_softmax""",
        OpKind.POOL: """
            max_pool2d_with_indices max_pool2d_with_indices_backward max_pool3d_with_indices
            max_pool3d_with_indices_backward max_pool1d max_pool2d mkldnn_max_pool2d
            mkldnn_max_pool2d_backward avg_pool1d avg_pool2d
            avg_pool2d_backward avg_pool3d avg_pool3d_backward adaptive_max_pool2d
            adaptive_max_pool2d_backward _adaptive_avg_pool2d _adaptive_avg_pool2d_backward
            _adaptive_avg_pool3d _adaptive_avg_pool3d_backward adaptive_max_pool3d
            im2col col2im unfold_backward upsample_nearest1d upsample_nearest2d
            upsample_nearest2d_backward upsample_bilinear2d upsample_bilinear2d_backward
            upsample_bicubic2d upsample_bicubic2d_backward grid_sampler_2d
            grid_sampler_2d_backward""",
        OpKind.COPY: """
            copy _to_copy clone contiguous cat stack fill zero zeros ones full zeros_like ones_like
            full_like new_zeros new_ones new_full scalar_tensor constant_pad_nd reflection_pad1d
            reflection_pad2d replication_pad2d reflection_pad2d_backward roll flip repeat
            repeat_interleave arange linspace eye one_hot select_backward slice_backward
            slice_scatter select_scatter as_strided_copy unbind_copy _pin_memory
            select_copy split_copy""",
        OpKind.EMBEDDING: """
            embedding embedding_dense_backward _embedding_bag _embedding_bag_backward
            _embedding_bag_dense_backward embedding_renorm index index_select index_put
            _index_put_impl _unsafe_index _unsafe_index_put gather scatter scatter_add
            scatter_reduce index_add index_copy index_fill take put masked_select
            masked_scatter nonzero""",
        OpKind.SORT: """
            sort topk argsort kthvalue median mode msort unique_dim unique_consecutive _unique2
            _unique searchsorted bucketize""",
        OpKind.SYNC: "_local_scalar_dense item is_nonzero",
    }
    return {name: kind for kind, text in names.items() for name in text.split()}


KINDS = _table()
GATHERS = {
    "embedding": "weight", "index": "self", "index_select": "self", "gather": "self",
    "take": "self", "_unsafe_index": "self", "masked_select": "self",
}  # fmt: skip
"""Ops that read, of the named argument, no more elements than they return."""

_OVERWRITES = {
    "zero_", "fill_", "copy_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_",
    "geometric_", "cauchy_", "log_normal_", "_foreach_zero_", "_foreach_copy_", "eye_",
}  # fmt: skip
SHAPE_ONLY = {
    "max_pool2d_with_indices_backward": "self",
    "max_pool3d_with_indices_backward": "self",
    "avg_pool2d_backward": "self",
    "avg_pool3d_backward": "self",
    "_adaptive_avg_pool2d_backward": "self",
    "_adaptive_avg_pool3d_backward": "self",
    "adaptive_max_pool2d_backward": "self",
    "nll_loss_backward": "self",
    "nll_loss2d_backward": "self",
}
"""Ops that ask of the named argument only its shape: their result has it too."""

_UNANNOTATED_NORMS = frozenset({"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"})


def listed_kind(name: str) -> OpKind | None:
    """Return the kind of an op in the table, in whatever variant (in place, over lists)."""
    plain = name.removeprefix("_foreach_").rstrip("_")
    return KINDS.get(name) or KINDS.get(plain)


def writes(name: str, argument: str, annotated: bool, args: dict[str, Any]) -> bool:
    """Tell whether the call writes to `argument`, where the schema says `annotated`."""
    if name in _UNANNOTATED_NORMS and argument.startswith("running_"):
        return bool(args.get("training"))
    # Fused optimizers mark gradients as mutable for the sake of unscaling only.
    if name.startswith("_fused_") and argument == "grads":
        return args.get("grad_scale") is not None
    return annotated


def reads(name: str, argument: str, out: bool, args: dict[str, Any]) -> bool:
    """Tell whether the call reads the bytes of `argument`; `out` marks a pure result argument."""
    if out:
        return False
    if argument == "self" and (name in _OVERWRITES or name.endswith("_like")):
        return False
    if argument == "self" and name.startswith("new_"):
        return False
    if name == "convolution_backward" and argument in ("input", "weight"):
        return bool(args["output_mask"][0 if argument == "weight" else 1])
    return SHAPE_ONLY.get(name) != argument
