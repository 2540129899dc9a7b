"""Storages for a trace that identifies none: a chain through the program."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from simulator.trace.importers.calls import Bound, extent, tensors_in
from simulator.trace.importers.inference import infer
from simulator.trace.importers.inference.result import Shape
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Seen
from simulator.trace.importers.parameters import parameters
from simulator.trace.importers.signature import Signature, is_parameter
from simulator.trace.op import OpKind, Tensor, contiguous

_NONE = -1


class Chain:
    """Storages for a trace without identities: every op reads what the one before it wrote.

    Its dependences are thus the program order; all other arguments are storages of their own.
    """

    def __init__(self) -> None:
        """Start without any storage."""
        self.sizes: dict[int, int] = {}
        self._last = _NONE
        self._parameters: dict[tuple[int, int, Tensor], int] = {}
        self._layer = 0

    def begin_step(self) -> None:
        """Begin a chain of its own, so that equal steps are equal."""
        self._last = _NONE
        self._parameters.clear()
        self._layer = 0

    def restart(self) -> None:
        """Give the layers that follow the parameters of the first ones."""
        self._layer = 0

    def returned(self, tensor: Tensor) -> bool:  # noqa: ARG002 - nothing identifies tensors
        """Return False: which tensor it is is not known."""
        return False

    def bind(self, seen: Seen, known: Signature, inputs: tuple[Any, ...]) -> Bound:
        """Return the op's inputs on inferred storages, and its results by inference."""
        base = seen.node.base
        names = [argument.name for argument in known.arguments]
        link = _NONE if base.endswith("_like") else _link(names, inputs)
        owned = parameters(seen, known)
        self._layer += bool(owned)
        bound = tuple(
            self._parameter(place, value)
            if name in owned and place != link
            else self._argument(value, chained=place == link)
            for place, (name, value) in enumerate(zip_longest(names[: len(inputs)], inputs))
        )
        if kind_by_name(base) is OpKind.VIEW:
            return Bound(bound, [tensor for value in bound for tensor in tensors_in(value)][:1])
        inferred = infer(base, known.named(bound), seen.node)
        results = [self._result(*result) for result in inferred.results]
        if results and link == _NONE and self._last != _NONE:
            # Nothing is read, so only what is written can follow the op before.
            results[0] = replace(results[0], storage=self._last)
            self.sizes[self._last] = max(self.sizes[self._last], extent(results[0]))
        pairs = zip(known.arguments, bound, strict=False)
        written = [t for argument, value in pairs if argument.written for t in tensors_in(value)]
        if results or written:
            self._last = (results or written)[0].storage
        return Bound(bound, results or written[:1], inferred.guessed)

    def _parameter(self, place: int, value: Any) -> Any:
        """Return a parameter on the storage that it has in each run of its layer in this step."""
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

    def _result(self, shape: Shape, dtype: str) -> Tensor:
        tensor = Tensor(self._new(), dtype, shape, contiguous(shape))
        self.sizes[tensor.storage] = extent(tensor)
        return tensor

    def _new(self) -> int:
        self.sizes[len(self.sizes)] = 0
        return len(self.sizes) - 1


def _link(names: Sequence[str], inputs: tuple[Any, ...]) -> int:
    """Return which argument continues the chain: the first that is not sure to be a parameter."""
    pairs = enumerate(zip(names, inputs, strict=False))
    found = [
        (place, name) for place, (name, value) in pairs if any(True for _ in tensors_in(value))
    ]
    bias = "self" if "mat1" in names else ""
    data = [place for place, name in found if name != bias and not is_parameter(name)]
    return next(iter(data or [place for place, _ in found]), _NONE)
