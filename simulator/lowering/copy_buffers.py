"""The memory of buffers that lowering adds to a step: converted copies, sums of the array.

They lie in the DRAM beside the tensors of the trace, in the order in which tasks use them: from the
first task that touches a buffer to the last. A copy that an earlier step left is there from the
start, one that the next step finds until the end.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate


class CopyBuffers:
    """Sizes of buffers, and the first and last task that touches each, in program order."""

    def __init__(self) -> None:
        """Start without buffers."""
        self._sizes: dict[int, int] = {}
        self._live: dict[int, tuple[int, int]] = {}

    def add(self, token: int, size: int) -> None:
        """Add a buffer of `size` bytes, which no task has touched."""
        self._sizes[token] = size

    def recall(self, token: int, size: int) -> None:
        """Add a buffer of `size` bytes that an earlier step has filled."""
        self.add(token, size)
        self._live[token] = (0, 0)

    def touch(self, task: int, tokens: Iterable[int]) -> None:
        """Note that the latest `task` reads or writes those of `tokens` that are buffers."""
        for token in tokens:
            if token in self._sizes:
                first, _ = self._live.get(token, (task, task))
                self._live[token] = (first, task)

    def bytes_by_op(
        self,
        ops: Sequence[int],
        count: int,
        lasting: Collection[int] = (),
        on_chip: Collection[int] = (),
    ) -> tuple[int, ...]:
        """Return the most bytes of buffers that are live during each of `count` ops; `ops` has the
        op of each task. Buffers in `lasting` outlive the step, those `on_chip` take no memory.
        """
        changes = [0] * (len(ops) + 1)
        for token, (first, last) in self._live.items():
            if token not in on_chip:
                end = len(ops) if token in lasting else last + 1
                changes[first] += self._sizes[token]
                changes[end] -= self._sizes[token]
        most = [0] * count
        for op, live in zip(ops, accumulate(changes), strict=False):
            most[op] = max(most[op], live)
        return tuple(most)
