"""Shares of a batch under which the parts of several units end together."""

from collections.abc import Callable, Sequence

from simulator.hardware.runtime import Runtime
from simulator.lowering.splitting import split_of
from simulator.memo import Memo
from simulator.trace.batches import batch_of, cut
from simulator.trace.op import Op
from simulator.trace.trace import Step

PartSizes = tuple[tuple[int, ...], ...]
"""By the ops of a step: how much of its batch each unit of a split takes, where it is balanced."""

UNBALANCED: PartSizes = ()
"""No op of the step is under a split whose shares are to be found."""

_STEPS = 64  # a guess: as many as are lowered
_TIMES = 4096  # a guess: some fourteen of each kind of op, on two units

Alone = Callable[[Step, str], int]
"""How long a step of one op takes on a unit alone, in ps."""


PartTime = Callable[[int], int]
"""How long a unit takes for a part of this size."""


class Balance:
    """Finds the sizes of the parts of a step's ops, each kind of op once."""

    def __init__(self, runtime: Runtime) -> None:
        """Balance the splits of `runtime`."""
        self._runtime = runtime
        self._sizes: Memo[PartSizes] = Memo("balanced splits", _STEPS)
        self._times: Memo[int] = Memo("times of parts", _TIMES)
        self._needed = any(split.shares == "fastest" for split in runtime.split or ())

    def of(self, step: Step, alone: Alone) -> PartSizes:
        """Return the sizes of the parts of each op of `step`, by what parts take `alone`."""
        if not self._needed:
            return UNBALANCED
        return self._sizes.get(step.digest, lambda: self._of(step, alone))

    def _of(self, step: Step, alone: Alone) -> PartSizes:
        keys = [(op.layer, op.head.alike) for op in step.ops]
        kinds = {key: op.head for key, op in zip(keys, step.ops, strict=True)}
        sizes = {key: self._balanced(step, head, alone) for key, head in kinds.items()}
        return tuple(sizes[key] for key in keys)

    def _balanced(self, step: Step, op: Op, alone: Alone) -> tuple[int, ...]:
        split = split_of(self._runtime, op)
        batch = batch_of(op) if split and op.gemms else None
        if split is None or batch is None or split.shares != "fastest":
            return ()
        size = batch.size

        def taking(unit: str) -> PartTime:
            def part_ps(part: int) -> int:
                (own,) = cut(op, batch, (part,))
                single = Step(step.kind, (own,), step.storages)
                return self._times.get((own.alike, unit), lambda: alone(single, unit))

            return part_ps

        return balanced(size, [taking(part.unit) for part in split.parts])


def balanced(size: int, times: Sequence[PartTime]) -> tuple[int, ...]:
    """Return parts of `size`, one per unit, whose longest time is the least that there is.

    `times[i]` says how long unit i takes for a part of 1 to `size`: integers that do not fall as
    the part grows. A part of 0 takes no time. The first unit's part is searched by halves, against
    what the others take for the rest: two units are asked for some log2(size) parts each.
    """
    first, *others = times
    done: dict[int, tuple[int, tuple[int, ...]]] = {}
    if not others:
        return (size,)

    def with_part(part: int) -> tuple[int, tuple[int, ...]]:
        """Return when the last unit ends if the first has so much, and all parts."""
        if part not in done:
            parts = part, *balanced(size - part, others)
            done[part] = _end(times, parts), parts
        return done[part]

    low, high = 0, size  # the least part that takes the first unit as long as the others
    while low < high:
        middle = (low + high) // 2
        until_ps, _ = with_part(middle)
        low, high = (low, middle) if middle and first(middle) >= until_ps else (middle + 1, high)
    return min(with_part(part) for part in {low, max(0, low - 1)})[1]


def _end(times: Sequence[PartTime], parts: Sequence[int]) -> int:
    """Return when the last unit has done its part."""
    return max(time(part) if part else 0 for time, part in zip(times, parts, strict=True))
