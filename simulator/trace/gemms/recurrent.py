"""Fused recurrent layers: one GEMM for the inputs of all steps, one per step for the state."""

from dataclasses import dataclass
from typing import Any

from simulator.trace.gemms.product import Args, Formula, Product, Products
from simulator.trace.op import Role

# oneDNN: a layer by itself


def _layer_sizes(args: Args, inner: str, outer: str) -> tuple[int, int, int, int, int]:
    first, second, _ = args["input"].shape
    steps, images = (second, first) if args.get("batch_first") is True else (first, second)
    gates, inputs = args[inner].shape
    return steps, images, gates, inputs, args[outer].shape[-1]


def _layer(args: Args) -> Products:
    steps, images, gates, inputs, state = _layer_sizes(args, "weight0", "weight1")
    return (
        Product(None, 1, steps * images, gates, inputs, "input", "weight0"),
        Product(None, steps, images, gates, state, "", "weight1", 0),
    )


def _layer_backward(args: Args) -> Products:
    steps, images, gates, inputs, state = _layer_sizes(args, "weight1", "weight2")
    return (
        Product(Role.DGRAD, 1, steps * images, inputs, gates, "", "weight1", 0),
        Product(Role.DGRAD, steps, images, state, gates, "", "weight2"),
        Product(Role.WGRAD, 1, gates, inputs, steps * images, "", "input", 1),
        Product(Role.WGRAD, 1, gates, state, steps * images, "", "output", 2),
    )


# cuDNN, MIOpen, Metal: all layers in one op, their weights in one list

_GATES = {0: 1, 1: 1, 2: 4, 3: 3}  # ReLU, tanh, LSTM, GRU: cudnnRNNMode_t, miopenRNNMode_t


@dataclass(frozen=True, slots=True)
class _Stack:
    """The input of a stack of layers, and the [out, in] of its weights in order.

    `images` is 0 where sequences are packed, of several lengths; `each` counts the weights of one
    direction of one layer: of its input, its state and, projected, of its output.
    """

    rows: int
    images: int
    weights: tuple[tuple[int, int], ...]
    each: int = 2

    def forward(self) -> Products:
        """Return one GEMM for each weight."""
        return tuple(
            self._state(n, k) if place % self.each else Product(None, 1, self.rows, n, k)
            for place, (n, k) in enumerate(self.weights)
        )

    def _state(self, n: int, k: int, role: Role | None = None) -> Product:
        if not self.images:
            return Product(role, 1, self.rows, n, k)
        return Product(role, self.rows // self.images, self.images, n, k)

    def backward(self, directions: int, data: bool, weights: bool) -> Products:
        """Return the GEMMs of weight gradients and of those data gradients that are needed."""
        first = self.each * directions
        dgrads = [
            self._state(k, n, Role.DGRAD)
            if place % self.each
            else Product(Role.DGRAD, 1, self.rows, k, n)
            for place, (n, k) in enumerate(self.weights)
            if data or place >= first or place % self.each
        ]
        wgrads = [Product(Role.WGRAD, 1, n, k, self.rows) for n, k in self.weights]
        return (*dgrads, *(wgrads if weights else ()))


def _stack(args: Args, name: str) -> _Stack:
    *lead, _ = args["input"].shape
    if len(lead) == 1:
        rows, images = lead[0], 0
    else:
        rows, images = lead[0] * lead[1], lead[0 if args.get("batch_first") is True else 1]
    matrices = tuple((w.shape[0], w.shape[1]) for w in args[name] if len(w.shape) == 2)
    weights = matrices or tuple(_weights(args))
    return _Stack(rows, images, weights, 3 if _number(args.get("proj_size")) else 2)


def _number(value: Any) -> int:
    """Return a number, 0 where the trace does not list it."""
    return value if isinstance(value, int) else 0


def _weights(args: Args) -> list[tuple[int, int]]:
    """Return the sizes of weights from the layer settings, for traces that list no weights."""
    hidden, projected = int(args["hidden_size"]), _number(args.get("proj_size"))
    gates, inputs = _GATES[int(args["mode"])] * hidden, args["input"].shape[-1]
    directions = 2 if args["bidirectional"] else 1
    state, sizes = projected or hidden, []
    for layer in range(int(args["num_layers"])):
        width = state * directions if layer else inputs
        one = [(gates, width), (gates, state), *([(projected, hidden)] if projected else [])]
        sizes += one * directions
    return sizes


def _stack_forward(name: str) -> Formula:
    return lambda args: _stack(args, name).forward()


def _stack_backward(name: str) -> Formula:
    def formula(args: Args) -> Products:
        mask = args.get("output_mask")
        mask = mask if isinstance(mask, tuple | list) else (True, True, True, True)
        directions = 2 if args.get("bidirectional") is True else 1
        return _stack(args, name).backward(directions, bool(mask[0]), bool(mask[-1]))

    return formula


FORMULAS: dict[str, Formula] = {
    "mkldnn_rnn_layer": _layer,
    "mkldnn_rnn_layer_backward": _layer_backward,
    "_cudnn_rnn": _stack_forward("weight"),
    "_cudnn_rnn_backward": _stack_backward("weight"),
    "miopen_rnn": _stack_forward("weight"),
    "miopen_rnn_backward": _stack_backward("weight"),
    "_lstm_mps": _stack_forward("params"),
    "lstm_mps_backward": _stack_backward("params"),
}
