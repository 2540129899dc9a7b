"""A training step of a multi-layer perceptron with as many layers as a number of ops takes."""

from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.trace import Step, StepKind, StorageKind
from tests.builders import StepBuilder

WIDTH, BATCH = 64, 32
OPS_PER_LAYER = 10


def mlp_step(ops: int) -> Step:
    """Return the step, of about so many ops."""
    builder = _Mlp()
    x = builder.tensor(BATCH, WIDTH, kind=StorageKind.INPUT)
    for layer in range(max(1, ops // OPS_PER_LAYER)):
        x = builder.forward(layer, x)
    gradient = builder.tensor(BATCH, WIDTH)
    builder.add("mse_loss_backward", OpKind.ELEMENTWISE, Phase.LOSS, "loss", (x,), gradient)
    for each in reversed(builder.layers):
        gradient = builder.backward(*each, gradient)
    builder.update()
    return builder.step(StepKind.TRAIN)


class _Mlp(StepBuilder):
    """Appends the ops of linear layers with ReLU, as ATen dispatches them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[int, Tensor, Tensor, Tensor, Tensor]] = []
        self.gradients: list[tuple[str, Tensor, Tensor]] = []  # of parameters

    def add(
        self,
        name: str,
        kind: OpKind,
        phase: Phase,
        layer: str,
        inputs: tuple[Tensor, ...],
        output: Tensor,
        *gemms: Gemm,
    ) -> None:
        """Append an op."""
        self.ops.append(Op(f"aten.{name}.default", kind, phase, layer, inputs, (output,), gemms))

    def forward(self, number: int, x: Tensor) -> Tensor:
        """Append a layer and return its output."""
        layer, phase, parameter = f"layers.{number}", Phase.FORWARD, StorageKind.PARAMETER
        weight = self.tensor(WIDTH, WIDTH, kind=parameter, name=f"{layer}.weight")
        bias = self.tensor(WIDTH, kind=parameter, name=f"{layer}.bias")
        y, out = self.tensor(BATCH, WIDTH), self.tensor(BATCH, WIDTH)
        self.add("t", OpKind.VIEW, phase, layer, (weight,), _transposed(weight))
        product = Gemm(Role.FORWARD, 1, BATCH, WIDTH, WIDTH, 1, 2, 0)
        operands = bias, x, _transposed(weight)
        self.add("addmm", OpKind.GEMM, phase, layer, operands, y, product)
        self.add("relu", OpKind.ELEMENTWISE, phase, f"relus.{number}", (y,), out)
        self.layers.append((number, weight, bias, x, out))
        return out

    def backward(
        self, number: int, weight: Tensor, bias: Tensor, x: Tensor, out: Tensor, gradient: Tensor
    ) -> Tensor:
        """Append a layer's gradients and return that of its input."""
        layer, wgrad, kept = f"layers.{number}", Phase.WGRAD, StorageKind.GRADIENT
        of_y, of_x = self.tensor(BATCH, WIDTH), self.tensor(BATCH, WIDTH)
        of_weight, of_bias = self.tensor(WIDTH, WIDTH, kind=kept), self.tensor(WIDTH, kind=kept)
        relu = "threshold_backward", OpKind.ELEMENTWISE, Phase.DGRAD, f"relus.{number}"
        self.add(*relu, (gradient, out), of_y)
        product = Gemm(Role.DGRAD, 1, BATCH, WIDTH, WIDTH, 0, 1, 0)
        self.add("mm", OpKind.GEMM, Phase.DGRAD, layer, (of_y, weight), of_x, product)
        self.add("t", OpKind.VIEW, wgrad, layer, (of_y,), _transposed(of_y))
        product = Gemm(Role.WGRAD, 1, WIDTH, WIDTH, BATCH, 0, 1, 0)
        self.add("mm", OpKind.GEMM, wgrad, layer, (_transposed(of_y), x), of_weight, product)
        self.add("sum", OpKind.REDUCTION, wgrad, layer, (of_y,), of_bias)
        self.gradients += [(layer, weight, of_weight), (layer, bias, of_bias)]
        return of_x

    def update(self) -> None:
        """Append plain SGD."""
        for layer, value, gradient in self.gradients:
            operands = value, gradient
            self.add("add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, layer, operands, value)


def _transposed(tensor: Tensor) -> Tensor:
    return Tensor(tensor.storage, tensor.dtype, tensor.shape[::-1], tensor.strides[::-1])
