"""Storages for a trace without tensor identities: a chain through the program."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from simulator.trace.importers.calls import Operands
from simulator.trace.importers.inference import infer
from simulator.trace.importers.inference.result import TensorShape
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import OpEvent
from simulator.trace.importers.parameters import parameters
from simulator.trace.importers.signature import Signature, is_parameter
from simulator.trace.importers.values import extent, tensors_in
from simulator.trace.op import OpKind, Tensor, contiguous

_NONE = -1


class Chain:
    """Lets each op read what the op before it wrote.

    Dependences are thus the program order; every other argument gets a storage of its own.
    """

    def __init__(self) -> None:
        """Start without any storage."""
        self.sizes: dict[int, int] = {}
        self._last = _NONE
        self._parameters: dict[tuple[int, int, Tensor], int] = {}
        self._layer = 0

    def begin_step(self) -> None:
        """Start a new chain, so that equal steps are equal."""
        self._last = _NONE
        self._parameters.clear()
        self._layer = 0

    def restart(self) -> None:
        """Give the layers that follow the parameters of the first pass."""
        self._layer = 0

    def returned(self, tensor: Tensor) -> bool:  # noqa: ARG002 - nothing identifies tensors
        """Return False: nothing identifies a tensor."""
        return False

    def bind(self, event: OpEvent, sig: Signature, inputs: tuple[Any, ...]) -> Operands:
        """Return the inputs of an op on inferred storages, and its results by inference."""
        base = event.node.base
        names = [argument.name for argument in sig.arguments]
        link = _NONE if base.endswith("_like") else _link(names, inputs)
        owned = parameters(event, sig)
        self._layer += bool(owned)
        arguments = tuple(
            self._parameter(place, value)
            if name in owned and place != link
            else self._argument(value, chained=place == link)
            for place, (name, value) in enumerate(zip_longest(names[: len(inputs)], inputs))
        )
        if kind_by_name(base) is OpKind.VIEW:
            return Operands(
                arguments, [tensor for value in arguments for tensor in tensors_in(value)][:1]
            )
        inferred = infer(base, sig.named(arguments), event.node)
        results = [self._result(*result) for result in inferred.results]
        if results and link == _NONE and self._last != _NONE:
            # The op reads nothing, so its first result continues the chain.
            results[0] = replace(results[0], storage=self._last)
            self.sizes[self._last] = max(self.sizes[self._last], extent(results[0]))
        pairs = zip(sig.arguments, arguments, strict=False)
        written = [t for argument, value in pairs if argument.written for t in tensors_in(value)]
        if results or written:
            self._last = (results or written)[0].storage
        return Operands(arguments, results or written[:1], inferred.guessed)

    def _parameter(self, place: int, value: Any) -> Any:
        """Return a parameter on its storage: the same in every pass of its layer in this step."""
        if isinstance(value, tuple):
            return tuple(self._parameter(100 * place + i, item) for i, item in enumerate(value))
        if not isinstance(value, Tensor):
            return value
        key = self._layer, place, value
        if key not in self._parameters:
            self._parameters[key] = self._argument(value, chained=False).storage
        return replace(value, storage=self._parameters[key])

    def _argument(self, value: Any, chained: bool) -> Any:
        if isinstance(value, Tensor):
            storage = self._last if chained and self._last != _NONE else self._new()
            tensor = replace(value, storage=storage)
            self.sizes[storage] = max(self.sizes[storage], extent(tensor))
            return tensor
        if isinstance(value, tuple):
            first = next((item for item in value if isinstance(item, Tensor)), None)
            return tuple(self._argument(item, chained and item is first) for item in value)
        return value

    def _result(self, shape: TensorShape, dtype: str) -> Tensor:
        tensor = Tensor(self._new(), dtype, shape, contiguous(shape))
        self.sizes[tensor.storage] = extent(tensor)
        return tensor

    def _new(self) -> int:
        self.sizes[len(self.sizes)] = 0
        return len(self.sizes) - 1


def _link(names: Sequence[str], inputs: tuple[Any, ...]) -> int:
    """Return the argument that continues the chain: the first that may be no parameter."""
    pairs = enumerate(zip(names, inputs, strict=False))
    candidates = [
        (place, name) for place, (name, value) in pairs if any(True for _ in tensors_in(value))
    ]
    bias = "self" if "mat1" in names else ""
    data = [place for place, name in candidates if name != bias and not is_parameter(name)]
    return next(iter(data or [place for place, _ in candidates]), _NONE)
