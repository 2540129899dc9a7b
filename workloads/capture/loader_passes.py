"""The passes of one thread over its loaders, by the iterators that are still open."""

import weakref
from typing import Any

from workloads.capture.open_step import LoaderPass, OpenStep


class LoaderPasses:
    """Numbers the passes that iterators make, and counts their batches in `passes`."""

    def __init__(self, passes: list[LoaderPass]) -> None:
        """Add further passes to `passes`."""
        self.passes = passes
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def number_of(self, iterator: Any) -> int | None:
        """Return the pass of an iterator, None before its first batch."""
        return self._numbers.get(iterator)

    def drives(self, step: OpenStep) -> bool:
        """Return whether a pass of the step goes on: its next batch ends the step."""
        return any(number in step.passes for number in self._numbers.values())

    def join(self, step: OpenStep, iterator: Any, left: int | None) -> None:
        """Count a batch of the step; a new pass has `left` batches, if that is known."""
        number = self.number_of(iterator)
        if number is None:
            if not step.busy:
                step.passes.clear()  # left over from a loop that the program broke out of
            number = self._numbers[iterator] = len(self.passes)
            self.passes.append(LoaderPass(length=left))
        self.passes[number].batches += 1
        step.passes.add(number)
        step.batches += 1

    def exhaust(self, step: OpenStep, iterator: Any) -> None:
        """End a pass whose loader had no further batch: the last one counted was none."""
        step.batches -= 1
        number = self._numbers.pop(iterator, None)
        if number is not None:
            self.passes[number].batches -= 1
            self.passes[number].exhausted = True


def batches_left(iterator: Any) -> int | None:
    """Return how many batches an iterator still has, with the one under way; None if unknown."""
    try:
        return len(iterator) - int(iterator._num_yielded)
    except (TypeError, AttributeError, NotImplementedError):
        return None
