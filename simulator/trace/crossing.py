"""What crosses a cut through a step: found from the storages that one side writes and the other
reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from simulator.trace.op import Op, OpKind, Tensor
from simulator.trace.trace import PERSISTENT, Step, StorageKind

DividedOp = tuple[Op | None, Op | None]
"""What of an op is inside a part, and what outside."""
_Windows = dict[tuple[int, tuple[tuple[int, int], ...]], int]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Bytes that cross the cut around a part in one run of a step.

    `enters` is made outside and read inside, `leaves` made inside and read outside, each once
    however often it is read; parameters that one side updates for the other are among them.
    `inputs` are read inside and made by no op: images, labels. `weights` are the parameters that
    the part touches.
    """

    enters: int
    leaves: int
    inputs: int
    weights: int


def crossing_of(step: Step, sides: Sequence[DividedOp]) -> Crossing:
    """Return what crosses the cut that divides each op of `step` into these sides.

    A parameter is as the step before it left it, which was the same step.
    """
    before = _CutTraffic(step)
    before.run(sides)
    flow = _CutTraffic(step, before.persistent_writers())
    flow.run(sides)
    return Crossing(
        flow.crossed(inside=True),
        flow.crossed(inside=False),
        _input_bytes(step, sides),
        _weight_bytes(step, [inner for inner, _ in sides if inner]),
    )


@dataclass(slots=True)
class _CutTraffic:
    """Follows which side wrote each storage last, and what the other side then reads of it."""

    step: Step
    writers: dict[int, bool] = field(default_factory=dict)
    _versions: dict[int, int] = field(default_factory=dict)
    _reads: dict[tuple[int, int, bool], _Windows] = field(default_factory=dict)

    def run(self, sides: Iterable[DividedOp]) -> None:
        """Run a step; True is inside. Both sides of an op read before either writes."""
        for pair in sides:
            halves = [(op, side) for op, side in zip(pair, (True, False), strict=True) if op]
            for op, side in halves:
                self._read(op, side)
            for op, side in halves:
                for tensor in data_of(op, op.outputs):
                    self.writers[tensor.storage] = side
                    self._versions[tensor.storage] = self._versions.get(tensor.storage, 0) + 1

    def _read(self, op: Op, side: bool) -> None:
        for tensor in data_of(op, op.inputs):
            storage = tensor.storage
            if self.writers.get(storage, side) is not side:
                key = storage, self._versions.get(storage, 0), side
                self._reads.setdefault(key, {})[tensor.region] = tensor.bytes

    def crossed(self, *, inside: bool) -> int:
        """Return the bytes that came to this side; of a storage not more than it has."""
        storages = self.step.storages
        return sum(
            min(sum(windows.values()), storages[storage].bytes)
            for (storage, _, side), windows in self._reads.items()
            if side is inside
        )

    def persistent_writers(self) -> dict[int, bool]:
        """Return the side that wrote last, of what outlives a step."""
        storages = self.step.storages
        return {s: side for s, side in self.writers.items() if storages[s].kind in PERSISTENT}


def data_of(op: Op, tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the tensors whose bytes an op moves: none of a view."""
    if op.kind is not OpKind.VIEW:
        yield from tensors


def _input_bytes(step: Step, sides: Iterable[DividedOp]) -> int:
    """Return the bytes that the part reads of inputs: of each storage the windows it uses."""
    windows: dict[int, _Windows] = {}
    for inner, _ in sides:
        for tensor in data_of(inner, inner.inputs) if inner else ():
            if step.storages[tensor.storage].kind is StorageKind.INPUT:
                windows.setdefault(tensor.storage, {})[tensor.region] = tensor.bytes
    return sum(min(sum(w.values()), step.storages[s].bytes) for s, w in windows.items())


def _weight_bytes(step: Step, ops: Iterable[Op]) -> int:
    touched = {tensor.storage for op in ops for tensor in (*op.inputs, *op.outputs)}
    weights = (step.storages[index] for index in touched)
    return sum(each.bytes for each in weights if each.kind is StorageKind.PARAMETER)
