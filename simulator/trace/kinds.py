"""Kind of an ATen op, and the arguments that it reads and writes, by its name."""

from typing import Any

from simulator.trace.collectives import collective, is_result, receives
from simulator.trace.gemms import is_product
from simulator.trace.op import OpKind


def _table() -> dict[str, OpKind]:
    names = {
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
            _fused_adam _fused_adamw _fused_adagrad glu glu_backward
            _thnn_fused_lstm_cell _thnn_fused_gru_cell _thnn_fused_lstm_cell_backward
            _thnn_fused_lstm_cell_backward_impl _thnn_fused_gru_cell_backward
            _fft_r2c _fft_c2r _fft_c2c soft_margin_loss soft_margin_loss_backward igamma
            igammac polygamma i0""",
        OpKind.ELEMENTWISE: """
            _fused_sgd threshold_backward tanh_backward sigmoid_backward hardtanh_backward
            leaky_relu_backward hardswish_backward hardsigmoid_backward mse_loss mse_loss_backward
            smooth_l1_loss smooth_l1_loss_backward huber_loss huber_loss_backward l1_loss
            binary_cross_entropy_backward where lerp addcmul addcdiv clamp masked_fill prelu
            _prelu_kernel _prelu_kernel_backward native_dropout_backward tril triu
            nll_loss_backward nll_loss2d_backward _amp_foreach_non_finite_check_and_unscale
            _amp_update_scale
            fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
            _fake_quantize_per_tensor_affine_cachemask_tensor_qparams
            hardswish hardshrink_backward softshrink_backward floor_divide addr complex
            _conj_physical _masked_scale rrelu_with_noise_backward isin quantize_per_tensor
            quantize_per_channel quantize_per_tensor_dynamic dequantize _cdist_forward
            _cdist_backward _transform_bias_rescale_qkv""",
        OpKind.REDUCTION: """
            sum mean max min amax amin aminmax argmax argmin prod any all var std var_mean std_mean
            norm linalg_vector_norm logsumexp cumsum cumprod cummax cummin logcumsumexp
            _cummax_helper _cummin_helper count_nonzero bincount trace
            nll_loss_forward nll_loss2d_forward nanmean nansum equal
            linalg_norm histc dist renorm multi_margin_loss multi_margin_loss_backward
            _ctc_loss _ctc_loss_backward segment_reduce _is_all_true
            _is_any_true allclose""",
        OpKind.NORM: """
            native_batch_norm native_batch_norm_backward _native_batch_norm_legit
            _native_batch_norm_legit_no_training _batch_norm_with_update batch_norm_backward
            cudnn_batch_norm cudnn_batch_norm_backward native_layer_norm
            native_layer_norm_backward native_group_norm native_group_norm_backward
            _fused_rms_norm _fused_rms_norm_backward _weight_norm_interface
            _weight_norm_interface_backward local_response_norm
            miopen_batch_norm miopen_batch_norm_backward batch_norm_stats batch_norm_elemt
            batch_norm_update_stats batch_norm_backward_reduce batch_norm_backward_elemt
            _native_batch_norm_legit_functional quantized_batch_norm""",
        OpKind.SOFTMAX: """
            _softmax _log_softmax _softmax_backward_data _log_softmax_backward_data
            _masked_softmax _safe_softmax _masked_softmax_backward""",
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
            grid_sampler_2d_backward
            grid_sampler_3d grid_sampler_3d_backward cudnn_grid_sampler affine_grid_generator
            upsample_nearest1d_backward upsample_nearest3d upsample_nearest3d_backward
            upsample_linear1d upsample_linear1d_backward upsample_trilinear3d
            upsample_trilinear3d_backward _upsample_nearest_exact1d _upsample_nearest_exact2d
            _upsample_nearest_exact3d _upsample_nearest_exact1d_backward
            _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward
            _upsample_bilinear2d_aa _upsample_bilinear2d_aa_backward _upsample_bicubic2d_aa
            _upsample_bicubic2d_aa_backward adaptive_avg_pool3d_backward
            adaptive_max_pool3d_backward fractional_max_pool2d fractional_max_pool3d
            max_unpool2d max_unpool3d mkldnn_max_pool3d mkldnn_adaptive_avg_pool2d""",
        OpKind.COPY: """
            copy _to_copy clone contiguous cat stack fill zero zeros ones full zeros_like ones_like
            full_like new_zeros new_ones new_full scalar_tensor constant_pad_nd reflection_pad1d
            reflection_pad2d replication_pad2d reflection_pad2d_backward roll flip repeat
            repeat_interleave arange linspace eye one_hot select_backward slice_backward
            slice_scatter select_scatter as_strided_copy unbind_copy _pin_memory
            select_copy split_copy pixel_shuffle pixel_unshuffle channel_shuffle
            reflection_pad3d replication_pad1d replication_pad3d reflection_pad1d_backward
            reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward
            replication_pad3d_backward diagonal_backward diagonal_scatter as_strided_scatter
            expand_copy view_copy permute_copy transpose_copy slice_copy unfold_copy rot90
            diag_embed block_diag logspace range tril_indices triu_indices _chunk_cat
            split_with_sizes_copy unsafe_split unsafe_split_with_sizes mkldnn_reorder_conv2d_weight
            mkldnn_reorder_conv3d_weight _cudnn_rnn_flatten_weight to_padded_tensor
            _convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu to_mkldnn _to_dense
            _to_sparse _pack_padded_sequence hann_window hamming_window""",
        OpKind.EMBEDDING: """
            embedding embedding_dense_backward _embedding_bag _embedding_bag_backward
            _embedding_bag_dense_backward embedding_renorm index index_select index_put
            _index_put_impl _unsafe_index _unsafe_index_put gather scatter scatter_add
            scatter_reduce index_add index_copy index_fill take put masked_select
            masked_scatter nonzero index_reduce _unsafe_masked_index
            _unsafe_masked_index_put_accumulate _embedding_bag_forward_only
            _embedding_bag_per_sample_weights_backward nonzero_static sparse_mask""",
        OpKind.SORT: """
            sort topk argsort kthvalue median mode msort unique_dim unique_consecutive _unique2
            _unique searchsorted bucketize""",
        OpKind.SYNC: "_local_scalar_dense item is_nonzero",
    }
    return {name: kind for kind, text in names.items() for name in text.split()}


_BY_NAME = _table()
GATHERS = {
    "embedding": "weight", "index": "self", "index_select": "self", "gather": "self",
    "take": "self", "_unsafe_index": "self", "masked_select": "self",
}  # fmt: skip
"""Ops that read only as many elements of the named argument as they return."""

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
"""Ops that use only the shape of the named argument, which is that of their result."""

_UNANNOTATED_NORMS = frozenset({"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"})


def listed_kind(name: str) -> OpKind | None:
    """Return the kind of an op, in-place and foreach variants included, None if not listed."""
    if is_product(name):
        return OpKind.GEMM
    plain = name.removeprefix("_foreach_").rstrip("_")
    kind = _BY_NAME.get(name) or _BY_NAME.get(plain)
    # A collective costs at least one pass over its buffers; the network is not modelled.
    return kind or (OpKind.COPY if collective(name) else None)


def writes(name: str, argument: str, annotated: bool, args: dict[str, Any]) -> bool:
    """Return whether the call writes `argument`; `annotated` is what the schema says."""
    if collective(name):
        return annotated or receives(argument)
    if name in _UNANNOTATED_NORMS and argument.startswith("running_"):
        return bool(args.get("training"))
    # Fused optimizers mark gradients as mutable for the sake of unscaling only.
    if name.startswith("_fused_") and argument == "grads":
        return args.get("grad_scale") is not None
    return annotated


def reads(name: str, argument: str, out: bool, args: dict[str, Any]) -> bool:
    """Return whether the call reads the bytes of `argument`; `out` marks a pure output."""
    if out or (collective(name) and is_result(argument)):
        return False
    if argument == "self" and (name in _OVERWRITES or name.endswith("_like")):
        return False
    if argument == "self" and name.startswith("new_"):
        return False
    if name == "convolution_backward" and argument in ("input", "weight"):
        return bool(args["output_mask"][0 if argument == "weight" else 1])
    return SHAPE_ONLY.get(name) != argument
