"""A memory of bounded size for what is asked for again and again, from one design to the next."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class Memo(Generic[Kept]):
    """Keeps at most so many values by key, and forgets the one it has had longest."""

    def __init__(self, most: int) -> None:
        """Keep at most `most` values."""
        self._most = most
        # A plain dict would look for its first key among all those that were deleted before it.
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return the value of `key`, made if it is not kept."""
        found = self._kept.get(key)
        if found is None:
            found = make()
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            self._kept[key] = found
        return found
