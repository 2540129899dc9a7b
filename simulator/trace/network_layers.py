"""Layers of a network described by hand: the ops that PyTorch issues for them, as capture has them.

Each layer appends its forward ops to a tape and returns the function that appends its backward
ones. Names, order, views and storages are those of eager PyTorch: one step of a LeNet described so
has the ops of a captured one.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

from pydantic import NonNegativeInt, PositiveInt

from simulator.files.forms import Form
from simulator.trace.drafts import Draft
from simulator.trace.network_tape import StepTape, TensorShape, reshaped, transposed
from simulator.trace.op import (
    Conv,
    Gemm,
    OpKind,
    Phase,
    Role,
    Tensor,
    convolution,
)
from simulator.trace.trace import StorageKind

Backward = Callable[[Tensor, bool], Tensor]
"""Appends the backward ops of a layer, given the gradient of its result and whether that of its
input is needed; returns the latter, or the former where it is not.
"""


class LayerForm(Form):
    """Base of all layers; without a `name` it is called by its kind and its number."""

    name: str = ""

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append the forward ops on `x`; return the result and the backward pass.

        Raises ValueError with the reason where `x` has not the shape that the layer takes.
        """
        raise NotImplementedError


class ConvLayer(LayerForm):
    """A convolution of images, square in kernel, stride, padding and dilation."""

    filters: PositiveInt
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: NonNegativeInt = 0
    dilation: PositiveInt = 1
    groups: PositiveInt = 1
    bias: bool = True

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append a convolution: one op, and one backward for all gradients."""
        conv = self._geometry(x.shape)
        weights = (self.filters, conv.in_channels // self.groups, *conv.kernel)
        weight = tape.tensor(weights, StorageKind.PARAMETER, f"{layer}.weight")
        biases = _bias(tape, layer, self.filters) if self.bias else ()
        y = tape.tensor((x.shape[0], self.filters, *conv.output))
        draft = tape.op(
            "convolution.default", OpKind.GEMM, Phase.FORWARD, layer, (x, weight, *biases), (y,),
            (convolution(conv),),
        )  # fmt: skip

        def backward(grad: Tensor, wanted_input: bool) -> Tensor:
            learnt = [(each, tape.tensor(each.shape)) for each in (weight, *biases)]
            results = tuple(gradient for _, gradient in learnt)
            wgrad = convolution(conv, Role.WGRAD)
            name, kind, dx = "convolution_backward.default", OpKind.GEMM, grad
            if wanted_input:
                dx = tape.tensor(x.shape)
                gemms = replace(convolution(conv, Role.DGRAD), b=2), replace(wgrad, c=1)
                inputs, outputs = (grad, x, weight), (dx, *results)
                tape.op(name, kind, Phase.DGRAD, layer, inputs, outputs, gemms, draft)
            else:
                tape.op(name, kind, Phase.WGRAD, layer, (grad, x), results, (wgrad,), draft)
            for parameter, gradient in learnt:
                tape.keep(layer, parameter, gradient)
            return dx

        return y, backward

    def _geometry(self, shape: TensorShape) -> Conv:
        if len(shape) != 4:
            raise ValueError("a convolution takes images: give input as (channels, height, width)")
        images, channels, *size = shape
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"{self.groups} groups do not divide {channels} channels and {self.filters} filters"
            )
        reach = self.dilation * (self.kernel - 1) + 1
        output = tuple(_places(n, self.padding, reach, self.stride) for n in size)
        twice = (self.kernel,) * 2, (self.stride,) * 2, (self.padding,) * 2, (self.dilation,) * 2
        return Conv(images, channels, self.filters, tuple(size), output, *twice, self.groups)


class LinearLayer(LayerForm):
    """A linear layer; images before it are flattened."""

    features: PositiveInt
    bias: bool = True

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append a transposed view of the weight and the product, with its bias."""
        rows = reshaped(x, (x.shape[0], prod(x.shape[1:])))
        flat = tape.view("view.default", Phase.FORWARD, "", x, rows) if len(x.shape) > 2 else None
        m, k, n = *rows.shape, self.features
        weight = tape.tensor((n, k), StorageKind.PARAMETER, f"{layer}.weight")
        biases = _bias(tape, layer, n) if self.bias else ()
        turned = tape.view("t.default", Phase.FORWARD, layer, weight, transposed(weight))
        y, at = tape.tensor((m, n)), len(biases)
        gemm = Gemm(Role.FORWARD, 1, m, n, k, at, at + 1, 0)
        product = tape.op(
            "addmm.default" if biases else "mm.default", OpKind.GEMM, Phase.FORWARD, layer,
            (*biases, rows, transposed(weight)), (y,), (gemm,),
        )  # fmt: skip

        def backward(grad: Tensor, wanted_input: bool) -> Tensor:
            dx = _linear_dgrad(tape, layer, grad, weight, product) if wanted_input else grad
            wgrad, across = tape.tensor((n, k)), transposed(grad)
            tape.view("t.default", Phase.DGRAD, layer, grad, across, product)
            gemms = (Gemm(Role.WGRAD, 1, n, k, m, 0, 1, 0),)
            name, kind, phase = "mm.default", OpKind.GEMM, Phase.WGRAD
            tape.op(name, kind, phase, layer, (across, rows), (wgrad,), gemms, product)
            tape.view("t.default", Phase.WGRAD, layer, wgrad, transposed(wgrad), product)
            for bias in biases:
                _bias_gradient(tape, layer, grad, bias, product)
            tape.view("t.default", Phase.WGRAD, layer, transposed(wgrad), wgrad, turned)
            tape.keep(layer, weight, wgrad)
            if flat and wanted_input:
                whole = reshaped(dx, x.shape)
                tape.view("view.default", Phase.DGRAD, "", dx, whole, flat)
                return whole
            return dx

        return y, backward


class ReluLayer(LayerForm):
    """max(0, x), into a tensor of its own."""

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append it; its result is saved for the backward pass."""
        y = tape.tensor(x.shape)
        draft = tape.op("relu.default", OpKind.ELEMENTWISE, Phase.FORWARD, layer, (x,), (y,))
        tape.view("detach.default", Phase.FORWARD, layer, y)

        def backward(grad: Tensor, _: bool) -> Tensor:
            tape.view("detach.default", Phase.DGRAD, layer, y, forward=draft)
            dx = tape.tensor(x.shape)
            name, kind = "threshold_backward.default", OpKind.ELEMENTWISE
            tape.op(name, kind, Phase.DGRAD, layer, (grad, y), (dx,), (), draft)
            return dx

        return y, backward


class PoolLayer(LayerForm):
    """The largest of each square of `kernel`, which advance by `stride`, by default `kernel`."""

    kernel: PositiveInt
    stride: PositiveInt | None = None
    padding: NonNegativeInt = 0

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append it; it saves where each maximum was."""
        if len(x.shape) != 4:
            raise ValueError("a pool takes images: give input as (channels, height, width)")
        stride = self.stride or self.kernel
        size = [_places(n, self.padding, self.kernel, stride) for n in x.shape[2:]]
        shape = (*x.shape[:2], *size)
        y, places = tape.tensor(shape), tape.tensor(shape, dtype="int64")
        name = "max_pool2d_with_indices"
        draft = tape.op(f"{name}.default", OpKind.POOL, Phase.FORWARD, layer, (x,), (y, places))

        def backward(grad: Tensor, _: bool) -> Tensor:
            dx = tape.tensor(x.shape)
            full = f"{name}_backward.default"
            tape.op(full, OpKind.POOL, Phase.DGRAD, layer, (grad, places), (dx,), (), draft)
            return dx

        return y, backward


class MeanLayer(LayerForm):
    """The mean of each channel of an image, as global average pooling."""

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append it; backward, each gradient goes to all pixels."""
        if len(x.shape) != 4:
            raise ValueError("a mean takes images: give input as (channels, height, width)")
        y = tape.tensor((*x.shape[:2], 1, 1))
        draft = tape.op("mean.dim", OpKind.REDUCTION, Phase.FORWARD, layer, (x,), (y,))

        def backward(grad: Tensor, _: bool) -> Tensor:
            wide = Tensor(grad.storage, grad.dtype, x.shape, (*grad.strides[:2], 0, 0))
            tape.view("expand.default", Phase.DGRAD, layer, grad, wide, draft)
            dx = tape.tensor(x.shape)
            kind = OpKind.ELEMENTWISE
            tape.op("div.Scalar", kind, Phase.DGRAD, layer, (wide,), (dx,), (), draft)
            return dx

        return y, backward


class NormLayer(LayerForm):
    """Batch normalisation, which learns a scale and a shift for each channel."""

    def forward(self, tape: StepTape, layer: str, x: Tensor) -> tuple[Tensor, Backward]:
        """Append it, in training: with the statistics of the batch, and running ones."""
        channels = (x.shape[1],)
        own = {name: f"{layer}.{name}" for name in ("num_batches_tracked", "weight", "bias",
                                                    "running_mean", "running_var")}  # fmt: skip
        number = tape.tensor((), StorageKind.BUFFER, own["num_batches_tracked"], "int64")
        scale, shift = (
            tape.tensor(channels, StorageKind.PARAMETER, own[name]) for name in ("weight", "bias")
        )
        running = tuple(
            tape.tensor(channels, StorageKind.BUFFER, own[name])
            for name in ("running_mean", "running_var")
        )
        y, saved = tape.tensor(x.shape), (tape.tensor(channels), tape.tensor(channels))
        forward, kind = Phase.FORWARD, OpKind.NORM
        tape.op("add_.Tensor", OpKind.ELEMENTWISE, forward, layer, (number,), (number,))
        nothing = tape.tensor((0,), dtype="uint8")
        tape.op("empty.memory_format", OpKind.VIEW, forward, layer, (), (nothing,))
        draft = tape.op(
            "native_batch_norm.default", kind, forward, layer, (x, scale, shift, *running),
            (*running, y, *saved),
        )  # fmt: skip

        def backward(grad: Tensor, _: bool) -> Tensor:
            dx, learnt = tape.tensor(x.shape), [(p, tape.tensor(channels)) for p in (scale, shift)]
            tape.op(
                "native_batch_norm_backward.default", kind, Phase.DGRAD, layer,
                (grad, x, scale, *running, *saved), (dx, *(gradient for _, gradient in learnt)),
                (), draft,
            )  # fmt: skip
            for parameter, gradient in learnt:
                tape.keep(layer, parameter, gradient)
            return dx

        return y, backward


LAYERS: Mapping[str, type[LayerForm]] = {
    "conv": ConvLayer,
    "linear": LinearLayer,
    "relu": ReluLayer,
    "pool": PoolLayer,
    "mean": MeanLayer,
    "norm": NormLayer,
}
"""The kinds of layers by name."""


def _places(size: int, padding: int, reach: int, stride: int) -> int:
    """Return at how many places a window that reaches over so many pixels stands."""
    left = size + 2 * padding - reach
    if left < 0:
        raise ValueError(f"a window of {reach} pixels is larger than its input of {size}")
    return left // stride + 1


def _bias(tape: StepTape, layer: str, features: int) -> tuple[Tensor]:
    return (tape.tensor((features,), StorageKind.PARAMETER, f"{layer}.bias"),)


def _linear_dgrad(
    tape: StepTape, layer: str, grad: Tensor, weight: Tensor, product: Draft
) -> Tensor:
    (m, n), k = grad.shape, weight.shape[1]
    phase, dx = Phase.DGRAD, tape.tensor((m, k))
    tape.view("t.default", phase, layer, transposed(weight), weight, product)
    gemm = Gemm(Role.DGRAD, 1, m, k, n, 0, 1, 0)
    tape.op("mm.default", OpKind.GEMM, phase, layer, (grad, weight), (dx,), (gemm,), product)
    return dx


def _bias_gradient(tape: StepTape, layer: str, grad: Tensor, bias: Tensor, product: Draft) -> None:
    phase, row = Phase.WGRAD, tape.tensor((1, *bias.shape))
    name, kind = "sum.dim_IntList", OpKind.REDUCTION
    tape.op(name, kind, phase, layer, (grad,), (row,), (), product)
    whole = reshaped(row, bias.shape)
    tape.view("view.default", phase, layer, row, whole, product)
    tape.keep(layer, bias, whole)
