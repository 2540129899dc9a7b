"""A network described by hand as the trace of a training step, without torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.errors import InputError, nearest, shown
from simulator.files.forms import Hints, validate
from simulator.trace.bounds import check_bounds
from simulator.trace.drafts import build_step
from simulator.trace.network_layers import LAYERS, Backward, LayerForm
from simulator.trace.network_tape import Learnt, StepTape
from simulator.trace.op import OpKind, Phase, Tensor
from simulator.trace.trace import Segment, StepKind, StorageKind, Trace

LayerSpec = str | tuple[str, Mapping[str, Any]]
"""A layer: its kind, or its kind with its options."""


def network(
    layers: Sequence[LayerSpec],
    *,
    input: Sequence[int],
    batch: int,
    steps: int = 1,
    momentum: bool = False,
    name: str = "network",
) -> Trace:
    """Return the trace of `steps` training steps of a chain of layers with cross-entropy and SGD.

    >>> lenet = network(
    ...     [("conv", {"filters": 6, "kernel": 5, "padding": 2}), "relu", ("pool", {"kernel": 2}),
    ...      ("linear", {"features": 10})],
    ...     input=(1, 28, 28), batch=32,
    ... )

    Layers are `conv` (filters, kernel, stride, padding, dilation, groups, bias), `linear`
    (features, bias), `relu`, `pool` (the maximum: kernel, stride, padding), `mean` (over all
    pixels) and `norm` (of the batch); each may have a `name`. `input` is the shape of one example,
    (channels, height, width) or (features,). The ops are those of eager PyTorch in fp32, from the
    forward pass to the optimizer; loading data is not among them. Raises InputError that names the
    layer, the value and the fix.
    """
    for what, value in (("batch", batch), ("steps", steps), *(("input", n) for n in input)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"network({what}={shown(value)}): write whole numbers of at least 1")
    tape, backwards = StepTape(), list[Backward]()
    x = tape.tensor((batch, *input))
    for label, own_name, layer in _read(layers):
        try:
            x, backward = layer.forward(tape, own_name, x)
        except ValueError as error:
            raise InputError(f"{label}: {error}") from None
        backwards.append(backward)
    if len(x.shape) != 2:
        raise InputError("network: the last layer gives images: end with a linear layer")
    _step(tape, x, backwards, momentum=momentum)
    step = build_step(StepKind.TRAIN, tape.drafts, tape.sizes, tape.owned)
    origin = {"tool": "trainsoc.network", "inferred": f"fp32, batch {batch}, SGD, no data loading"}
    trace = Trace(name, (step,), (Segment(0, 0, steps),), origin)
    check_bounds(trace)
    return trace


def _read(layers: Sequence[LayerSpec]) -> list[tuple[str, str, LayerForm]]:
    """Return a label for messages, the name and the form of each layer."""
    if not layers:
        raise InputError('network: no layers: give some, such as [("linear", {"features": 10})]')
    forms, numbers = list[tuple[str, str, LayerForm]](), dict.fromkeys(LAYERS, 0)
    for number, spec in enumerate(layers):
        kind, options = (spec, {}) if isinstance(spec, str) else spec
        if kind not in LAYERS:
            problem = f"no kind {shown(kind)}; {nearest(kind, LAYERS)}"
            raise InputError(f"network, layer {number}: {problem}")
        numbers[kind] += 1
        label, form = f"network, layer {number} ({kind})", LAYERS[kind]
        layer = validate(form, dict(options), label, _hints(form))
        forms.append((label, layer.name or f"{kind}{numbers[kind]}", layer))
    return forms


def _hints(form: type[LayerForm]) -> Hints:
    return Hints(lambda detail: nearest(str(detail["loc"][-1]), form.model_fields))


def _step(tape: StepTape, logits: Tensor, backwards: Sequence[Backward], *, momentum: bool) -> None:
    """Append the loss, the backward pass and the optimizer, in the order of parameters."""
    grad = _cross_entropy(tape, logits)
    for number, backward in reversed([*enumerate(backwards)]):
        grad = backward(grad, number > 0)
    for learnt in sorted(tape.learnt, key=lambda each: each.parameter.storage):
        _update(tape, learnt, momentum=momentum)


def _cross_entropy(tape: StepTape, logits: Tensor) -> Tensor:
    """Append softmax and loss, and their gradients; return that of `logits`."""
    rows = logits.shape[0]
    targets, logs = tape.tensor((rows,), dtype="int64"), tape.tensor(logits.shape)
    loss, weight, one = tape.tensor(()), tape.tensor(()), tape.tensor(())
    back, grad = tape.tensor(logits.shape), tape.tensor(logits.shape)
    forward = Phase.LOSS
    phase = Phase.DGRAD
    softmax = tape.op("_log_softmax.default", OpKind.SOFTMAX, forward, "", (logits,), (logs,))
    tape.view("detach.default", forward, "", logs)
    nll = tape.op(
        "nll_loss_forward.default", OpKind.REDUCTION, forward, "", (logs, targets), (loss, weight)
    )
    tape.op("ones_like.default", OpKind.COPY, forward, "", (), (one,))
    name, kind = "nll_loss_backward.default", OpKind.ELEMENTWISE
    tape.op(name, kind, phase, "", (one, targets, weight), (back,), (), nll)
    tape.view("detach.default", phase, "", logs, forward=softmax)
    name, kind = "_log_softmax_backward_data.default", OpKind.SOFTMAX
    tape.op(name, kind, phase, "", (back, logs), (grad,), (), softmax)
    return grad


def _update(tape: StepTape, learnt: Learnt, *, momentum: bool) -> None:
    """Append the ops of SGD on a parameter: one, or three with momentum."""
    layer, parameter, change = learnt
    kind, phase = OpKind.ELEMENTWISE, Phase.OPTIMIZER
    if momentum:
        _, name = tape.owned[parameter.storage]
        state = StorageKind.OPTIMIZER_STATE
        buffer = tape.tensor(parameter.shape, state, f"{name}.momentum_buffer")
        tape.op("mul_.Tensor", kind, phase, layer, (buffer,), (buffer,))
        tape.op("add_.Tensor", kind, phase, layer, (buffer, change), (buffer,))
        change = buffer
    tape.op("add_.Tensor", kind, phase, layer, (parameter, change), (parameter,))
