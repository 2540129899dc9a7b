"""Sequences in which parts repeat: how often each different item occurs, and items by number."""

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

from simulator.activity import Repeat

Item = TypeVar("Item", bound=Hashable)

Nodes = tuple[int | Repeat[int], ...]
"""Numbers of items in order, nested where they repeat."""


class Numbered(NamedTuple, Generic[Item]):
    """The different items of a sequence in order of appearance, and their numbers in its order."""

    nodes: Nodes
    items: tuple[Item, ...]

    @property
    def body(self) -> tuple[Item | Repeat[Item], ...]:
        """The sequence itself."""
        return _with_items(self.nodes, self.items)


def numbered(body: Sequence[Item | Repeat[Item]]) -> Numbered[Item]:
    """Return a sequence with each different item once."""
    numbers: dict[Item, int] = {}
    nodes = _nodes(body, numbers)
    return Numbered(nodes, tuple(numbers))


def census(body: Sequence[Item | Repeat[Item]]) -> dict[Item, int]:
    """Return how often each different item occurs, in order of appearance."""
    counts: dict[Item, int] = {}
    _count(body, 1, counts)
    return counts


def _nodes(body: Sequence[Item | Repeat[Item]], numbers: dict[Item, int]) -> Nodes:
    return tuple(
        Repeat(node.times, _nodes(node.body, numbers))  # type: ignore[misc]
        if isinstance(node, Repeat)
        else numbers.setdefault(node, len(numbers))
        for node in body
    )


def _with_items(nodes: Nodes, items: Sequence[Item]) -> tuple[Item | Repeat[Item], ...]:
    return tuple(
        Repeat(node.times, _with_items(node.body, items))
        if isinstance(node, Repeat)
        else items[node]
        for node in nodes
    )


def _count(body: Sequence[Item | Repeat[Item]], times: int, counts: dict[Item, int]) -> None:
    for node in body:
        if isinstance(node, Repeat):
            _count(node.body, times * node.times, counts)
        else:
            counts[node] = counts.get(node, 0) + times
