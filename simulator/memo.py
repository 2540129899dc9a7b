"""The one way to remember: memos with a name and a bound, all emptied by one call.

A function is memoised by `@remember("name", most=...)`, what an object knows by a `Memo`. Both are
registered here for as long as they live, so that a process can say what it remembers (`sizes`) and
forget it (`clear`). What is remembered is derived: forgetting it costs time and changes no result.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")


class Memo(Generic[Value]):
    """At most `most` values by key; a new one takes the place of the oldest. No value is None.

    In hot code call `find`, then `keep` on a miss: a hit costs what `dict.get` does.
    """

    __slots__ = ("__weakref__", "_values", "find", "most", "name")

    def __init__(self, name: str, most: int) -> None:
        """Register under `name`, which memos of the same kind share."""
        self.name, self.most = name, most
        # A plain dict would look for its first key among all those that were deleted before it.
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self.find: Callable[[Hashable], Value | None] = self._values.get
        """Return the value of a key, or None."""
        _NAMES[self] = name

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._values)

    def keep(self, key: Hashable, value: Value) -> Value:
        """Remember and return `value`; the oldest entry makes room for it."""
        values = self._values
        while len(values) >= self.most:
            values.popitem(last=False)
        values[key] = value
        return value

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `key`; `make` computes it on a miss."""
        value = self.find(key)
        return self.keep(key, make()) if value is None else value

    def clear(self) -> None:
        """Forget every entry."""
        self._values.clear()


class Size(NamedTuple):
    """Entries of all memos of one name, and how many they may have."""

    name: str
    entries: int
    most: int


# Weak: the memo of an object goes with it. The keys are memos, and functions of `lru_cache`.
_NAMES: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def remember(
    name: str, most: int
) -> Callable[[Callable[Arguments, Value]], Callable[Arguments, Value]]:
    """Memoise a function of hashable arguments: at most `most` results, the least used go first."""

    def decorate(function: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
        memoised: Any = lru_cache(maxsize=most)(function)  # its own type forgets the arguments
        _NAMES[memoised] = name
        return cast("Callable[Arguments, Value]", memoised)

    return decorate


def clear() -> None:
    """Empty every memo of this process."""
    for memo in list(_NAMES):
        memo.clear() if isinstance(memo, Memo) else memo.cache_clear()


def sizes() -> list[Size]:
    """Return the sizes of all memos of this process by name; those of one name are added up."""
    total: dict[str, Size] = {}
    for memo, name in list(_NAMES.items()):
        entries, most = _size(memo)
        before = total.get(name, Size(name, 0, 0))
        total[name] = Size(name, before.entries + entries, before.most + most)
    return [total[name] for name in sorted(total)]


def _size(memo: Any) -> tuple[int, int]:
    if isinstance(memo, Memo):
        return len(memo), memo.most
    info = memo.cache_info()
    return info.currsize, info.maxsize
